"""What events say of age and region: kept as last said, in whatever order, gone with a denial, joined at a merge."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.about import NOBODY, About, newest, said_since, told
from rec.events import Event
from rec.merging import merged
from rec.state import UserState, kept_since
from tests.unit.shop import NOW, after, event, shop


def said(at: float, **context: Any) -> Event:
    return event("view_item", "music-1", at=NOW + at, context=context)


@pytest.mark.parametrize(
    "context", [{}, {"age": True}, {"age": "40"}, {"age": -1}, {"age": 151}, {"region": ""}, {"region": 7}]
)
def test_what_is_no_age_and_no_region_is_not_kept(context: dict[str, Any]) -> None:
    assert told(NOBODY, said(0, **context)) is NOBODY


contexts = st.fixed_dictionaries({}, optional={"age": st.integers(0, 99), "region": st.sampled_from(["DE", "FR"])})


@given(st.lists(st.tuples(st.integers(0, 5), contexts), max_size=6), st.randoms())
def test_the_order_in_which_it_comes_does_not_matter(pairs: list[tuple[int, dict[str, Any]]], rng: Any) -> None:
    shuffled = pairs.copy()
    rng.shuffle(shuffled)
    one, other = NOBODY, NOBODY
    for (at, context), (at2, context2) in zip(pairs, shuffled, strict=True):
        one, other = told(one, said(at, **context)), told(other, said(at2, **context2))
    assert one == other


def test_it_is_in_the_state_joins_at_a_merge_and_goes_with_what_is_withdrawn() -> None:
    user = after([said(0, age=30), said(5, region="FR")], shop())
    visitor = after([said(3, age=31, region="DE")], shop())
    assert user is not None
    assert visitor is not None
    assert merged(user, "v", visitor).about == About(31.0, NOW + 3, "FR", NOW + 5)
    assert kept_since(user, NOW + 1, 200).about == About(None, 0.0, "FR", NOW + 5)
    assert kept_since(UserState(epoch="e", about=user.about), NOW + 9, 200).about == NOBODY


def test_of_nothing_there_is_nothing_to_take() -> None:
    assert newest(NOBODY, NOBODY) == NOBODY
    assert said_since(NOBODY, NOW) is NOBODY
