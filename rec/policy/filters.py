"""What may not be on a list, and why. Each rule maps a state to item_ids; pure, `now` is an argument.

Hard rules are never broken. Fatigue is soft: a tired item comes back when the list would otherwise be too short.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rec.catalog import Mask, View
from rec.events import POSITIVE
from rec.state import UserState

if TYPE_CHECKING:
    from rec.config import Settings


class ListRules(NamedTuple):
    """The settings of the list; see `Settings` for what they mean."""

    seen_excluded: bool = False
    purchase_block_s: float = 30 * 86_400
    fatigue_impressions: int = 6
    fatigue_s: float = 86_400

    @classmethod
    def from_settings(cls, settings: Settings) -> ListRules:
        return cls(
            seen_excluded=settings.seen == "exclude",
            purchase_block_s=settings.purchase_block_days * 86_400,
            fatigue_impressions=settings.fatigue_impressions,
        )


def bought(state: UserState, now: float, rules: ListRules) -> set[str]:
    """Bought a short while ago: nobody wants a second tent the day after."""
    return {item_id for item_id, at in state.bought.items() if now - at < rules.purchase_block_s}


def hidden(state: UserState) -> set[str]:
    """Told "not interested", unless they turned to it again later."""
    if not state.hidden:
        return set()
    wanted = _last_wanted(state)
    return {item_id for item_id, at in state.hidden.items() if wanted.get(item_id, -1.0) <= at}


def seen(state: UserState, rules: ListRules) -> set[str]:
    """Acted on before, where the setting says that such items are not listed again."""
    return {*_last_wanted(state), *state.bought} if rules.seen_excluded else set()


def tired(state: UserState, now: float, rules: ListRules) -> set[str]:
    """Shown again and again of late, and left alone all that time."""
    often = {
        item_id
        for item_id, shown in state.shown.items()
        if shown.times >= rules.fatigue_impressions and now - shown.at < rules.fatigue_s
    }
    if not often:
        return often
    wanted = _last_wanted(state)
    return {item_id for item_id in often if now - wanted.get(item_id, -np.inf) >= rules.fatigue_s}


def forbidden(state: UserState, now: float, rules: ListRules) -> set[str]:
    """All that the hard rules keep off this shopper's lists."""
    return bought(state, now, rules) | hidden(state) | seen(state, rules)


def eligible(view: View, excluded: Iterable[str]) -> Mask:
    """[size]: in stock, known to the catalog, and not excluded."""
    mask = view.listed.copy()
    for item_id in excluded:
        if (row := view.row(item_id)) is not None:
            mask[row] = False
    return mask


def _last_wanted(state: UserState) -> dict[str, float]:
    return {item_id: at for at, item_id, action in state.history if action in POSITIVE}
