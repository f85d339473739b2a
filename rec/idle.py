"""state → **idle** → what stays of it. Whose state nobody needs any more. Pure.

What says whose visitor somebody is, and a denial, are kept for ever: to forget a denial would be to take it back, and a
visitor is merged once. Of everybody else who ever did something the time of their first event stays with the id, for an
erasure has to know what the weights may have learned from, and what they said of ads.
"""

from __future__ import annotations

from rec.ads.consent import AdConsent
from rec.state import UserState


def is_idle(state: UserState, now: float, idle_s: float) -> bool:
    """Whether nothing has come for `idle_s` seconds; or nothing ever, of one who has only looked at a list.

    >>> is_idle(UserState(epoch="a", version=3), 1e9, 60.0), is_idle(UserState(epoch="a", consent=False), 1e9, 60.0)
    (True, False)
    >>> [is_idle(UserState(epoch="a", applied=1, received_through=1e9 - ago), 1e9, 60.0) for ago in (59, 60)]
    [False, True]
    """
    if state.consent is False or state.merged_into is not None:
        return False
    last = max(state.received_through, state.consent_at)
    return last + idle_s <= now if last else remains(state) is None and not state.visitors


def remains(state: UserState) -> UserState | None:
    """What is kept of an idle state; None: nothing.

    >>> remains(UserState(epoch="a")), remains(UserState(epoch="a", applied=9, began=5.0, events_through=7.0)).began
    (None, 5.0)
    """
    if not state.began and state.ad_consent == AdConsent():
        return None
    return UserState(epoch=state.epoch, version=state.version, began=state.began, ad_consent=state.ad_consent)
