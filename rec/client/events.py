"""application → **event** → queue or wire. Makes valid events, and the bodies of requests. Pure.

Invariant: an event keeps its `event_id` and `client_ts` for life, however often it is sent; only `sent_ts` is set
anew at each send (the server corrects the client's clock by it).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypedDict

import msgspec

from rec.client.checks import check_id, check_numbers
from rec.errors import BadInput, TooLarge
from rec.events import Attribution, Consent, Event, EventItem, decode_event, encode_event
from rec.protocol import MAX_BODY_BYTES, MAX_EVENTS
from rec.slates import Slate, SlateItem

_ENVELOPE = len(b'{"events":[]}')  # that of items is shorter


ItemLike = str | EventItem | SlateItem  # an id, an item as the wire has it, or a place of a list
SlateLike = Slate | Attribution  # the list, or what names it


class Details(TypedDict, total=False):
    """What else an event may say (see `rec.events.Event`)."""

    visitor_id: str
    session_id: str
    search_term: str
    value: float
    currency: str
    transaction_id: str
    consent: Consent
    context: dict[str, Any]


class Rejection(msgspec.Struct, frozen=True):
    """Why one event or item was not taken; `index` is its 0-based place among those of the call."""

    index: int
    code: str
    message: str
    did_you_mean: str | None = None
    field: str | None = None

    def error(self) -> BadInput:
        """The same as an error, to raise or to report."""
        return BadInput(self.message, code=self.code, field=self.field, did_you_mean=self.did_you_mean).refused()


class TrackResult(msgspec.Struct, frozen=True):
    """The server's acknowledgment: how many events are in the log now, and which never will be."""

    accepted: int = 0
    duplicates: int = 0
    rejected: tuple[Rejection, ...] = ()

    def plus(self, other: TrackResult, shift: int) -> TrackResult:
        """Both together; the other's indexes begin at `shift`."""
        return TrackResult(
            self.accepted + other.accepted,
            self.duplicates + other.duplicates,
            self.rejected + _moved(other.rejected, shift),
        )


def make_event(
    name: str,
    user_id: str | None,
    items: Iterable[ItemLike],
    slate: SlateLike | None,
    event_id: str,
    now: datetime,
    details: Details,
) -> Event:
    """A checked event. `slate`: the list that the shopper saw or acted on; it says at which index the items are.

    BadInput names the field. Names of events are not checked here: the server knows aliases and newer names.
    """
    places = {place.item_id: at for at, place in enumerate(slate.items)} if isinstance(slate, Slate) else {}
    if isinstance(slate, Slate) and slate.search is not msgspec.UNSET and slate.search.fallback is None:
        details = {"search_term": slate.search.query, **details}
    event = Event(
        event=name,
        event_id=event_id,
        user_id=user_id,
        items=tuple(_item(item, places) for item in items),
        attribution=Attribution(slate.slate_id, slate.version) if slate is not None else None,
        client_ts=now,
        **details,
    )
    return check_event(event)


def _item(item: ItemLike, places: Mapping[str, int]) -> EventItem:
    if isinstance(item, EventItem):
        return item
    item_id = item if isinstance(item, str) else item.item_id
    return EventItem(item_id, index=places.get(item_id))


def check_event(event: Event) -> Event:
    """The event as the wire will carry it; BadInput if the wire would not take it, TooLarge if it is too long."""
    check_numbers(event)
    for field in ("event_id", "user_id", "visitor_id", "session_id"):
        if (value := getattr(event, field)) is not None:
            check_id(value, field)
    for at, item in enumerate(event.items):
        check_id(item.item_id, f"items[{at}].item_id")
    try:
        raw = encode_event(event)
        event = decode_event(raw)
    except (msgspec.ValidationError, TypeError, ValueError) as error:
        raise BadInput(f"event {event.event!r}: {error}", code="bad_event") from error
    if not event.subject:
        raise BadInput("an event needs a user_id or a visitor_id", field="user_id", code="bad_event")
    if len(raw) > MAX_BODY_BYTES // 2:
        raise TooLarge(f"an event of {len(raw)} bytes; send at most {MAX_BODY_BYTES // 2}: shorten `context`")
    return event


class Batch(NamedTuple):
    """The first `length` events of a sequence, as one request's body."""

    length: int
    body: bytes


def make_batch(events: Sequence[Event], sent: datetime, limit: int = MAX_EVENTS) -> Batch:
    """As many of the first events as one request may carry: ≤ `limit` events, ≤ 256 KiB.

    >>> from rec.events import instant
    >>> make_batch([Event(event="search", event_id="e", user_id="u")], instant(0)).body
    b'{"events":[{"event":"search","event_id":"e","user_id":"u","sent_ts":"1970-01-01T00:00:00Z"}]}'
    """
    parts: list[bytes] = []
    size = _ENVELOPE
    for event in events[:limit]:
        raw = encode_event(msgspec.structs.replace(event, sent_ts=sent))
        size += len(raw) + 1
        if size > MAX_BODY_BYTES and parts:
            break
        parts.append(raw)
    return Batch(len(parts), b'{"events":[' + b",".join(parts) + b"]}")


class PutResult(msgspec.Struct, frozen=True):
    """What became of catalog items; `revision` is the catalog's since then, None if nothing was taken."""

    accepted: int = 0
    rejected: tuple[Rejection, ...] = ()
    revision: int | None = None

    def plus(self, other: PutResult, shift: int) -> PutResult:
        """Both together; the other's indexes begin at `shift`."""
        return PutResult(
            self.accepted + other.accepted,
            self.rejected + _moved(other.rejected, shift),
            self.revision if other.revision is None else other.revision,
        )


def item_batches(items: Iterable[Mapping[str, Any] | msgspec.Struct]) -> Iterator[Batch]:
    """Bodies of PUT /v1/items for any number of items, each ≤ 500 items and ≤ 256 KiB.

    >>> list(item_batches([{"item_id": "1", "title": "Tent"}]))
    [Batch(length=1, body=b'{"items":[{"item_id":"1","title":"Tent"}]}')]
    """
    parts: list[bytes] = []
    size = _ENVELOPE
    for at, item in enumerate(items):
        check_numbers({f"items[{at}]": item})
        raw = msgspec.json.encode(item)
        if len(raw) > MAX_BODY_BYTES // 2:
            raise TooLarge(f"an item of {len(raw)} bytes; send at most {MAX_BODY_BYTES // 2}: shorten its texts")
        if parts and (size + len(raw) + 1 > MAX_BODY_BYTES or len(parts) == MAX_EVENTS):
            yield _items(parts)
            parts, size = [], _ENVELOPE
        parts.append(raw)
        size += len(raw) + 1
    if parts:
        yield _items(parts)


def _items(parts: list[bytes]) -> Batch:
    return Batch(len(parts), b'{"items":[' + b",".join(parts) + b"]}")


def _moved(rejected: tuple[Rejection, ...], shift: int) -> tuple[Rejection, ...]:
    return tuple(msgspec.structs.replace(one, index=one.index + shift) for one in rejected)
