"""The archiver's end: it leaves with what the log held when it was told to, however much comes in meanwhile."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from agents.archiver import BATCH, Archiver
from agents.metrics import Metrics
from rec.errors import Unavailable
from rec.events import Event, decode_event, encode_event, instant
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory.log import MemoryGroupReader
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


async def test_a_log_that_is_away_for_a_while_is_joined_again_and_nothing_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agents.archiver.REJOIN_S", 0.01)
    there, away = MemoryGroupReader.commit, ["once", "twice"]

    async def commit(self: MemoryGroupReader) -> None:
        if away:
            raise Unavailable(f"no broker, {away.pop()}")
        await there(self)

    monkeypatch.setattr(MemoryGroupReader, "commit", commit)
    async with MemoryLog() as log, MemoryDatabase() as database:
        await log.create([Topic(BEHAVIOR, 4, {})])
        await publish(log, 1)
        archiver = Archiver(
            source=log, topic=BEHAVIOR, group="archiver", database=database,
            forgetting=forgetting_of(database, MemoryExchange(), log), metrics=Metrics(), flush_s=0.01,
        )  # fmt: skip
        stop = asyncio.Event()
        async with asyncio.timeout(10):
            archiving = asyncio.create_task(archiver.run(stop))
            while away:
                await asyncio.sleep(0)
            await publish(log, 2)
            stop.set()
            await archiving
        kept = [decode_event(raw).event_id async for rows in database.read() for _, raw in rows]
    assert sorted(kept) == ["e1", "e2"]


async def test_a_log_that_is_away_from_the_start_ends_it() -> None:
    async with MemoryLog() as log, MemoryDatabase() as database:
        archiver = Archiver(
            source=log, topic="no such topic", group="archiver", database=database,
            forgetting=forgetting_of(database, MemoryExchange(), log), metrics=Metrics(), flush_s=0.01,
        )  # fmt: skip
        with pytest.raises(Unavailable, match="no such topic"):
            await archiver.run(asyncio.Event())
