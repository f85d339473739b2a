"""log `behavior` → **archive** (SQL), in a consumer group of its own, in batches, one row per event_id.

A process of its own: a slow or absent database must never hold up the way from an event to a list. What is not yet
archived waits in the log; the offsets are committed after the rows are. Whose events are kept in full is decided here,
by the choices in the log, not by what the edge knew (see rec.archive_choices).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import msgspec

from agents.behavior import read_event
from agents.forget import Forgetting, is_visitors
from agents.metrics import Metrics
from rec.archive_choices import Choices
from rec.errors import Unavailable
from rec.events import ERASE, Event, encode_event
from rec.ports import Database, GroupReader, Log, Record

log = logging.getLogger(__name__)

BATCH = 500
REJOIN_S = 1.0  # after the log was away
_AWAY = "the log is away; who archives next, this one or another, goes on where this one was: %s"


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
        consent_default: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._topic, self._group = source, topic, group
        self._database, self._forgetting, self._metrics = database, forgetting, metrics
        self._flush_s, self._consent_default, self._clock = flush_s, consent_default, clock

    async def run(self, stop: asyncio.Event) -> None:
        """Archive until `stop` is set, and then what the log held at that moment.

        Raises Unavailable if the log is away at the start; later it is waited for.
        """
        joined = False
        while True:
            try:
                async with self._source.group(self._topic, self._group) as reader:
                    joined = True
                    await self._until(stop, reader)
                    return await self._rest(reader)
            except Unavailable as error:
                if not joined:
                    raise
                log.warning(_AWAY, error)
                if stop.is_set():
                    return
            await self._pause(stop, REJOIN_S)

    async def _until(self, stop: asyncio.Event, reader: GroupReader) -> None:
        while not stop.is_set():
            await self._turn(reader)
            await self._pause(stop, self._flush_s)  # let a batch gather: each costs a transaction

    async def _pause(self, stop: asyncio.Event, within_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await stop.wait()

    async def _rest(self, reader: GroupReader) -> None:
        """What lies before the ends of now. They stay where they are: the log may grow faster than it is read."""
        try:
            ends = await self._source.ends(self._topic)
            while any(at < ends.get(partition, 0) for partition, at in (await reader.positions()).items()):
                if not await self._turn(reader):
                    return
        except Unavailable as error:
            log.warning(_AWAY, error)

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
        now = self._clock()
        events = [event for record in records if (event := _readable(record, now)) is not None]
        hashes = {self._forgetting.hash(name) for event in events for name in event.names}
        known = await self._database.choices_of(sorted(hashes))
        choices = Choices(known, self._forgetting.hash, default=self._consent_default)
        rows: list[tuple[Event, bytes]] = []
        for event in events:
            if event.event == ERASE:
                await self._append(rows, choices)
                rows = []
                choices.forget(event.subject)
                await self._erase(event)
            elif not self._forgetting.is_late(event.subject, event.at):
                kept = choices.kept(event)
                rows.append((kept, encode_event(kept)))
        await self._append(rows, choices)

    async def _append(self, rows: list[tuple[Event, bytes]], choices: Choices) -> None:
        if rows:
            self._metrics.archived.inc(await self._database.append(rows, choices.changed))
            choices.changed = {}

    async def _erase(self, event: Event) -> None:
        self._forgetting.note(event)
        await self._database.forget_choices(self._forgetting.hash(event.subject))
        if is_visitors(event):
            await self._forgetting.suppress(event)
            removed = await self._database.delete_events_of(None, [event.subject])
        else:
            removed = await self._database.delete_events_of(event.subject)
        await self._forgetting.receipt(event, "archive", removed)


def _readable(record: Record, now: float) -> Event | None:
    """None for what is no event: the worker puts it to the dead letters."""
    try:
        return read_event(record, now)
    except (msgspec.MsgspecError, ValueError):
        return None
