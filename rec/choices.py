"""state → **choices** → log `behavior`. For whom else a choice holds, and how they hear of it. Pure."""

from __future__ import annotations

from hashlib import blake2b

from rec.events import CONSENT, Choice, Consent, Event, instant
from rec.state import UserState


def to_tell(before: UserState | None, after: UserState | None) -> frozenset[str]:
    """The visitors for whom the choice holds too, if this step has changed it. Not those who are somebody else's."""
    if after is None or after.consent is None or (before is not None and before.consent is after.consent):
        return frozenset()
    return frozenset(visitor_id for visitor_id, mark in after.visitors.items() if mark != "refused")


def choice_of(state: UserState, now: float, *, user_id: str | None = None, visitor_id: str | None = None) -> Event:
    """The choice of a state as a record for somebody else. The same choice has the same event_id, however often sent.

    >>> denied = UserState(epoch="e", consent=False, consent_at=1.0)
    >>> record = choice_of(denied, 2.0, visitor_id="v1")
    >>> record.event, record.subject, record.personalization, record.at
    ('$consent', 'v1', 'denied', 1.0)
    """
    says: Choice = "granted" if state.consent else "denied"
    mark = blake2b(f"{says} {state.consent_at!r} {user_id or visitor_id}".encode(), digest_size=16).hexdigest()
    return Event(
        event=CONSENT,
        event_id=f"consent-{mark}",
        user_id=user_id,
        visitor_id=visitor_id,
        consent=Consent(personalization_storage=says),
        received_ts=instant(max(now, state.consent_at)),
        event_ts=instant(state.consent_at),
    )
