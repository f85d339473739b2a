"""History once more: in its order, at its own times or faster."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rec.config import load_settings
from rec.events import Event, decode_event, encode_event
from rec.replay import replay
from rec.store.memory import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, topics

START = datetime(2026, 11, 1, tzinfo=UTC)


class Clock:
    """Time that passes when somebody waits for it."""

    def __init__(self) -> None:
        self.now = 100.0

    async def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


def an_event(n: int, seconds: float) -> Event:
    at = START + timedelta(seconds=seconds)
    return Event(event="search", event_id=f"e{n}", user_id=f"u{n % 3}", search_term="t", event_ts=at, received_ts=at)


async def replayed(
    seconds: list[float], speed: float | None, since: datetime | None = None
) -> tuple[list[tuple[str, float]], list[int]]:
    """(event_id, when published) of archived events that happened at these seconds; and what was told."""
    clock, database, told = Clock(), MemoryDatabase(), list[int]()
    log = MemoryLog(now=lambda: clock.now - 100.0)
    await log.create(topics(load_settings(partitions=1)))
    events = [an_event(n, at) for n, at in enumerate(seconds)]
    await database.append([(event, encode_event(event)) for event in events])
    count = await replay(
        database, log, BEHAVIOR, since=since, speed=speed, told=told.append, clock=lambda: clock.now, wait=clock.wait
    )
    records = []
    if count:
        async for batch in log.tail(BEHAVIOR):
            records += batch
            if len(records) == count:
                break
    return [(decode_event(record.value or b"").event_id, record.timestamp) for record in records], told


async def test_all_of_the_archive_is_published_in_its_order() -> None:
    published, told = await replayed([float(n % 7) for n in range(1_200)], None)
    assert [event_id for event_id, _ in published] == [f"e{n}" for n in range(1_200)]
    assert told == [500, 1_000, 1_200]
    assert {at for _, at in published} == {0.0}


async def test_only_what_happened_since_is_published() -> None:
    published, _ = await replayed([0, 1, 2, 3], None, START + timedelta(seconds=2))
    assert [event_id for event_id, _ in published] == ["e2", "e3"]


async def test_an_empty_archive_is_replayed_at_once() -> None:
    assert await replayed([], 1.0) == ([], [])


async def test_each_event_comes_when_its_time_has_come() -> None:
    published, _ = await replayed([0, 0, 60, 120, 120], 60.0)
    assert [event_id for event_id, _ in published] == ["e0", "e1", "e2", "e3", "e4"]
    assert [at for _, at in published] == pytest.approx([0, 0, 1, 2, 2])


async def test_an_event_out_of_order_comes_at_once_and_delays_nobody() -> None:
    published, _ = await replayed([0, 10, 5, 20], 10.0)
    assert [event_id for event_id, _ in published] == ["e0", "e1", "e2", "e3"]
    assert [at for _, at in published] == pytest.approx([0, 1, 1, 2])
