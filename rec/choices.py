"""state → **choices** → log `behavior`. For whom else a choice holds, and how they hear of it. Pure."""

from __future__ import annotations

from hashlib import blake2b

from rec.consent import SINCE, Standing
from rec.events import CONSENT, Choice, Consent, Event, instant
from rec.state import UserState

PERSONALIZATION = "personalization_storage"


def to_tell(before: UserState | None, after: UserState | None, event: Event | None = None) -> frozenset[str]:
    """The user's visitors who have to hear where the user stands now: all of them, if this step has changed it.

    Merged ones alone: who is still asked for may turn out to be somebody else's, and hears it when they are merged.
    A visitor whose own record, handed on to the user, says otherwise than what holds is told so in any case.
    """
    if after is None or not standings(after):
        return frozenset()
    mine = frozenset(visitor_id for visitor_id, mark in after.visitors.items() if mark == "merged")
    if before is None or _held(before) != _held(after):
        return mine
    if event is None or event.visitor_id is None:
        return frozenset()
    if all(event.says(use) in (None, says_of(standing)) for use, standing in standings(after).items()):
        return frozenset()
    return mine & {event.visitor_id}


def standings(state: UserState) -> dict[str, Standing]:
    """use → where the user stands, of the uses that they chose about and that others have to hear of."""
    found: dict[str, Standing | None] = {PERSONALIZATION: state.standing}
    found |= state.ad_consent.standings()
    return {use: standing for use, standing in found.items() if standing is not None}


def _held(state: UserState) -> dict[str, tuple[bool, float]]:
    return {use: (standing.denied, standing.since) for use, standing in standings(state).items()}


def says_of(standing: Standing) -> Choice:
    """The choice that holds."""
    return "denied" if standing.denied else "granted"


def choices_of(
    state: UserState, now: float, *, user_id: str | None = None, visitor_id: str | None = None
) -> list[Event]:
    """Where a state stands as records for somebody else, one for each use: choices about them are of different times.

    The same choice has the same event_id, however often sent.

    >>> denied = UserState(epoch="e", consent=False, consent_at=1.0)
    >>> [record] = choices_of(denied, 2.0, visitor_id="v1")
    >>> record.event, record.subject, record.personalization, record.at
    ('$consent', 'v1', 'denied', 1.0)
    """
    return [
        _record(use, standing, now, user_id=user_id, visitor_id=visitor_id)
        for use, standing in standings(state).items()
    ]


def _record(use: str, standing: Standing, now: float, *, user_id: str | None, visitor_id: str | None) -> Event:
    says, since = says_of(standing), standing.since
    about = f"{says} {standing.at!r} {since!r} {user_id or visitor_id}"
    mark = blake2b((about if use == PERSONALIZATION else f"{use} {about}").encode(), digest_size=16).hexdigest()
    return Event(
        event=CONSENT,
        event_id=f"consent-{mark}",
        user_id=user_id,
        visitor_id=visitor_id,
        consent=Consent(**{use: says}),
        context={SINCE: since} if since else {},
        received_ts=instant(max(now, standing.at)),
        event_ts=instant(standing.at),
    )
