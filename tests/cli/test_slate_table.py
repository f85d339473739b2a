"""What `rec watch` shows of a list."""

from __future__ import annotations

import io
from datetime import timedelta

import msgspec
import pytest
from rich.console import Console

from rec.cli.slate_table import moves, reason_words, slate_view
from rec.slates import Cause, Reason
from tests.client.fake_server import a_slate


def shown(width: int, before: list[str] | None = None, title: str = "Item") -> str:
    slate = a_slate(3, n=3)
    items = tuple(msgspec.structs.replace(each, item={"title": title, "price": 9.5}) for each in slate.items)
    cause = Cause("event", "0198c0de-0000-7000-8000-00000000beef")
    slate = msgspec.structs.replace(slate, items=items, cause=cause, events_through=slate.created_at)
    out = io.StringIO()
    arrived = slate.created_at + timedelta(milliseconds=38)
    view = slate_view(slate, before, arrived, slate.created_at + timedelta(seconds=2), width)
    Console(file=out, width=width, markup=False).print(view)
    return out.getvalue()


def test_the_headline_says_which_version_why_and_how_old_the_event_is() -> None:
    head = shown(140).splitlines()[0]
    assert "home of u1 · version 3 · because of event …00000000beef" in head
    assert "here 38 ms after it" in head
    assert "last event 2.0 s ago" in head


def test_moves_are_marked_by_sign_and_not_by_color_alone() -> None:
    text = shown(140, before=["i1", "i0", "x"])
    rows = [row for row in text.splitlines() if row[:1].isdigit()]
    assert ["▲1" in rows[0], "▼1" in rows[1], "new" in rows[2]] == [True, True, True]


@pytest.mark.parametrize("width", [60, 100, 200])
def test_a_table_keeps_to_its_width_and_shortens_words_not_numbers(width: int) -> None:
    text = shown(width, title="A tent with a very long name that goes on " * 3)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    if width >= 100:
        assert all("9.50" in row for row in lines if row[:1].isdigit())


def test_a_title_cannot_drive_the_terminal() -> None:
    assert "\x1b" not in shown(140, title="\x1b[2J[red]gone")
    assert "[red]gone" in shown(140, title="\x1b[2J[red]gone")


@pytest.mark.parametrize(
    "kind",
    [
        "because_you_viewed", "because_you_carted", "because_you_bought", "goes_with", "interest_category",
        "interest_brand", "next_step", "popular", "popular_in_category", "seen_before", "new",
    ],
)  # fmt: skip
def test_every_reason_of_the_contract_has_words(kind: str) -> None:
    assert kind not in reason_words(Reason(kind, item_id="i1", value="Camping"), {"i1": "Tent"}) or kind in (
        "popular",
        "new",
    )


def test_moves_of_nothing_and_from_nothing() -> None:
    assert moves(["a"], []) == []
    assert moves([], ["a"]) == [None]
