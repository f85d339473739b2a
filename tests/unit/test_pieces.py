"""Pieces of a large value are, joined, what msgspec makes of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.pieces import pieces

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
