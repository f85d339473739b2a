"""log → **archive rules** → SQL. What of an event may be kept for later use, and the row it becomes. Pure.

Invariant: an event sent without consent to analytics or to personalization leaves only the fact that it happened
(for counting each event_id once, and for finding it when its sender asks to be erased) and the choice itself.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from rec.events import Event, encode_event, instant


class ArchivedEvent(NamedTuple):
    """A row of the archive. `subject` is whose it is: the user, else the visitor; `payload` is the event as JSON."""

    event_id: str
    subject: str
    user_id: str | None
    visitor_id: str | None
    session_id: str | None
    event: str
    event_ts: datetime
    received_ts: datetime
    payload: bytes


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


def archived(event: Event) -> bytes:
    """The event as JSON, as far as it may be stored."""
    return encode_event(kept(event))


def archive_row(event: Event, payload: bytes) -> ArchivedEvent:
    """The row for an event and its JSON; every archive builds its rows here, so none can keep what it may not.

    `payload` is stored as it came if all of it may be, else what `archived` leaves.
    """
    if withheld(event):
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
    )
