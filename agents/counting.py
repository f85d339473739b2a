"""log `behavior`, every partition → **shared counters**. Every worker reads the whole topic, so all count alike.

The counters carry the offsets they have learned, and both are saved in one file: a restart goes on where the file
ends and counts each event once. Partitions may move between workers as they like; these readers have no group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from agents.behavior import read_event
from agents.forget import Forgetting
from agents.metrics import Metrics
from agents.snapshots import kept
from rec.ads.apart import without_ads
from rec.as_of_now import up_to
from rec.config import Settings
from rec.counters import Counters
from rec.errors import ModelError, Unavailable
from rec.events import ERASE, Event
from rec.ports import Log, Record
from rec.state import FacetsOf

log = logging.getLogger(__name__)

STAYS = "the trail is gone; counts over all users stay, they name nobody"
SLICE_S = 0.005  # learning, and putting a snapshot together, yield to the event loop after this long


class Counting:
    """Keeps `counters` up with the log, and the snapshot with the counters."""

    def __init__(
        self,
        *,
        counters: Counters,
        facets: FacetsOf,
        path: Path,
        source: Log,
        topic: str,
        forgetting: Forgetting,
        metrics: Metrics,
        snapshot_s: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._counters, self._facets, self._path, self._source, self._topic = counters, facets, path, source, topic
        self._forgetting, self._metrics = forgetting, metrics
        self._snapshot_s, self._clock = snapshot_s, clock
        self._dirty = False
        self._unsaid: list[Event] = []  # erasures whose users the last snapshot still knows
        self._saving = asyncio.Lock()  # an older snapshot must not be written over a newer one
        self._still = asyncio.Lock()  # held while a snapshot is put together

    async def caught_up(self, timeout_s: float = 60.0) -> None:
        """Learn up to the ends of now, before the first list is made. Gives up waiting after `timeout_s`."""
        ends = await self._source.ends(self._topic)
        at = self._counters.offsets
        try:
            async with (
                asyncio.timeout(timeout_s),
                contextlib.aclosing(up_to(self._source, self._topic, ends, dict(at))) as batches,
            ):
                async for records in batches:
                    await self._learn(records)
        except TimeoutError:
            behind = sum(at.get(partition, 0) < end for partition, end in ends.items())
            log.warning("the counters are still behind in %d partition(s); they catch up while serving", behind)

    async def run(self) -> None:
        """Learn for ever."""
        async for records in self._source.tail(self._topic, self._counters.offsets):
            await self._learn(records)

    async def save_for_ever(self) -> None:
        """A snapshot every `snapshot_s`, if there is something new."""
        while True:
            await asyncio.sleep(self._snapshot_s)
            await self.save()

    async def save(self) -> None:
        """Write the snapshot, if there is something new. While it is put together nothing is learned.

        Erasures it is the first without get their receipts.
        """
        async with self._saving:
            if not self._dirty:
                return
            self._dirty = False
            erased, self._unsaid = self._unsaid, []
            written = False
            try:
                written = await kept(self._path, await self._snapshot())
            finally:  # a failure, or whoever waited for this gave up: the receipts are still owed
                if not written:
                    self._dirty, self._unsaid = True, [*erased, *self._unsaid]
            if not written:
                return
        for event in erased:
            try:
                await self._forgetting.receipt(event, "counters", 1, STAYS)
            except Unavailable as error:
                log.warning("an erasure's receipt is incomplete: %s", error)

    async def _snapshot(self) -> bytes:
        async with self._still:
            parts, began = [], time.perf_counter()
            for part in self._counters.to_pieces():
                parts.append(part)
                if time.perf_counter() - began > SLICE_S:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
        return b"".join(parts)

    async def _learn(self, records: list[Record]) -> None:
        began = time.perf_counter()
        for record in records:
            if self._still.locked():
                async with self._still:
                    began = time.perf_counter()
            self._counters.offsets[record.partition] = record.offset + 1
            try:
                event = read_event(record, self._clock())
            except (msgspec.MsgspecError, ValueError):
                continue  # the owner of the partition puts it to the dead letters
            if event.event == ERASE:
                await self._forget(event)
            elif not self._forgetting.is_late(event.subject, event.at) and self._counters.learn(
                without_ads(event, self._facets)
            ):
                self._metrics.counted.inc()
            if time.perf_counter() - began > SLICE_S:
                await asyncio.sleep(0)
                began = time.perf_counter()
        self._dirty = True

    async def _forget(self, event: Event) -> None:
        """Drop the trail, and do not wait for the next snapshot: the file must not remember either."""
        self._forgetting.note(event)
        self._counters.forget(event.subject)
        self._unsaid.append(event)
        self._dirty = True
        await self.save()


def load_counters(path: Path, settings: Settings) -> Counters:
    """The counters of the last snapshot, or new ones; a snapshot that cannot be read is left aside, and said so."""
    consent = settings.consent_default == "granted"
    try:
        return Counters.from_bytes(path.read_bytes(), settings.popularity_half_life_s, consent_default=consent)
    except FileNotFoundError:
        log.info("no counters yet; they are learned from the beginning of the log")
    except ModelError as error:
        log.warning("%s cannot be used (%s); learning from the beginning of the log", path, error.message)
    return Counters(settings.popularity_half_life_s, consent_default=consent)
