"""The archiver's end: it leaves with what the log held when it was told to, however much comes in meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

from agents.archiver import BATCH, Archiver
from agents.metrics import Metrics
from rec.events import Event, decode_event, encode_event, instant
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, Topic
from tests.loop.local import forgetting_of
from tests.unit.shop import NOW


async def publish(log: MemoryLog, n: int) -> None:
    at = instant(NOW + n)
    event = Event(event="search", event_id=f"e{n}", user_id=f"u{n % 7}", received_ts=at, event_ts=at)
    await log.publish(BEHAVIOR, event.subject, encode_event(event))


async def test_it_ends_while_events_come_in_and_has_archived_what_came_before_the_signal() -> None:
    async with MemoryLog() as log, MemoryDatabase() as database:
        await log.create([Topic(BEHAVIOR, 4, {})])
        archiver = Archiver(
            source=log, topic=BEHAVIOR, group="archiver", database=database,
            forgetting=forgetting_of(database, MemoryExchange(), log), metrics=Metrics(), flush_s=0.05,
        )  # fmt: skip
        before = BATCH + 10  # more than one turn
        for n in range(before):
            await publish(log, n)

        async def traffic() -> None:
            n = before
            while True:
                await publish(log, n)
                n += 1
                await asyncio.sleep(0)

        stop = asyncio.Event()
        stop.set()
        coming = asyncio.create_task(traffic())
        try:
            async with asyncio.timeout(10):
                await archiver.run(stop)
        finally:
            coming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await coming
        kept = {decode_event(raw).event_id async for rows in database.read() for _, raw in rows}
        assert {f"e{n}" for n in range(before)} <= kept
