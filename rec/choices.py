"""state → **choices** → log `behavior`. For whom else a choice holds, and how they hear of it. Pure."""

from __future__ import annotations

from hashlib import blake2b

from rec.consent import SINCE
from rec.events import CONSENT, Choice, Consent, Event, instant
from rec.state import UserState


def to_tell(before: UserState | None, after: UserState | None, event: Event | None = None) -> frozenset[str]:
    """The user's visitors who have to hear where the user stands now: all of them, if this step has changed it.

    Merged ones alone: who is still asked for may turn out to be somebody else's, and hears it when they are merged.
    A visitor whose own record, handed on to the user, says otherwise than what holds is told so in any case.
    """
    if after is None or after.consent is None:
        return frozenset()
    mine = frozenset(visitor_id for visitor_id, mark in after.visitors.items() if mark == "merged")
    if before is None or (before.consent, before.consent_since) != (after.consent, after.consent_since):
        return mine
    if event is None or event.visitor_id is None or event.personalization in (None, says_of(after)):
        return frozenset()
    return mine & {event.visitor_id}


def says_of(state: UserState) -> Choice:
    """The choice that holds."""
    return "granted" if state.consent else "denied"


def choice_of(state: UserState, now: float, *, user_id: str | None = None, visitor_id: str | None = None) -> Event:
    """Where a state stands as a record for somebody else. The same choice has the same event_id, however often sent.

    >>> denied = UserState(epoch="e", consent=False, consent_at=1.0)
    >>> record = choice_of(denied, 2.0, visitor_id="v1")
    >>> record.event, record.subject, record.personalization, record.at
    ('$consent', 'v1', 'denied', 1.0)
    """
    says = says_of(state)
    since = state.consent_since
    mark = blake2b(
        f"{says} {state.consent_at!r} {since!r} {user_id or visitor_id}".encode(), digest_size=16
    ).hexdigest()
    return Event(
        event=CONSENT,
        event_id=f"consent-{mark}",
        user_id=user_id,
        visitor_id=visitor_id,
        consent=Consent(personalization_storage=says),
        context={SINCE: since} if since else {},
        received_ts=instant(max(now, state.consent_at)),
        event_ts=instant(state.consent_at),
    )
