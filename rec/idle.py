"""state → **idle** → what stays of it. Whose state nobody needs any more. Pure.

What says whose visitor somebody is, and a denial, are kept for ever: to forget a denial would be to take it back, and a
visitor is merged once. Of everybody else what they did and like goes. What others have to go by stays: the time of the
first event, for an erasure has to know what the weights may have learned from; their visitors, for an erasure has to
find all of them; that they are a user, whom nobody may claim as a visitor; what they chose.
"""

from __future__ import annotations

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
    if state.received_through and state.received_through + idle_s > now:
        return False
    return remains(state) != state


def remains(state: UserState) -> UserState | None:
    """What is kept of an idle state; None: nothing.

    >>> remains(UserState(epoch="a")), remains(UserState(epoch="a", applied=9, began=5.0, events_through=7.0)).began
    (None, 5.0)
    """
    nothing = UserState(epoch=state.epoch, version=state.version)
    kept = UserState(
        epoch=state.epoch,
        version=state.version,
        consent=state.consent,
        consent_at=state.consent_at,
        consent_since=state.consent_since,
        began=state.began,
        visitors=state.visitors,
        is_user=state.is_user,
        ad_consent=state.ad_consent,
    )
    return None if kept == nothing else kept
