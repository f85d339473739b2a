"""topic `feedback`, every partition → **rates** → GET /v1/feedback. Every worker reads all of it, so all rate alike.

The rates carry the offsets that they have learned, in one file with them, as the counters do (agents.counting). A list
that was counted before, or has come again with a newer revision, is known by a hash: see rec.rates.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from pathlib import Path

import msgspec

from rec.config import Settings
from rec.errors import ModelError
from rec.feedback import decode_example
from rec.files import write_atomically
from rec.ports import Log, Record
from rec.rates import LEVEL, STRENGTH, Rates
from rec.requests import AskRates

log = logging.getLogger(__name__)

SLICE_S = 0.005  # learning yields to the event loop after this long


class Rating:
    """Keeps `rates` up with the log, and the snapshot with the rates."""

    def __init__(self, *, rates: Rates, path: Path, source: Log, topic: str, snapshot_s: float) -> None:
        self.rates, self._path = rates, path
        self._source, self._topic, self._snapshot_s = source, topic, snapshot_s
        self._dirty = False
        self._still = asyncio.Lock()  # held while something is learned, and while a snapshot is put together

    async def run(self) -> None:
        """Learn for ever."""
        async for records in self._source.tail(self._topic, self.rates.offsets):
            await self._learn(records)

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
        self.rates.offsets[record.partition] = record.offset + 1
        if record.value is None:  # marked as deleted; what was counted of it names nobody
            return
        try:
            self.rates.learn(decode_example(record.value))
        except msgspec.MsgspecError as error:
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
            for part in self.rates.to_pieces():
                parts.append(part)
                if time.perf_counter() > until:
                    await asyncio.sleep(0)
                    until = time.perf_counter() + SLICE_S
        await asyncio.to_thread(write_atomically, self._path, b"".join(parts))

    def answer(self, request: AskRates, now: float) -> bytes:
        """The body of a reply: what is known of a kind, the most seen first."""
        ctr, cvr = self.rates.priors(now)
        feedback = {
            "by": request.by,
            "through": self.rates.through or None,
            "lists": self.rates.lists,
            "half_life_s": self.rates.half_life_s,
            "level": LEVEL,
            "prior": {"strength": STRENGTH, "ctr": ctr._asdict(), "cvr": cvr._asdict()},
            "rows": self.rates.rows(request.by, now, limit=request.n, key=request.key),
        }
        return msgspec.json.encode({"feedback": feedback})


def load_rates(path: Path, settings: Settings) -> Rates:
    """The rates of the last snapshot, or new ones; a snapshot that cannot be read is left aside, and said so."""
    try:
        return Rates.from_bytes(path.read_bytes(), settings.feedback_half_life_s)
    except FileNotFoundError:
        log.info("no rates yet; they are learned from the beginning of the log")
    except ModelError as error:
        log.warning("%s cannot be used (%s); learning from the beginning of the log", path, error.message)
    return Rates(settings.feedback_half_life_s)
