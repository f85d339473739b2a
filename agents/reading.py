"""The topic `examples`, of one partition: read ahead while somebody works on what came before, and taken as lessons."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from rec.examples import Lesson, decode_lesson
from rec.ports import Log, Record

AHEAD = 2_000  # records


def lesson_of(record: Record) -> Lesson | None:
    """None for what is none: deleted, or not readable."""
    try:
        return decode_lesson(record.value) if record.value is not None else None
    except msgspec.MsgspecError:
        return None


class Ahead:
    """What has been read and not yet taken."""

    def __init__(self) -> None:
        self._waiting: deque[Record] = deque()
        self._more, self._room = asyncio.Event(), asyncio.Event()
        self._room.set()
        self.reader: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    async def put(self, records: list[Record]) -> None:
        await self._room.wait()
        self._waiting.extend(records)
        self._more.set()
        if len(self._waiting) >= AHEAD:
            self._room.clear()

    async def take(self, limit: int, within_s: float) -> list[Record]:
        """Up to `limit` records; [] if there was none for `within_s`. Raises what has ended the reading."""
        if self.reader is not None and self.reader.done():
            self.reader.result()
        if not self._waiting:
            self._more.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._more.wait()
        taken = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        if len(self._waiting) < AHEAD:
            self._room.set()
        return taken


@contextlib.asynccontextmanager
async def reading(source: Log, topic: str, offset: int) -> AsyncIterator[Ahead]:
    """Read partition 0 from `offset` on, until the block is left."""
    ahead = Ahead()

    async def read() -> None:
        async with contextlib.aclosing(source.tail(topic, {0: offset})) as batches:  # type: ignore[type-var]
            async for records in batches:
                await ahead.put(records)

    ahead.reader = asyncio.create_task(read(), name=f"reading {topic}")
    try:
        yield ahead
    finally:
        ahead.reader.cancel()
        await asyncio.gather(ahead.reader, return_exceptions=True)


async def retained(
    source: Log, topic: str, end: int, begin: int = 0, idle_s: float = 5.0
) -> AsyncGenerator[Record, None]:
    """The records of partition 0 from `begin` to `end`, as far as they are still there.

    The last ones may have been deleted, so nothing for `idle_s` is the end, too.
    """
    if begin >= end:
        return
    async with reading(source, topic, begin) as ahead:
        while records := await ahead.take(AHEAD, idle_s):
            for record in records:
                if record.offset >= end:
                    return
                yield record
            if records[-1].offset >= end - 1:
                return
