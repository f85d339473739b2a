"""Reading what a topic retains: all of it, or an error. Silence of a broker is not the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing

import pytest

from agents.reading import retained
from rec.errors import Unavailable
from rec.ports import Record
from rec.store.memory import MemoryLog
from rec.topics import Topic


class Stalling(MemoryLog):
    """A log whose tail stops after each record until something is written; `dead`: for ever."""

    dead = False

    async def tail(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        for record in self.partitions(topic)[0].read((offsets or {}).get(0, 0), 2):
            yield [record]
            await self.changed()
        while self.dead:
            await self.changed()
        async with aclosing(super().tail(topic, {0: 2})) as batches:  # type: ignore[type-var]
            async for batch in batches:
                yield batch


async def filled(log: MemoryLog, count: int = 5) -> MemoryLog:
    await log.create([Topic("t", 1, {"cleanup.policy": "compact,delete"})])
    await log.publish_many("t", [(f"k{n}", b"v") for n in range(count)])
    return log


async def read(log: MemoryLog, end: int) -> list[int]:
    async with aclosing(retained(log, "t", end, idle_s=0.01, patience_s=0.2)) as records:
        return [record.offset async for record in records]


async def test_a_broker_that_is_silent_in_the_middle_is_waited_for() -> None:
    log = Stalling()
    await filled(log)

    async def found() -> list[int]:
        offsets = []
        async with aclosing(retained(log, "t", 5, idle_s=0.01, patience_s=60.0)) as records:
            async for record in records:
                offsets.append(record.offset)
                log.wake()  # the stall is over once the first record has come and gone
        return offsets

    assert await found() == [0, 1, 2, 3, 4]


async def test_a_broker_that_stays_silent_is_no_end_but_an_error() -> None:
    log = Stalling()
    log.dead = True
    await filled(log)
    with pytest.raises(Unavailable, match="nothing came"):
        await read(log, 5)


async def test_where_the_last_records_were_removed_the_end_is_found_all_the_same() -> None:
    log = await filled(MemoryLog())
    del log.partitions("t")[0].records[3:]
    assert await read(log, 5) == [0, 1, 2]
    del log.partitions("t")[0].records[:]
    assert await read(log, 5) == []


async def test_a_log_that_has_all_of_it_is_only_read() -> None:
    log = await filled(MemoryLog())
    assert await read(log, 5) == [0, 1, 2, 3, 4]
    assert await read(log, 3) == [0, 1, 2]
    assert (await log.ends("t"))[0] == 5
