"""A slate as a table for the terminal: what moved, why each item is there, how old the news is. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from rec.cli.output import ago, table
from rec.slates import Reason, Slate

_WORDS = {
    "because_you_viewed": "you looked at {item}",
    "because_you_carted": "in your cart: {item}",
    "because_you_bought": "you bought {item}",
    "goes_with": "goes with {item}",
    "interest_category": "you like {value}",
    "interest_brand": "you like {value}",
    "next_step": "what may come next",
    "popular": "popular",
    "popular_in_category": "popular in {value}",
    "seen_before": "you saw it before",
    "new": "new",
    "exact_match": "what was asked for",
    "matches": "matches {value}",
    "means": "close to {value}",
    "chosen_for": "chosen for {value}",
    "because_you_searched": "you searched for {value}",
    "pinned": "picked by the shop",
    "for_you": "for you",
    "sponsored": "sponsored",
}


def moves(before: Sequence[str] | None, after: Sequence[str]) -> list[int | None]:
    """For each item of `after`, how many places it went up (negative: down); None if it was not there.

    >>> moves(["a", "b", "c"], ["c", "a", "x"])
    [2, -1, None]
    >>> moves(None, ["a"])
    [0]
    """
    if before is None:
        return [0] * len(after)
    places = {item: place for place, item in enumerate(before)}
    return [places[item] - place if item in places else None for place, item in enumerate(after)]


def move_mark(move: int | None) -> Text:
    """▲2, ▼1, new, or nothing: the sign says it without the color.

    >>> [move_mark(move).plain for move in (2, -1, 0, None)]
    ['▲2', '▼1', '', 'new']
    """
    if move is None:
        return Text("new", style="cyan")
    if move == 0:
        return Text("")
    return Text(f"▲{move}", style="green") if move > 0 else Text(f"▼{-move}", style="red")


def reason_words(reason: Reason, titles: dict[str, str]) -> str:
    """A reason in words; items by their title where the list has it. An unknown kind is shown as it is.

    >>> reason_words(Reason("goes_with", item_id="i1"), {"i1": "Tent"}), reason_words(Reason("odd", value="x"), {})
    ('goes with Tent', 'odd x')
    """
    item = titles.get(reason.item_id or "", reason.item_id or "")
    words = _WORDS.get(reason.kind)
    if words is None:
        return " ".join(part for part in (reason.kind, item, reason.value) if part)
    return words.format(item=item, value=reason.value or "")


def slate_table(slate: Slate, before: Sequence[str] | None, width: int) -> Table:
    """The items: place, move, title, price, score, source, reason. Title and reason share what `width` leaves."""
    made = table("#", "", "item", "title", "price", "score", "source", "why", right=("#", "price", "score"))
    titles = {each.item_id: str(each.item.get("title", each.item_id)) for each in slate.items}
    marks = moves(before, [each.item_id for each in slate.items])
    ids = min(20, max((len(each.item_id) for each in slate.items), default=4))
    sources = min(14, max((len(each.source) for each in slate.items), default=6))
    rest = max(24, width - (3 + 4 + ids + 9 + 5 + sources + 2 * 7))
    for place, (each, move) in enumerate(zip(slate.items, marks, strict=True), 1):
        price = each.item.get("price")
        made.add_row(
            str(place),
            move_mark(move),
            plain(each.item_id, ids),
            plain(titles[each.item_id], rest // 2),
            f"{price:.2f}" if isinstance(price, int | float) else "",
            f"{each.score:.3f}",
            plain(each.source, sources),
            plain(reason_words(each.reason, titles), rest - rest // 2),
        )
    return made


def headline(slate: Slate, arrived: datetime, now: datetime) -> Text:
    """Which list, which version, why, and how old; for an event, how long it took from there to here."""
    cause = slate.cause.kind + (f" …{slate.cause.event_id[-12:]}" if slate.cause.event_id else "")
    parts = [f"{slate.placement} of {slate.user_id}", f"version {slate.version}", f"because of {cause}"]
    if slate.events_through is not None:
        if slate.cause.kind == "event":
            parts.append(f"here {(arrived - slate.events_through).total_seconds() * 1000:.0f} ms after it")
        parts.append(f"last event {ago((now - slate.events_through).total_seconds())}")
    return plain(" · ".join(parts))


def slate_view(
    slate: Slate, before: Sequence[str] | None, arrived: datetime, now: datetime, width: int
) -> RenderableType:
    """Headline, items, and what made them. `arrived`: when the slate came in by this machine's clock."""
    through = slate.learned_through
    learned = f", which learned {ago((now - through).total_seconds())}" if through is not None else ""
    maker = f"model {slate.model_version}{learned} · strategy {slate.strategy} · made {slate.created_at:%H:%M:%S}"
    return Group(headline(slate, arrived, now), slate_table(slate, before, width), plain(maker))


def plain(text: str, width: int | None = None) -> Text:
    """Text from outside, without its control characters: a title must not drive the terminal.

    >>> plain("a\x1b[2Jb").plain, plain("tent for two", 6).plain
    ('a·[2Jb', 'tent …')
    """
    clean = "".join(char if char.isprintable() else "·" for char in text)
    return Text(clean if width is None or len(clean) <= width else clean[: width - 1] + "…")
