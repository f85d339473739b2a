"""log → **archive rules** → SQL. What of an event may be kept for later use, and the row it becomes. Pure.

Invariant: an event sent without consent to analytics or to personalization leaves only the fact that it happened
(for counting each event_id once, and for finding it when its sender asks to be erased) and the choice itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from rec.events import Event, encode_event, instant


class ArchivedEvent(NamedTuple):
    """A row of the archive. `subject` is whose it is: the user, else the visitor; `payload` is the event as JSON.

    `withheld`: the payload is bare, for want of consent to personalization or by the event's own choice.
    """

    event_id: str
    subject: str
    user_id: str | None
    visitor_id: str | None
    session_id: str | None
    event: str
    event_ts: datetime
    received_ts: datetime
    payload: bytes
    withheld: bool


def withheld(event: Event) -> bool:
    """Whether the sender denied either of the two uses that an archive has, now or, as the edge knew, before."""
    consent = event.consent
    denied = consent is not None and "denied" in (consent.analytics_storage, consent.personalization_storage)
    return event.withheld or denied


def kept(event: Event) -> Event:
    """What of the event may be stored: all of it, or without consent who, when, what kind, and the choice.

    >>> from rec.events import Consent, EventItem
    >>> seen = Event(event="view_item", event_id="e", user_id="u", items=(EventItem("sku"),), session_id="s")
    >>> kept(seen) is seen
    True
    >>> import msgspec
    >>> encode_event(kept(msgspec.structs.replace(seen, consent=Consent(analytics_storage="denied"))))
    b'{"event":"view_item","event_id":"e","user_id":"u","consent":{"analytics_storage":"denied"}}'
    """
    return bare(event) if withheld(event) else event


def bare(event: Event) -> Event:
    """Who, when, what kind, and the choice."""
    return Event(
        event=event.event,
        event_id=event.event_id,
        user_id=event.user_id,
        visitor_id=event.visitor_id,
        client_ts=event.client_ts,
        sent_ts=event.sent_ts,
        consent=event.consent,
        received_ts=event.received_ts,
        event_ts=event.event_ts,
        withheld=event.withheld,
    )


def archive_row(event: Event, payload: bytes) -> ArchivedEvent:
    """The row for an event and its JSON; every archive builds its rows here, so none can keep what it may not.

    `payload` is stored as it came if all of it may be, else what `kept` leaves.
    """
    if bare_now := withheld(event):
        event = kept(event)
        payload = encode_event(event)
    return ArchivedEvent(
        event_id=event.event_id,
        subject=event.subject,
        user_id=event.user_id,
        visitor_id=event.visitor_id,
        session_id=event.session_id,
        event=event.event,
        event_ts=event.event_ts or instant(event.at),
        received_ts=event.received_ts or instant(event.received_at),
        payload=payload,
        withheld=bare_now,
    )


def says_more(new: ArchivedEvent, old: ArchivedEvent) -> bool:
    """Whether of two rows of one event the other one takes the place of the first.

    A visitor's event comes once more as the user's when it is handed on, and the two come in any order. One that may be
    used says more than a bare one, else one that names the user. Rows of two users, or devices, are not one event.
    """
    if new.visitor_id != old.visitor_id or (new.user_id and old.user_id and new.user_id != old.user_id):
        return False
    return (not new.withheld, new.user_id is not None) > (not old.withheld, old.user_id is not None)


def one_each(rows: Iterable[ArchivedEvent]) -> list[ArchivedEvent]:
    """One row of each event, where the first one came."""
    kept: dict[str, ArchivedEvent] = {}
    for row in rows:
        if (old := kept.get(row.event_id)) is None or says_more(row, old):
            kept[row.event_id] = row
    return list(kept.values())
