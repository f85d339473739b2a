"""log `behavior` → **archive** (SQL), in a consumer group of its own, in batches, one row per event_id.

A process of its own: a slow or absent database must never hold up the way from an event to a list. What is not yet
archived waits in the log; the offsets are committed after the rows are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

import msgspec

from agents.behavior import read_event
from agents.forget import Forgetting, is_visitors
from agents.metrics import Metrics
from rec.errors import Unavailable
from rec.events import ERASE, Event, encode_event
from rec.ports import Database, GroupReader, Log, Record

log = logging.getLogger(__name__)

BATCH = 500


class Archiver:
    """Moves records of the behavior topic into the archive, in their order."""

    def __init__(
        self,
        *,
        source: Log,
        topic: str,
        group: str,
        database: Database,
        forgetting: Forgetting,
        metrics: Metrics,
        flush_s: float,
    ) -> None:
        self._source, self._topic, self._group = source, topic, group
        self._database, self._forgetting, self._metrics = database, forgetting, metrics
        self._flush_s = flush_s

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until `stop` is set, and then what the log still holds."""
        async with self._source.group(self._topic, self._group) as reader:
            while not stop.is_set():
                await self._turn(reader)
                with contextlib.suppress(TimeoutError):  # let a batch gather: each costs a transaction
                    async with asyncio.timeout(self._flush_s):
                        await stop.wait()
            while await self._turn(reader):
                pass

    async def _turn(self, reader: GroupReader) -> int:
        records = await reader.batch(BATCH, self._flush_s)
        if records:
            await self._store_until_done(records)
            await reader.commit()
            self._metrics.archive_lag.set(await reader.lag())
        return len(records)

    async def _store_until_done(self, records: list[Record]) -> None:
        pause = 0.1
        while True:
            try:
                await self._store(records)
                return
            except Unavailable as error:
                log.warning("the archive is away, trying again in %.1f s: %s", pause, error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)

    async def _store(self, records: list[Record]) -> None:
        rows: list[tuple[Event, bytes]] = []
        for record in records:
            try:
                event = read_event(record)
            except (msgspec.MsgspecError, ValueError):
                continue  # the worker puts it to the dead letters
            if event.event == ERASE:
                self._metrics.archived.inc(await self._database.append(rows))
                rows = []
                await self._erase(event)
            elif not self._forgetting.is_late(event.subject, event.at):
                rows.append((event, encode_event(event)))
        if rows:
            self._metrics.archived.inc(await self._database.append(rows))

    async def _erase(self, event: Event) -> None:
        self._forgetting.note(event)
        if is_visitors(event):
            await self._forgetting.suppress(event)
            removed = await self._database.delete_events_of(None, [event.subject])
        else:
            removed = await self._database.delete_events_of(event.subject)
        await self._forgetting.receipt(event, "archive", removed)
