"""client → **events** → log → state. What a shopper did, as it travels the wire and the `behavior` topic.

Names are GA4's; other vendors' names come in through `rec.ingest`. Pure data: nothing here reads a clock.
Invariant: an `Event` in the log always carries `received_ts` and `event_ts`, and `event_ts <= received_ts`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

MAX_ITEMS = 200  # items an event may name (GA4's own limit)
MAX_TEXT = 1024
MAX_AHEAD_S = 86_400.0  # of a producer's clock; what counts decays, and one event of the far future would end it all

# U+FFFD stands for what could not be read: two such ids may have been different ones. "." and ".." cannot be a part of
# a path: clients and proxies resolve them away (RFC 3986 §5.2.4).
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^(?!\.{1,2}\Z)[^\x00-\x1f\x7f\ufffd]+\Z")]
ID_RULE = 'an id of 1 to 128 whole characters without control characters, not "." or ".."'
Text = Annotated[str, msgspec.Meta(max_length=MAX_TEXT)]
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Choice = Literal["granted", "denied"]

ERASE = "$erase"  # a record of our own in the behavior topic: forget this user, from here on
CONSENT = "$consent"  # another: somebody to whom this id belongs made this choice; it holds for the id, too


class Action(msgspec.Struct, frozen=True):
    """What an event name means to the state. `gain` moves the interest in the item's category and brand."""

    gain: float
    needs_items: bool = True
    moves_list: bool = True


# An impression is no interest: it counts exposure and must never cause a push (the push would cause an impression).
ACTIONS: dict[str, Action] = {
    "view_item_list": Action(0.0, moves_list=False),
    "select_item": Action(1.0),
    "view_item": Action(1.0),
    "add_to_cart": Action(3.0),
    "remove_from_cart": Action(-1.0),
    "add_to_wishlist": Action(2.0),
    "purchase": Action(4.0),
    "search": Action(0.0, needs_items=False),
    "not_interested": Action(-4.0),
    "dwell": Action(0.5),
    "share": Action(2.0),
}
KNOWN = frozenset(ACTIONS) | {CONSENT, ERASE}  # the names of all events that somebody does something with
# Actions that say "I want this": they enter trails, counters and the recency-weighted profile.
POSITIVE = frozenset(name for name, action in ACTIONS.items() if action.gain > 0)


# Actions on pieces: a product named twice is two pieces, said so or not.
_OF_PIECES = frozenset({"add_to_cart", "remove_from_cart", "purchase"})


class EventItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One product of an event. `index` is its 0-based position in the list shown; `price` is per unit."""

    item_id: Id
    index: Annotated[int, msgspec.Meta(ge=0)] | None = None
    price: Annotated[float, msgspec.Meta(ge=0)] | None = None
    quantity: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Attribution(msgspec.Struct, frozen=True, omit_defaults=True):
    """The slate that the shopper acted on, sent back with the action."""

    slate_id: Id
    version: int | None = None


class Consent(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Google consent mode (v2). The first three choices and `ad_personalization` matter here; absent = as before, at
    first the setting's default.

    Whatever else is refused: a denial that is misspelt must not be taken for none.
    """

    personalization_storage: Choice | None = None
    analytics_storage: Choice | None = None
    ad_storage: Choice | None = None
    ad_user_data: Choice | None = None
    ad_personalization: Choice | None = None
    functionality_storage: Choice | None = None
    security_storage: Choice | None = None


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One behavior event. The last three fields are the server's; what a client puts there is overwritten.

    `withheld`: somebody it names had denied personalization, as the edge or the archive knew. It is no choice; see
    `rec.consent` for when it holds.
    """

    event: Text
    event_id: Id
    user_id: Id | None = None
    visitor_id: Id | None = None
    session_id: Id | None = None
    client_ts: Instant | None = None
    sent_ts: Instant | None = None
    items: Annotated[tuple[EventItem, ...], msgspec.Meta(max_length=MAX_ITEMS)] = ()
    attribution: Attribution | None = None
    search_term: Text | None = None
    value: float | None = None
    currency: Text | None = None
    transaction_id: Text | None = None
    consent: Consent | None = None
    context: dict[str, Any] = {}
    received_ts: Instant | None = None
    event_ts: Instant | None = None
    withheld: bool = False

    @property
    def subject(self) -> str:
        """Whose state this event changes, and the key of its partition: the user, else the visitor."""
        return self.user_id or self.visitor_id or ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody it names, the subject first."""
        return tuple(dict.fromkeys(name for name in (self.user_id, self.visitor_id) if name))

    @property
    def at(self) -> float:
        """When it happened, seconds since 1970."""
        return (self.event_ts or self.received_ts or _NEVER).timestamp()

    @property
    def received_at(self) -> float:
        """When the server took it, seconds since 1970."""
        return (self.received_ts or self.event_ts or _NEVER).timestamp()

    @property
    def personalization(self) -> Choice | None:
        return self.consent.personalization_storage if self.consent else None

    def says(self, use: str) -> Choice | None:
        """What its consent says of a use, by its name there."""
        choice: Choice | None = getattr(self.consent, use) if self.consent else None
        return choice


