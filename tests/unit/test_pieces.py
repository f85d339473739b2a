"""Pieces of a large value are, joined, what msgspec makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.ads.book import AdBook
from rec.ads.terms import Terms
from rec.errors import ModelError
from rec.feedback import FeedbackExample, Place
from rec.pieces import pieces
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.rates import Rates

leaves = st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5) | st.binary(max_size=5) | st.floats()
values = st.recursive(
    leaves, lambda each: st.lists(each, max_size=20) | st.dictionaries(st.text(max_size=3), each, max_size=20)
)


@given(values, st.integers(1, 5))
def test_joined_they_are_the_whole(value: Any, size: int) -> None:
    assert b"".join(pieces(value, size)) == msgspec.msgpack.encode(value)


@pytest.mark.parametrize("n", [15, 16, 65_535, 65_536])
def test_however_many_entries_there_are(n: int) -> None:
    for value in ([1] * n, dict.fromkeys(range(n), 1)):
        assert b"".join(pieces(value, 100)) == msgspec.msgpack.encode(value)


def test_no_piece_holds_more_entries_than_it_may() -> None:
    rows = [dict.fromkeys(range(3), 7) for _ in range(1_000)]
    parts = list(pieces([rows, dict.fromkeys(range(1_000), 7)], 10))
    assert max(map(len, parts)) <= 10 * len(msgspec.msgpack.encode(rows[0]))


def test_what_lies_deep_is_cut_up_too() -> None:
    deep = [1, {"a": {name: dict.fromkeys(range(1_000), 7) for name in "xy"}, "b": [[[9] * 1_000], 2]}]
    parts = list(pieces(deep, 10))
    assert b"".join(parts) == msgspec.msgpack.encode(deep)
    assert max(map(len, parts)) <= 10 * len(msgspec.msgpack.encode({999: 7}))


def test_no_snapshot_of_what_lists_taught_has_a_piece_of_more_than_some_thousand_bytes() -> None:
    rates, book, rewards = Rates(), AdBook(), Rewards(BanditRules())
    terms = Terms("spring", 0.25, 0.04, 0.06, 3, 0)
    for n in range(3_000):
        at = 1_700_000_000.0 + n
        ad = Place(f"ad-{n}", 0.04, "ad", 0.3, "c", True, 0.0, {"select_item": at}, 0.0, terms)
        own = Place(f"item-{n}", 0.9, "knn", 0.5, "c", True, 1.0, {}, brand=f"b{n}")
        example = FeedbackExample(f"s{n}", "u", 0, "home", "d", "m", at, at, (own, ad), merit={"brand": {f"b{n}": 1.0}})
        for pupil in (rates, book, rewards):
            pupil.learn(example)
    for pupil in (rates, book, rewards):
        parts = list(pupil.to_pieces())
        assert max(map(len, parts)) < 40_000
        assert sum(map(len, parts)) > 3 * max(map(len, parts))
    for pupil, again in ((rates, Rates.from_bytes), (book, AdBook.from_bytes)):
        assert b"".join(again(b"".join(pupil.to_pieces())).to_pieces()) == b"".join(pupil.to_pieces())


def test_what_is_no_snapshot_is_told_alike_with_the_remedy() -> None:
    for what, read in (("rates", Rates.from_bytes), ("ads", AdBook.from_bytes)):
        with pytest.raises(ModelError, match=f"no snapshot of {what} .*delete it"):
            read(b"nothing")
    with pytest.raises(ModelError, match="no snapshot of rewards .*delete it"):
        Rewards.from_bytes(b"nothing", BanditRules())
