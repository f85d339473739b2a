"""client → **ingest** → log `behavior`. What may enter: one event or a batch, as bytes, into `Event`s with a time.

Pure: `received` is an argument. Invariants: an admitted event has a known name, somebody it belongs to, and
`event_ts <= received_ts`; one bad event never costs a good one its place; every refusal names the field and the remedy.

Names are GA4's. Segment's, Google Retail's and Algolia's are translated (the names alone: the fields are ours), and
the translation is reported back. Algolia counts positions from 1, so under its names `index` is lowered by one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from rec.errors import BadInput, TooLarge
from rec.events import ACTIONS, ID_RULE, MAX_ITEMS, MAX_TEXT, Event, EventItem, each_once
from rec.halves import decoded
from rec.protocol import MAX_BODY_BYTES, MAX_EVENTS
from rec.visible import check_event

MAX_AGE = timedelta(days=7)
MAX_CONTEXT_BYTES = 2_048
NEAR = 0.91  # of 1: so alike a name must be to a field's to be it misspelt
MAX_COUNT = 2**31 - 1  # of index, quantity and version: what a column of the archive holds

_SEGMENT = {  # segment.com, "Ecommerce Spec v2"
    "Product List Viewed": "view_item_list",
    "Product Clicked": "select_item",
    "Product Viewed": "view_item",
    "Product Added": "add_to_cart",
    "Product Removed": "remove_from_cart",
    "Product Added to Wishlist": "add_to_wishlist",
    "Product Shared": "share",
    "Order Completed": "purchase",
    "Products Searched": "search",
}
_GOOGLE = {  # Vertex AI Search for commerce, "User events"; and GA4's own second name of a search
    "home-page-view": "view_item_list",
    "category-page-view": "view_item_list",
    "detail-page-view": "view_item",
    "add-to-cart": "add_to_cart",
    "remove-from-cart": "remove_from_cart",
    "purchase-complete": "purchase",
    "view_search_results": "search",
}
_ALGOLIA = {  # Algolia Insights API, `eventType` and `eventSubtype` as its clients name the calls
    "clickedObjectIDs": "select_item",
    "clickedObjectIDsAfterSearch": "select_item",
    "viewedObjectIDs": "view_item",
    "addedToCartObjectIDs": "add_to_cart",
    "addedToCartObjectIDsAfterSearch": "add_to_cart",
    "purchasedObjectIDs": "purchase",
    "purchasedObjectIDsAfterSearch": "purchase",
}
ALIASES: dict[str, str] = {**_SEGMENT, **_GOOGLE, **_ALGOLIA}

REMEDIES = {
    "event": "Name what happened, for example view_item or add_to_cart",
    "event_id": "Make one UUIDv7 for each event, and send the same one again when you retry",
    "user_id": f"Send {ID_RULE}, or leave it out and send visitor_id",
    "visitor_id": f"Send {ID_RULE}, or leave it out and send user_id",
    "session_id": f"Send {ID_RULE}, or leave it out",
    "client_ts": "Write RFC 3339 with a zone, like 2026-11-23T17:46:02.120Z",
    "sent_ts": "Write RFC 3339 with a zone, like 2026-11-23T17:46:02.120Z",
    "received_ts": "Leave it out: the server sets it",
    "event_ts": "Leave it out: the server sets it",
    "withheld": "Leave it out: the server sets it",
    "items": f'Send a list of at most {MAX_ITEMS} objects like {{"item_id":"sku_77","index":3}}',
    "item_id": f"Send {ID_RULE}",
    "index": f"Send the 0-based position in the list as a whole number of at most {MAX_COUNT}, or leave it out",
    "price": "Send the price of one piece as a number of at least 0, or leave it out",
    "quantity": f"Send a whole number from 0 to {MAX_COUNT}, or leave it out",
    "attribution": 'Send {"slate_id":"…","version":42} from the slate that was acted on, or leave it out',
    "slate_id": "Send the slate_id of the slate that was acted on",
    "version": f"Send the version of the slate, a whole number from 0 to {MAX_COUNT}, or leave it out",
    "value": "Send a number, or leave it out",
    "consent": 'Send {"personalization_storage":"granted"} or "denied", or leave it out',
    "personalization_storage": 'Send "granted" or "denied", or leave it out',
    "analytics_storage": 'Send "granted" or "denied", or leave it out',
    "context": f"Send an object of at most {MAX_CONTEXT_BYTES} bytes, or leave it out",
}
_TEXT_REMEDY = f"Send a string of at most {MAX_TEXT} characters, or leave it out"

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key` in `|key in )?(?P<path>\$.*)`)?$", re.DOTALL)
_OWN = re.compile(r"^(?P<field>[a-z_]+): (?P<what>.*)$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(?P<name>.+)`$")
_QUOTE = 64  # characters of the client's own words that an answer repeats


class _Batch(msgspec.Struct):
    events: list[msgspec.Raw]


_decode_event = msgspec.json.Decoder(Event).decode
_decode_batch = msgspec.json.Decoder(_Batch).decode
_FIELDS = frozenset(Event.__struct_fields__)
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode
_encoded = msgspec.json.Encoder().encode


class Admitted(NamedTuple):
    """An event that may enter the log. `alias` is the foreign name it came under, if any."""

    event: Event
    alias: str | None


class Batch(NamedTuple):
    """What became of a batch: (index, admitted) pairs, and one dict for each event that was refused."""

    admitted: list[tuple[int, Admitted]]
    rejected: list[dict[str, object]]


def admit(raw: msgspec.Raw | bytes, *, received: datetime) -> Admitted:
    """One event as JSON → the event as the log keeps it. Raises BadInput naming the field and the remedy."""
    event = _decoded(raw)
    name, alias = event.event, None
    if name in ALIASES:
        name, alias = ALIASES[name], name
    if name.startswith("$"):
        raise BadInput("Names that begin with $ are the server's own.", code="reserved_event", field="event")
    if name not in ACTIONS:
        raise _unknown(name)
    if not event.user_id and not event.visitor_id:
        raise _nobody(raw)
    items = _from_one(event.items) if alias in _ALGOLIA else event.items
    if ACTIONS[name].needs_items and not items:
        raise BadInput(f"{name} needs at least one item. {REMEDIES['items']}.", code="missing_items", field="items")
    _check_names(raw)
    _check_sizes(event)
    check_event(event)
    if (once := each_once(name, items)) is not items:
        _check_sizes(msgspec.structs.replace(event, items=once))  # their sum is a number like any other
    ours = {"received_ts": received, "event_ts": _event_ts(event, received), "withheld": False}
    return Admitted(msgspec.structs.replace(event, event=name, items=once, **ours), alias)


def admit_all(raws: Sequence[msgspec.Raw | bytes], *, received: datetime) -> Batch:
    """A list of events → each admitted or refused by itself. Raises BadInput if there are none, or more than 500."""
    if not raws:
        raise BadInput("There are no events. Send at least one.", code="no_events", field="events")
    if len(raws) > MAX_EVENTS:
        message = f"{len(raws)} events at once. Send at most {MAX_EVENTS}, the rest in another request."
        raise TooLarge(message, code="too_many_events", field="events")
    batch = Batch([], [])
    for index, raw in enumerate(raws):
        try:
            batch.admitted.append((index, admit(raw, received=received)))
        except BadInput as error:
            batch.rejected.append(rejection(index, error))
    return batch


def admit_batch(body: bytes, *, received: datetime) -> Batch:
    """A body {"events":[…]} → each event admitted or refused by itself. Raises BadInput if the body is unusable."""
    if len(body) > MAX_BODY_BYTES:
        message = f"{len(body)} bytes. Send at most {MAX_BODY_BYTES}, the rest in another request."
        raise TooLarge(message)
    try:
        raws = decoded(_decode_batch, body).events
    except msgspec.ValidationError as error:
        raise explain(error, {"events": 'Send {"events":[…]}, a list of event objects'}) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None
    return admit_all(raws, received=received)


def rejection(index: int, error: BadInput) -> dict[str, object]:
    """The entry of a reply's `rejected` list: index, code, message, and field and did_you_mean where known.

    >>> rejection(2, BadInput("Send an id.", field="event_id"))
    {'index': 2, 'code': 'bad_request', 'message': 'Send an id.', 'field': 'event_id'}
    """
    body = {name: value for name, value in error.as_dict().items() if name != "temporary"}
    return {"index": index, **body}


def explain(error: msgspec.ValidationError, remedies: dict[str, str] = REMEDIES) -> BadInput:
    """msgspec's complaint → the field it is about, and what to do. `remedies` are by the field's own name.

    >>> error = explain(msgspec.ValidationError("Expected `str`, got `int` - at `$.items[0].item_id`"))
    >>> error.code, error.field
    ('invalid_field', 'items[0].item_id')
    """
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"] or "$") if match else (str(error), "$")
    field = path.removeprefix("$").removeprefix(".")
    if (own := _OWN.match(what)) is not None:  # said by the struct itself, with the field and the remedy
        field = f"{field}.{own['field']}" if field else own["field"]
        return BadInput(f"{field}: {own['what']}.", code="invalid_field", field=field)
    code = "invalid_field"
    if missing := _MISSING.match(what):
        field = f"{field}.{missing['name']}" if field else missing["name"]
        code, what = "missing_field", "is missing"
    elif "matching regex" in what:  # the pattern would help nobody
        what = "is not of the form that is allowed here"
    else:
        what = what[:1].lower() + what[1:]
        what = what if len(what) <= 2 * _QUOTE else what[: 2 * _QUOTE] + "…"
    name = re.sub(r"\[[^\]]*\]", "", field).rpartition(".")[2]
    remedy = remedies.get(name, _TEXT_REMEDY if remedies is REMEDIES and name else "See /openapi.json")
    if not field:
        remedy = "Send a JSON object"
    return BadInput(f"{field or 'The body'}: {what}. {remedy}.", code=code, field=field or None)


def not_json(error: Exception) -> BadInput:
    """The refusal of bytes that are not JSON, or JSON that is nested beyond reason."""
    why = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return BadInput(f"This is not valid JSON in UTF-8: {why}.", code="not_json")


def _decoded(raw: msgspec.Raw | bytes) -> Event:
    try:
        return _decode_event(raw)
    except msgspec.ValidationError as error:
        raise explain(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise not_json(error) from None


def _unknown(name: str) -> BadInput:
    known = {spelling.lower(): spelling for spelling in (*ALIASES, *ACTIONS)}
    close = get_close_matches(name[:_QUOTE].lower(), known, n=1)
    meant = known[close[0]] if close else None
    message = f"There is no event {name[:_QUOTE]!r}. " + (
        f"Did you mean {meant}?" if meant else f"Known are: {', '.join(ACTIONS)}."
    )
    return BadInput(message, code="unknown_event", field="event", did_you_mean=meant)


def _check_names(raw: msgspec.Raw | bytes) -> None:
    """A field that is nearly one of ours is one of ours misspelt; what else a client adds is its own business."""
    for name in _decode_fields(raw).keys() - _FIELDS:
        if meant := _near(name[:_QUOTE]):
            message = f"There is no field {name[:_QUOTE]!r}. Did you mean {meant}?"
            raise BadInput(message, code="unknown_field", field=name[:_QUOTE], did_you_mean=meant)


@lru_cache(4_096)
def _near(name: str) -> str | None:
    """
    >>> _near("atribution"), _near("userId"), _near("page_location")
    ('attribution', 'user_id', None)
    """
    plain = {field.replace("_", ""): field for field in _FIELDS}
    close = get_close_matches(re.sub(r"[^a-z]", "", name.lower()), plain, n=1, cutoff=NEAR)
    return plain[close[0]] if close else None


def _nobody(raw: msgspec.Raw | bytes) -> BadInput:
    """Neither user nor visitor. Perhaps they are there under another spelling: userId, userid, user."""
    spellings = [name for name in _decode_any(raw) if name not in Event.__struct_fields__]
    plain = {re.sub(r"[^a-z]", "", name.lower()): name for name in spellings}
    meant = next(
        (
            good
            for good, other in (("user_id", "userid"), ("visitor_id", "visitorid"), ("visitor_id", "anonymousid"))
            if get_close_matches(other, plain, n=1, cutoff=0.8)
        ),
        None,
    )
    message = "Nobody is named. Send user_id, or visitor_id for somebody who has not logged in."
    return BadInput(message, code="missing_user", field="user_id", did_you_mean=meant)


def _from_one(items: tuple[EventItem, ...]) -> tuple[EventItem, ...]:
    """Positions counted from 1 → counted from 0."""
    for at, item in enumerate(items):
        if item.index == 0:
            message = f"items[{at}].index: Algolia's positions begin at 1. Send 1 for the first place."
            raise BadInput(message, code="invalid_field", field=f"items[{at}].index")
    return tuple(item if item.index is None else msgspec.structs.replace(item, index=item.index - 1) for item in items)


def _check_sizes(event: Event) -> None:
    """What the types cannot say: numbers that no column holds or no list has, and the size of the context."""
    for at, item in enumerate(event.items):
        for name, value in (("index", item.index), ("quantity", item.quantity)):
            if value is not None and value > MAX_COUNT:
                field = f"items[{at}].{name}"
                raise BadInput(f"{field}: too large. {REMEDIES[name]}.", code="invalid_field", field=field)
    if event.attribution and not 0 <= (version := event.attribution.version or 0) <= MAX_COUNT:
        field, what = "attribution.version", "negative" if version < 0 else "too large"
        raise BadInput(f"{field}: {what}. {REMEDIES['version']}.", code="invalid_field", field=field)
    if event.context and (size := len(_encoded(event.context))) > MAX_CONTEXT_BYTES:
        message = f"context: {size} bytes. {REMEDIES['context']}."
        raise BadInput(message, code="context_too_large", field="context")


def _event_ts(event: Event, received: datetime) -> datetime:
    """received − clamp(sent − client, 0, 7 d): right even if the client's clock is not (Segment, Snowplow).

    A denial without `sent_ts` is as of its receipt. Nothing proves the one stamp, and a clock that is behind would make
    the denial older than the grant it withdraws. A grant keeps the stamp: it may be older than a denial already here.
    """
    if event.client_ts is None or (event.sent_ts is None and _denies(event)):
        return received
    waited = (event.sent_ts or received) - event.client_ts
    if waited > MAX_AGE and event.sent_ts is not None:
        message = (
            f"client_ts: more than {MAX_AGE.days} days before sent_ts. Take both from one clock, "
            "or load history with `rec events import`."
        )
        raise BadInput(message, code="too_old", field="client_ts")
    if waited > MAX_AGE:
        message = (
            f"client_ts: more than {MAX_AGE.days} days ago. Set the client's clock, or send sent_ts too, "
            "or load history with `rec events import`."
        )
        raise BadInput(message, code="too_old", field="client_ts")
    return received - max(waited, timedelta(0))


def _denies(event: Event) -> bool:
    choice = event.consent
    return choice is not None and "denied" in (choice.personalization_storage, choice.analytics_storage)
