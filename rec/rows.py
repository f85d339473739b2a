"""tables → **rows** → catalog or archive. A row of a file as an `Item` or an `Event`, or the reason why it is none.

Pure: `now` is an argument. Invariants: the same row gives the same event, id included, whatever file it is in; an
event keeps the time at which it happened, and was received then, so a replay of history finds none of it late.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from difflib import get_close_matches
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from rec.ads.ad import check_ad
from rec.catalog import Item
from rec.errors import BadInput
from rec.events import ID_RULE, Event
from rec.ingest import admit, explain
from rec.visible import check_item

ITEM_COLUMNS = Item.__struct_fields__
_EVENT_TEXTS = ("event", "event_id", "user_id", "visitor_id", "session_id", "search_term", "currency", "transaction_id")
_ITEM_PARTS = ("item_id", "index", "price", "quantity")  # of an event with one product a row
_CHOICES = ("personalization_storage", "analytics_storage", "ad_storage", "ad_personalization")
_TIMES = ("event_ts", "received_ts")
EVENT_COLUMNS = (
    *_EVENT_TEXTS, *_TIMES, *_ITEM_PARTS, "items", "value", "slate_id", "slate_version", "attribution",
    *_CHOICES, "consent", "context",
)  # fmt: skip
# Columns that our own exports and log records have, but that say nothing which the ones above do not.
IGNORED_COLUMNS = frozenset({"client_ts", "sent_ts", "day"})

_ITEM_TEXTS = frozenset(ITEM_COLUMNS) - {"price", "in_stock", "flagged", "attributes", "image_vector"}
_EVENTS = uuid5(NAMESPACE_URL, "https://pypi.org/project/shunxi/#imported-event")
_REMEDIES = {
    "item_id": f"Give {ID_RULE}",
    "title": "Give a title of 1 to 1024 characters",
    "price": "Give a number of at least 0, with a point and no currency sign, or leave it empty",
    "in_stock": "Give true or false, or how many there are, or leave it empty",
    "flagged": "Give true or false, or leave it empty",
    "url": "Give http://host/…, https://host/… or a path like /p/1, or leave it empty",
    "image_url": "Give http://host/…, https://host/… or a path like /p/1, or leave it empty",
    "attributes": "Give a JSON object, or leave it empty",
}
_encode = msgspec.json.Encoder(order="deterministic").encode


def item_of(row: Mapping[str, Any]) -> Item:
    """An item. Columns that an item does not have go into its attributes. Raises BadInput naming the field."""
    values = _present(row)
    attributes = _json_of(values.pop("attributes", {}), "attributes", dict)
    others = {name: values.pop(name) for name in list(values) if name not in ITEM_COLUMNS}
    for name in _ITEM_TEXTS & values.keys():
        values[name] = _text(values[name])
    if "in_stock" in values:
        values["in_stock"] = _some(values["in_stock"])
    if str(values.get("image_vector", "")).lstrip().startswith("["):
        values["image_vector"] = _json_of(values["image_vector"], "image_vector", list)
    try:
        values["attributes"] = msgspec.to_builtins({**others, **attributes}, str_keys=True)
        item = msgspec.convert(values, Item, strict=False)
    except msgspec.ValidationError as error:
        raise explain(error, _REMEDIES) from None
    check_item(item)
    check_ad(item)
    return item


def event_of(row: Mapping[str, Any], *, now: datetime, event: str | None = None) -> Event:
    """A historical event; `event` is the name where the row has none. Raises BadInput naming the field.

    Names of other vendors are taken as at the edge (`rec.ingest`). Products are in `items` (a list, or JSON), or one
    is in `item_id`, `index`, `price`, `quantity`. Without an `event_id` the row's content makes one.
    """
    values = _present(row)
    at = moment(values.pop("event_ts", None), "event_ts")
    received = moment(values.pop("received_ts"), "received_ts") if "received_ts" in values else at
    if max(at, received) > now:
        raise BadInput("event_ts: lies in the future. Give times in UTC, or with their zone.", field="event_ts")
    body: dict[str, Any] = {name: _text(values[name]) for name in _EVENT_TEXTS if name in values}
    body.setdefault("event", event)
    if body["event"] is None:
        message = "event: is missing. Name the column with --map event=…, or one event for all with --event."
        raise BadInput(message, field="event")
    body |= _parts(values)
    if "event_id" not in body:
        body["event_id"] = str(uuid5(_EVENTS, _encode([at, body]).decode()))
    admitted = admit(_encode(body), received=received).event
    return msgspec.structs.replace(admitted, event_ts=min(at, received))


def moment(value: Any, field: str) -> datetime:
    """A time as files have it: ISO 8601, a datetime or date, or seconds, ms, µs or ns since 1970; without zone UTC.

    >>> moment("2026-11-23 18:46:02+01:00", "t") == moment(1795455962000, "t") == moment("1795455962", "t")
    True
    """
    try:
        if isinstance(value, str):
            value = value.strip()
            number = value.replace(".", "", 1).removeprefix("-")
            value = float(value) if number.isdigit() and len(number) >= 9 else datetime.fromisoformat(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            seconds = float(value)
            while 1e11 < abs(seconds) < math.inf:  # the year 5138: it is a smaller unit
                seconds /= 1_000
            value = datetime.fromtimestamp(seconds, UTC)
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime(value.year, value.month, value.day)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        pass  # told below, like any other value that is no time
    what = "is missing" if value is None else "is no time"
    raise BadInput(f"{field}: {what}. Give ISO 8601 like 2026-11-23T17:46:02Z, or seconds since 1970.", field=field)


def check_columns(
    columns: Iterable[str] | None, mapping: Mapping[str, str], known: Iterable[str], required: Iterable[str]
) -> None:
    """Before the first row: every name of `--map` exists, and what every row needs is there. Raises BadInput.

    `required`: names; "user_id|visitor_id" asks for one of the two. All that is missing is told at once.
    """
    known = tuple(known)
    for ours in mapping:
        if ours not in known:
            raise BadInput(f"--map {ours}=…: there is no field {ours}{_hint(ours, known)}.", field=ours)
    if columns is None:
        return
    columns = tuple(columns)
    for ours, theirs in mapping.items():
        if theirs not in columns:
            raise BadInput(f"--map {ours}={theirs}: there is no column {theirs}{_hint(theirs, columns)}.", field=theirs)
    missing = [names.split("|")[0] for names in required if not {*columns, *mapping} & {*names.split("|")}]
    if missing:
        name, *others = missing
        if others:
            said = f"There are no columns {', '.join(missing)}. Name those that hold them"
        else:
            said = f"There is no column {name}. Name the one that holds it"
        maps = " ".join(f"--map {each}=COLUMN" for each in missing)
        one = " One event for all rows: --event NAME." if "event" in missing else ""
        raise BadInput(f"{said}: {maps}, of {', '.join(columns)}.{one}", field=name)


def _hint(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1)
    return f", did you mean {close[0]}?" if close else f"; there are {', '.join(known)}"


def _present(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the row says: an empty cell, a null and a NaN say nothing. Parquet's decimals are numbers like others."""
    return {
        name: float(value) if isinstance(value, Decimal) else value for name, value in row.items() if not _empty(value)
    }