_NEVER = datetime.fromtimestamp(0, UTC)
_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Event)


def each_once(event: str, items: tuple[EventItem, ...]) -> tuple[EventItem, ...]:
    """Every product once, where it came first: how often one event names it must not weigh. `event` is its name.

    Nothing is lost of what was bought: pieces add up, and the price is their mean, so that the sum stays.

    >>> each_once("purchase", (EventItem("a", price=10.0, quantity=1), EventItem("a", price=7.0, quantity=2)))
    (EventItem(item_id='a', index=None, price=8.0, quantity=3),)
    """
    lines: dict[str, list[EventItem]] = {}
    for item in items:
        lines.setdefault(item.item_id, []).append(item)
    return items if len(lines) == len(items) else tuple(_joined(event, same) for same in lines.values())


def _joined(event: str, lines: list[EventItem]) -> EventItem:
    if len(lines) == 1:
        return lines[0]
    pieces = [1 if line.quantity is None else line.quantity for line in lines]
    said = event in _OF_PIECES or any(line.quantity is not None for line in lines)
    priced = [(line.price, count) for line, count in zip(lines, pieces, strict=True) if line.price is not None]
    price = next((price for price, _ in priced), None)
    if many := sum(count for _, count in priced):
        price = sum(price * count for price, count in priced) / many
    return msgspec.structs.replace(lines[0], price=price, quantity=sum(pieces) if said else None)


def encode_event(event: Event) -> bytes:
    """The event as JSON, the form it has in the log and in the archive."""
    return _encoder.encode(event)


def decode_event(raw: bytes) -> Event:
    """Read an event back from the log. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return _decoder.decode(raw)


def checked(event: Event, now: float) -> Event:
    """An event of the log as all of its readers take it at `now`: its times in UTC and in order.

    Raises ValueError for one that cannot be folded, that no table would take, or that was received far ahead of `now`:
    a producer other than the edge may have written anything that has the shape of an event.
    """
    if event.event not in KNOWN:
        raise ValueError(f"event: {event.event[:64]!r} is no event name; give one of {', '.join(sorted(ACTIONS))}")
    if event.event == ERASE and not _is_count(event.context.get("visitor", 1)):
        raise ValueError("context.visitor: give the visitor's number on the receipt, or leave it out")
    received, happened = _in_utc(event.received_ts), _in_utc(event.event_ts)
    if (latest := received or happened) is not None and latest.timestamp() > now + MAX_AHEAD_S:
        raise ValueError("received_ts: more than a day ahead; set the producer's clock, or leave the time out")
    if received is not None and happened is not None:
        happened = min(happened, received)
    if received is event.received_ts and happened is event.event_ts:
        return event
    return msgspec.structs.replace(event, received_ts=received, event_ts=happened)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and 0 < value < 2**31


def _in_utc(at: datetime | None) -> datetime | None:
    try:
        return at if at is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError("received_ts, event_ts: give a time between the years 1 and 9999 of UTC") from None


def instant(seconds: float) -> datetime:
    """Seconds since 1970 → aware datetime in UTC.

    >>> instant(0).isoformat()
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC)


def moment(seconds: float) -> datetime | None:
    """The same; None for 0, which stands for never."""
    return instant(seconds) if seconds > 0 else None
