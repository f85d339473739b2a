"""What may not be on a list, and why. Each rule maps a state to item_ids; pure, `now` is an argument.

Hard rules are never broken. Fatigue is soft: a tired item comes back when the list would otherwise be too short.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rec.catalog import Mask, View
from rec.events import POSITIVE
from rec.state import UserState

if TYPE_CHECKING:
    from rec.config import Settings


A_DAY = 86_400.0
DUE = 0.8  # of a cycle: who buys coffee every month has a look after 24 days

CycleOf = Callable[[str], float | None]  # item_id → seconds from one purchase to the next, None if it is no consumable


class ListRules(NamedTuple):
    """The settings of the list; see `Settings` for what they mean."""

    seen_excluded: bool = False
    purchase_block_s: float = 30 * 86_400
    fatigue_impressions: int = 6
    fatigue_s: float = 86_400
    cart_block_s: float = 0
    repurchase_s: Mapping[str, float] = {}  # category → from one purchase to the next

    @classmethod
    def from_settings(cls, settings: Settings) -> ListRules:
        return cls(
            seen_excluded=settings.seen == "exclude",
            purchase_block_s=settings.purchase_block_days * 86_400,
            fatigue_impressions=settings.fatigue_impressions,
            cart_block_s=settings.cart_block_days * A_DAY,
            repurchase_s={name: days * A_DAY for name, days in settings.repurchase_days.items()},
        )


def bought(state: UserState, now: float, rules: ListRules, cycle_of: CycleOf = lambda _: None) -> set[str]:
    """Bought a short while ago: nobody wants a second tent the day after, and coffee again in a month.

    A shopper's own cycle lets an item come back earlier and never later: it is a median of few, and half of what they
    buy again they buy before it. The shop's word about an item counts as it is.
    """
    blocked = set()
    own = cycles(state) if state.bought else {}
    for item_id, at in state.bought.items():
        block = rules.purchase_block_s if (told := cycle_of(item_id)) is None else DUE * told
        if (cycle := own.get(item_id)) is not None:
            block = min(block, DUE * cycle)
        if now - at < block:
            blocked.add(item_id)
    return blocked


def due_again(state: UserState, now: float, cycle_of: CycleOf) -> set[str]:
    """What this shopper buys again and again, and would buy again about now."""
    own = cycles(state) if state.bought else {}
    known = ((item_id, at, own.get(item_id) or cycle_of(item_id)) for item_id, at in state.bought.items())
    return {item_id for item_id, at, cycle in known if cycle is not None and DUE * cycle <= now - at < 2 * cycle}


def cycles(state: UserState) -> dict[str, float]:
    """item_id → seconds from one purchase to the next, the median of what this shopper's history shows."""
    times: dict[str, list[float]] = {}
    for at, item_id, action in state.history:
        if action == "purchase":
            times.setdefault(item_id, []).append(at)
    gaps = {item_id: [b - a for a, b in pairwise(each) if b - a >= A_DAY] for item_id, each in times.items()}
    return {item_id: median(each) for item_id, each in gaps.items() if each}


def cycle_in(view: View, rules: ListRules) -> CycleOf:
    """As the catalog says: the item's attribute `repurchase_days`, else what is set for its category."""

    def cycle_of(item_id: str) -> float | None:
        row = view.row(item_id)
        if row is None:
            return None
        item = view.items[row]
        days = item.attributes.get("repurchase_days")
        if isinstance(days, int | float) and not isinstance(days, bool) and days > 0:
            return days * A_DAY
        return rules.repurchase_s.get(item.category)

    return cycle_of


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


def carted(state: UserState, now: float, rules: ListRules) -> set[str]:
    """In the cart: who put it there knows it. One that lies there for long is worth a reminder."""
    if not rules.cart_block_s:
        return set()
    return {item_id for item_id, at in state.cart().items() if now - at < rules.cart_block_s}


def forbidden(state: UserState, now: float, rules: ListRules, cycle_of: CycleOf = lambda _: None) -> set[str]:
    """All that the hard rules keep off this shopper's lists."""
    return bought(state, now, rules, cycle_of) | hidden(state) | seen(state, rules) | carted(state, now, rules)


def eligible(view: View, excluded: Iterable[str]) -> Mask:
    """[size]: in stock, known to the catalog, and not excluded."""
    mask = view.listed.copy()
    for item_id in excluded:
        if (row := view.row(item_id)) is not None:
            mask[row] = False
    return mask


def _last_wanted(state: UserState) -> dict[str, float]:
    return {item_id: at for at, item_id, action in state.history if action in POSITIVE}
