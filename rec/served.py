"""slate → **served** → topic `served` → feedback. What a list was made of and looked like, as its feedback needs it.

One record a list that went to a screen or to an asker, in the user's partition. What is learned from it later is what
was known when it was made (no train/serve skew), so the state goes along in the compact form of `rec.examples`. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from rec.examples import compact
from rec.impressions import left_by
from rec.slates import Slate
from rec.state import UserState

CategoryOf = Callable[[str], str]  # item_id → category, "" where there is none


class ServedItem(msgspec.Struct, frozen=True, array_like=True):
    """One place of a served list, in the list's order. `propensity` is None where the policy gave none."""

    item_id: str
    score: float
    source: str
    propensity: float | None = None
    category: str = ""


class Served(msgspec.Struct, frozen=True, tag="served", tag_field="kind", omit_defaults=True):
    """A list that went out. `at`: when it was made, seconds since 1970; `state`: what it was made from."""

    slate_id: str
    user_id: str
    placement: str
    at: float
    strategy: str
    model_version: str
    items: tuple[ServedItem, ...]
    state: UserState | None = None


class Making(NamedTuple):
    """A list as the worker made it, before its record is: values that never change, so they can wait."""

    slate: Slate
    state: UserState | None


def served_of(made: Making, category_of: CategoryOf) -> Served:
    """The record of a list. Of the state it has what `example_of` would keep at the moment at which it was made."""
    slate, at = made.slate, made.slate.created_at.timestamp()
    items = tuple(
        ServedItem(place.item_id, place.score, place.source, place.propensity, category_of(place.item_id))
        for place in slate.items
    )
    state = None if made.state is None else compact(made.state, left_by(made.state, at))
    return Served(
        slate_id=slate.slate_id,
        user_id=slate.user_id,
        placement=slate.placement,
        at=at,
        strategy=slate.strategy,
        model_version=slate.model_version,
        items=items,
        state=state,
    )
