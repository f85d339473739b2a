"""auction → **terms** → served list → feedback. What was agreed when an ad was put on a list: its price, its odds.

They travel with the list through topic `served` and come back with what became of it; so a click costs what was
agreed whatever the bid is by then, and the odds are corrected by what they were, not by what they would be now. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

CLICK = "select_item"  # what is billed, and what p(click) is the chance of


class Terms(msgspec.Struct, frozen=True, array_like=True):
    """Of one ad on one list. `raw` is p(click) before calibration, `chance` after it."""

    campaign: str
    price: float  # of a click
    chance: float
    raw: float
    near: int  # how near the ad is to what the shopper is after (rec.ads.odds)
    place: int  # which of the sponsored places, 0-based


def clicked(ads: Mapping[str, Terms], acts: Mapping[str, Mapping[str, float]]) -> int:
    """How many of a list's ads were clicked on."""
    return sum(CLICK in acts.get(item_id, {}) for item_id in ads) if ads else 0
