"""topic `feedback`, every partition → **outcomes**: what rates (agents.rating) and rewards (agents.rewarding) share.

Every worker reads all of it, so all learn alike, however the partitions of the user table move. What is learned
carries the offsets it has seen, in one file with it: a restart goes on where the file ends (as in agents.counting).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from agents.snapshots import kept
from rec.errors import BadInput, ModelError
from rec.feedback import FeedbackExample, decode_example
from rec.ports import Log, Record

log = logging.getLogger(__name__)

SLICE_S = 0.005  # learning, and putting a snapshot together, yield to the event loop after this long


class Pupil(Protocol):
    """What learns from joined lists."""

    offsets: dict[int, int]

    def learn(self, example: FeedbackExample, /) -> object: ...
    def to_pieces(self) -> Iterator[bytes]: ...


P = TypeVar("P", bound=Pupil)


class Outcomes(Generic[P]):
    """Keeps `pupil` up with the log, and the snapshot at `path` with the pupil."""

    def __init__(self, pupil: P, *, path: Path, source: Log, topic: str, snapshot_s: float) -> None:
        self.pupil, self._path = pupil, path
        self._source, self._topic, self._snapshot_s = source, topic, snapshot_s
        self._dirty = False
        self._still = asyncio.Lock()  # held while something is learned, and while a snapshot is put together

    async def run(self) -> None:
        """Learn for ever."""
        async for records in self._source.tail(self._topic, self.pupil.offsets):
            await self._learn(records)
            self.learned()

    def learned(self) -> None:
        """After some records."""

    async def _learn(self, records: list[Record]) -> None:
        waiting = deque(records)
        while waiting:
            async with self._still:
                until = time.perf_counter() + SLICE_S
                while waiting and time.perf_counter() < until:
                    self._learn_one(waiting.popleft())
            await asyncio.sleep(0)
        self._dirty = True

    def _learn_one(self, record: Record) -> None:
        self.pupil.offsets[record.partition] = record.offset + 1
        if record.value is None:  # marked as deleted; what was counted of it names nobody
            return
        try:
            self.pupil.learn(decode_example(record.value))
        except (msgspec.MsgspecError, BadInput) as error:
            log.warning("%s[%d]@%d is no feedback: %s", record.topic, record.partition, record.offset, error)

    async def save_for_ever(self) -> None:
        """A snapshot every `snapshot_s`, if there is something new."""
        while True:
            await asyncio.sleep(self._snapshot_s)
            await self.save()

    async def save(self) -> None:
        """Write the snapshot, if there is something new."""
        if not self._dirty:
            return
        self._dirty = False
        async with self._still:
            parts, until = [], time.perf_counter() + SLICE_S
            for part in self.pupil.to_pieces():
                parts.append(part)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE_S
        if not await kept(self._path, b"".join(parts)):
            self._dirty = True


def last_or_new(path: Path, read: Callable[[bytes], P], new: Callable[[], P], what: str) -> P:
    """What the last snapshot holds, or a new one; a snapshot that cannot be read is left aside, and said so."""
    try:
        return read(path.read_bytes())
    except FileNotFoundError:
        log.info("no %s yet; they are learned from the beginning of the log", what)
    except ModelError as error:
        log.warning("%s cannot be used (%s); learning from the beginning of the log", path, error.message)
    return new()
