"""joined list → **receipt** → topic `feedback`. What is billed of the ads of somebody who wants nothing kept of that.

Without `ad_storage` a list's example says nothing of its ads, and what became of them is an example of its own: under
another name than the list's, of no user and no state, with the clicks that are paid for alone, times to the minute. The
name is a keyed hash, the same for each revision, so a click still counts once (rec.ads.book). Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from rec.ads.terms import CLICK
from rec.privacy import user_hash

if TYPE_CHECKING:
    from rec.feedback import FeedbackExample

MINUTE_S = 60.0


def apart(example: FeedbackExample, name: str) -> list[FeedbackExample]:
    """The list without its ads, and the ads without the list, called `name`; the list alone if none of it is an ad."""
    ads = tuple(place for place in example.places if place.ad is not None)
    if not ads:
        return [example]
    nobodys = tuple(
        msgspec.structs.replace(
            place,
            propensity=None,
            dwell=0.0,
            actions={CLICK: to_the_minute(place.actions[CLICK])} if CLICK in place.actions else {},
        )
        for place in ads
    )
    receipt = msgspec.structs.replace(
        example,
        slate_id=name,
        user_id="",
        served_at=to_the_minute(example.served_at),
        at=to_the_minute(example.at),
        places=nobodys,
        state=None,
        experiment="",
        arm="",
        chance=None,
        draw=None,
        decision=None,
        merit={},
    )
    own = msgspec.structs.replace(example, places=tuple(place for place in example.places if place.ad is None))
    return [own, receipt]


def sealed(secret: str) -> Callable[[str], str]:
    """slate_id → the name of what became of its ads; without the secret neither leads to the other.

    >>> len(sealed("k" * 32)("l1")), sealed("k" * 32)("l1") == sealed("x" * 32)("l1")
    (32, False)
    """
    return lambda slate_id: user_hash(secret, f"ads of {slate_id}")[:32]


def to_the_minute(at: float) -> float:
    """So that no time says whose it is; days and hours, which budgets and traffic go by, begin with a minute."""
    return at - at % MINUTE_S
