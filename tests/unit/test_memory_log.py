"""What only the log in memory can show: its memory stays bounded."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from rec.errors import Unavailable
from rec.ports import Record
from rec.store.memory import MemoryLog
from rec.topics import Topic

HOUR_MS = "3600000"


async def first_batch(log: MemoryLog, topic: str, offset: int = 0) -> list[Record]:
    async with aclosing(log.tail(topic, {0: offset})) as batches:  # type: ignore[type-var]
        return await anext(batches)


async def test_records_older_than_the_retention_go_and_offsets_stay() -> None:
    clock = [0.0]
    log = MemoryLog(now=lambda: clock[0])
    await log.create([Topic("t", 1, {"retention.ms": HOUR_MS})])
    for minute in range(600):
        clock[0] = minute * 60.0
        await log.publish("t", "k", str(minute).encode())
    kept = await first_batch(log, "t")
    assert 60 <= len(kept) <= 120
    assert kept[0].offset == int(kept[0].value or b"") == 600 - len(kept)
    assert await log.ends("t") == {0: 600}
    assert await first_batch(log, "t", offset=3) == kept  # too old: the earliest


async def test_a_compacted_topic_does_not_grow_with_its_writes() -> None:
    log = MemoryLog()
    await log.create([Topic("t", 1, {"cleanup.policy": "compact"})])
    await log.publish_many("t", [(str(number % 7), str(number).encode()) for number in range(20_000)])
    assert len(log.partitions("t")[0].records) < 1_100
    assert await log.ends("t") == {0: 20_000}


async def test_a_topic_that_was_not_created_is_unavailable_not_made_by_accident() -> None:
    log = MemoryLog()
    with pytest.raises(Unavailable, match="'t' does not exist"):
        await log.publish("t", "k", b"v")
