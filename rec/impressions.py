"""state → **what was left alone** → negatives. The items that somebody saw and did not turn to. Pure.

The state keeps when an item was last shown (`view_item_list`) and the newest actions; what is on the newest list and
was not acted on since is what they passed over when they turned to something else.
"""

from __future__ import annotations

from collections.abc import Collection

from rec.events import Event
from rec.marks import Shown
from rec.state import UserState

ONE_LIST_S = 60.0  # impressions of one list come in parts, as a shopper scrolls
MAX_LEFT = 16


def left_alone(state: UserState, event: Event) -> dict[str, Shown]:
    """Of the newest list before `event`: what was not acted on since it was shown, nor by the event. Newest first.

    The same of what it returns: an example carries no more of `shown` than this.
    """
    return left_by(state, event.at, {item.item_id for item in event.items})


def left_by(state: UserState, moment: float, mine: Collection[str] = ()) -> dict[str, Shown]:
    """Of the newest list before the moment (seconds since 1970): what was left alone, and is not among `mine`."""
    shown, newest = state.shown, -1.0
    for _, at in shown.values():
        if newest < at <= moment:
            newest = at
    if newest < 0:
        return {}
    seen = {i: mark for i, mark in shown.items() if newest - ONE_LIST_S <= mark[1] <= moment and i not in mine}
    acted = {item_id: at for at, item_id, _ in state.history if item_id in seen}
    left = [(item_id, mark) for item_id, mark in seen.items() if acted.get(item_id, -1.0) < mark.at]
    return dict(sorted(left, key=lambda pair: (-pair[1].at, pair[0]))[:MAX_LEFT])
