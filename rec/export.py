"""archive → **export** → Parquet by day, for Spark, Flink, DuckDB or a notebook.

Layout (Hive's): `FOLDER/day=2026-11-23/part-00000.parquet`, one row an event, `day` the UTC date of `event_ts`.
Invariants: memory is bounded, however many days are mixed; a day is replaced as a whole or not at all, so an export
that is interrupted leaves the last one as it was.
"""

from __future__ import annotations

import secrets
import shutil
from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
from pyarrow import parquet

from rec.events import ACTIONS, Event, instant

GROUP_ROWS = 20_000  # of a day, written as one row group
MAX_HELD_ROWS = 100_000  # of all days, in memory
MAX_OPEN = 64  # files

_INSTANT = pa.timestamp("us", tz="UTC")
_ITEM = pa.struct(
    [
        pa.field("item_id", pa.string(), nullable=False),
        pa.field("index", pa.int32()),
        pa.field("price", pa.float64()),
        pa.field("quantity", pa.int32()),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("event_id", pa.string(), nullable=False),
        pa.field("event", pa.string(), nullable=False),
        pa.field("user_id", pa.string()),
        pa.field("visitor_id", pa.string()),
        pa.field("session_id", pa.string()),
        pa.field("event_ts", _INSTANT, nullable=False),
        pa.field("received_ts", _INSTANT, nullable=False),
        pa.field("client_ts", _INSTANT),
        pa.field("items", pa.list_(_ITEM), nullable=False),
        pa.field("slate_id", pa.string()),
        pa.field("slate_version", pa.int64()),
        pa.field("search_term", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("currency", pa.string()),
        pa.field("transaction_id", pa.string()),
        pa.field("personalization_storage", pa.string()),
        pa.field("analytics_storage", pa.string()),
        pa.field("ad_storage", pa.string()),
        pa.field("ad_personalization", pa.string()),
        pa.field("context", pa.string(), metadata={"content": "a JSON object"}),
    ]
)


def _at(event: Event) -> datetime:
    return (event.event_ts or instant(event.at)).astimezone(UTC)


def row_of(event: Event) -> dict[str, Any]:
    """The event as a row of `SCHEMA`; columns that are missing are null."""
    row: dict[str, Any] = {
        "event_id": event.event_id,
        "event": event.event,
        "user_id": event.user_id,
        "visitor_id": event.visitor_id,
        "session_id": event.session_id,
        "event_ts": _at(event),
        "received_ts": event.received_ts or _at(event),
        "client_ts": event.client_ts,
        "items": [(item.item_id, item.index, item.price, item.quantity) for item in event.items],
        "search_term": event.search_term,
        "value": event.value,
        "currency": event.currency,
        "transaction_id": event.transaction_id,
    }
    if event.attribution is not None:
        row |= {"slate_id": event.attribution.slate_id, "slate_version": event.attribution.version}
    if event.consent is not None:
        uses = ("personalization_storage", "analytics_storage", "ad_storage", "ad_personalization")
        row |= {use: event.says(use) for use in uses}
    if event.context:
        row["context"] = msgspec.json.encode(event.context).decode()
    return row


def batch_of(events: Sequence[Event]) -> pa.RecordBatch:
    """Events as one Arrow batch of `SCHEMA`."""
    rows = [row_of(event) for event in events]
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in SCHEMA]
    return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


class DayFiles:
    """Writes events of any days, in any order: `add` them, `finish`, and in any case `discard`. Blocks: use a thread.

    `since` and `until` (excluded) are the days that the export covers: of these, `folder` then holds what was added
    and nothing else. None: open-ended.
    """

    def __init__(self, folder: Path, since: date | None = None, until: date | None = None) -> None:
        self._folder, self._since, self._until = folder, since, until
        self._staging = folder / f".export-{secrets.token_hex(4)}"  # readers pass over names with a dot
        self._held: dict[date, list[Event]] = {}
        self._held_rows = 0
        self._open: OrderedDict[date, parquet.ParquetWriter] = OrderedDict()  # written to last: last
        self._parts: Counter[date] = Counter()
        self.rows: Counter[date] = Counter()

    def add(self, events: Sequence[Event]) -> None:
        """What is no behavior (a choice passed on to a visitor) is left out."""
        events = [event for event in events if event.event in ACTIONS]
        for event in events:
            day = _at(event).date()
            self._held.setdefault(day, []).append(event)
            self.rows[day] += 1
        self._held_rows += len(events)
        for day in [day for day, held in self._held.items() if len(held) >= GROUP_ROWS]:
            self._write(day)
        while self._held_rows > MAX_HELD_ROWS:
            self._write(max(self._held, key=lambda day: len(self._held[day])))

    def finish(self) -> None:
        """Write what is held, and put all days in place of those in the folder."""
        self._staging.mkdir(parents=True, exist_ok=True)
        for day in list(self._held):
            self._write(day)
        while self._open:
            self._open.popitem()[1].close()
        old = self._staging / "old"
        old.mkdir()
        for place in self._folder.glob("day=*"):
            if self._covers(place.name.removeprefix("day=")):
                place.rename(old / place.name)
        for place in self._staging.glob("day=*"):
            place.rename(self._folder / place.name)

    def discard(self) -> None:
        """Close and remove whatever is not in place; after `finish`, the days that were replaced."""
        while self._open:
            self._open.popitem()[1].close()
        if self._staging.exists():
            shutil.rmtree(self._staging)

    def _covers(self, day: str) -> bool:
        try:
            at = date.fromisoformat(day)
        except ValueError:
            return False  # not ours
        return (self._since is None or at >= self._since) and (self._until is None or at < self._until)

    def _write(self, day: date) -> None:
        events = self._held.pop(day)
        self._held_rows -= len(events)
        self._writer(day).write_batch(batch_of(events), row_group_size=GROUP_ROWS)

    def _writer(self, day: date) -> parquet.ParquetWriter:
        if day not in self._open:
            if len(self._open) == MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            place = self._staging / f"day={day.isoformat()}"
            place.mkdir(parents=True, exist_ok=True)
            path = place / f"part-{self._parts[day]:05d}.parquet"
            self._parts[day] += 1
            self._open[day] = parquet.ParquetWriter(path, SCHEMA, compression="zstd")
        self._open.move_to_end(day)
        return self._open[day]
