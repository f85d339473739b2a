"""The topic `examples`, of one partition: read ahead while somebody works on what came before, and taken as lessons."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from rec.errors import Unavailable
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
    source: Log, topic: str, end: int, begin: int = 0, idle_s: float = 5.0, patience_s: float = 30.0
) -> AsyncGenerator[Record, None]:
    """The records of partition 0 from `begin` to `end`, as far as they are still there. All of them, or Unavailable.

    The last ones may have been deleted, so that no record at or behind `end` ever comes; and a broker may be silent in
    the middle. To tell these apart a record without content is written after `idle_s` of silence: records come in
    order, so once it is read all before it were. Unavailable after `patience_s` of silence.
    """
    if begin >= end:
        return
    async with reading(source, topic, begin) as ahead:
        silent_s, marked = 0.0, False
        while silent_s < patience_s:
            records = await ahead.take(AHEAD, idle_s)
            silent_s = 0.0 if records else silent_s + idle_s
            for record in records:
                if record.offset >= end:
                    return
                yield record
            if records and records[-1].offset >= end - 1:
                return
            if not records and not marked:
                await source.publish(topic, f"read to {end} {secrets.token_hex(8)}", None)
                marked = True
    raise Unavailable(f"reading {topic!r} up to {end}: nothing came for {silent_s:g} s")