def _empty(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip()) or (value != value)  # noqa: PLR0124 NaN


def _text(value: Any) -> Any:
    """Numbers in a column of ids or names are text; pandas makes whole numbers floats where a cell is empty."""
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float | UUID) else value


def _some(value: Any) -> Any:
    """Whether there is any of it, where a file says how many; what is no number is as it is.

    >>> _some("3"), _some("0"), _some("true")
    (True, False, 'true')
    """
    try:
        return value if isinstance(value, bool) else float(value) > 0
    except (TypeError, ValueError):
        return value


def _number(value: Any, field: str) -> Any:
    """A number where a cell has text; whole numbers as such. What is no number at all is for `admit` to refuse."""
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = math.nan
    if isinstance(number, float) and not math.isfinite(number):
        message = f"{field}: {str(value)[:64]!r} is no number. Give it with a point and no currency sign."
        raise BadInput(message, field=field)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _json_of(value: Any, field: str, kind: type) -> Any:
    """A nested value: as it is, or as JSON in a text cell."""
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"{field}: not valid JSON: {error}.", field=field) from None
    if not isinstance(value, kind):
        raise BadInput(f"{field}: not {'an object' if kind is dict else 'a list'}.", field=field)
    return value


def _parts(values: Mapping[str, Any]) -> dict[str, Any]:
    """The nested parts of an event, from columns of their own or from nested values."""
    body: dict[str, Any] = {}
    if "items" in values:
        items = _json_of(values["items"], "items", list)
        body["items"] = [_item_part(item) if isinstance(item, dict) else item for item in items]
    elif "item_id" in values:
        body["items"] = [_item_part({name: values[name] for name in _ITEM_PARTS if name in values})]
    if "value" in values:
        body["value"] = _number(values["value"], "value")
    attribution = _present(_json_of(values.get("attribution", {}), "attribution", dict))
    if "slate_id" in values:
        attribution["slate_id"] = _text(values["slate_id"])
    if "slate_version" in values:
        attribution["version"] = _number(values["slate_version"], "slate_version")
    consent = _present(_json_of(values.get("consent", {}), "consent", dict))
    consent |= {name: values[name] for name in _CHOICES if name in values}
    context = _json_of(values.get("context", {}), "context", dict)
    nested = {"attribution": attribution, "consent": consent, "context": context}
    return body | {name: value for name, value in nested.items() if value}


def _item_part(item: Mapping[str, Any]) -> dict[str, Any]:
    """One product of an event, with numbers where the cells had text."""
    part = _present(item)
    for name, value in part.items():
        part[name] = _text(value) if name == "item_id" else _number(value, name)
    return part
