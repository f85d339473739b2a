"""`Log` inside one process: partitions are lists, a group is a dict of committed offsets.

Invariants: offsets only grow; retention and compaction remove records, never renumber them; a record that `batch`
returned and nobody committed is returned again to whoever owns the partition next.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from types import TracebackType

from rec.errors import Unavailable
from rec.ports import Record
from rec.store.topics import partitions_differ
from rec.topics import Topic, partition_of

_offset = attrgetter("offset")
_timestamp = attrgetter("timestamp")
_COMPACT_ABOVE = 1_000  # superseded records in a partition before it is rewritten
_TAIL_BATCH = 500


class _Partition:
    """Records in the order of their offsets, with Kafka's two ways of forgetting."""

    def __init__(self, topic: str, number: int, config: Mapping[str, str]) -> None:
        self.topic, self.number = topic, number
        self.records: list[Record] = []
        self.end = 0
        self._compacted = "compact" in config.get("cleanup.policy", "delete")
        self._retention_s = float(config.get("retention.ms", "inf")) / 1_000
        self._newest: dict[bytes, int] = {}

    def append(self, key: bytes, value: bytes | None, now: float) -> None:
        self.records.append(Record(self.topic, self.number, self.end, now, key, value))
        if self._compacted:
            self._newest[key] = self.end
            if len(self.records) > 2 * len(self._newest) + _COMPACT_ABOVE:
                self.records = [r for r in self.records if self._newest[r.key] == r.offset]
        elif self.records[len(self.records) // 4].timestamp < now - self._retention_s:  # a quarter at a time is cheap
            del self.records[: bisect_left(self.records, now - self._retention_s, key=_timestamp)]
        self.end += 1

    def read(self, offset: int, limit: int) -> list[Record]:
        """Up to `limit` records from `offset`, or from the first kept one after it."""
        at = bisect_left(self.records, offset, key=_offset)
        return self.records[at : at + limit]


class MemoryLog:
    """All topics of one process. Any number of nodes may write, tail and join groups on the same instance."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._topics: dict[str, list[_Partition]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._waiters: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> MemoryLog:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close: other nodes may still use the log."""

    async def create(self, topics: Iterable[Topic]) -> None:
        for topic in topics:
            existing = self._topics.get(topic.name)
            if existing is None:
                self._topics[topic.name] = [_Partition(topic.name, p, topic.config) for p in range(topic.partitions)]
            elif len(existing) != topic.partitions:
                raise partitions_differ(topic, len(existing))

    async def publish(self, topic: str, key: str, value: bytes | None) -> None:
        await self.publish_many(topic, [(key, value)])

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        partitions, now = self.partitions(topic), self._now()
        for key, value in pairs:
            raw = key.encode()
            partitions[partition_of(raw, len(partitions))].append(raw, value, now)
        self.wake()
        await asyncio.sleep(0)  # a real acknowledgement lets others run, too

    async def ends(self, topic: str) -> dict[int, int]:
        return {partition.number: partition.end for partition in self.partitions(topic)}

    async def first_from(self, topic: str, partition: int, offset: int) -> int | None:
        found = self.partitions(topic)[partition].read(offset, 1)
        return found[0].offset if found else None

    async def tail(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        partitions = self.partitions(topic)
        positions = {p.number: (offsets or {}).get(p.number, 0) for p in partitions}
        positions = {p.number: positions[p.number] if positions[p.number] <= p.end else 0 for p in partitions}
        while True:
            idle = True
            for partition in partitions:
                if batch := partition.read(positions[partition.number], _TAIL_BATCH):
                    idle, positions[partition.number] = False, batch[-1].offset + 1
                    yield batch
            if idle:
                await self.changed()

    def group(self, topic: str, group: str) -> MemoryGroupReader:
        shared = self._groups.setdefault((topic, group), _Group())
        return MemoryGroupReader(self, topic, shared)

    def partitions(self, topic: str) -> list[_Partition]:
        try:
            return self._topics[topic]
        except KeyError:
            raise Unavailable(f"topic {topic!r} does not exist; create it first", field="topic") from None

    def wake(self) -> None:
        """Something was appended, or a group has other members: whoever waits should look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def changed(self, within_s: float | None = None) -> None:
        """Until the next `wake`, or until `within_s` has passed."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait([waiter], timeout=within_s)
        finally:
            self._waiters.discard(waiter)


class _Group:
    """What the members of one group share: who they are, and what is done."""

    def __init__(self) -> None:
        self.members: list[MemoryGroupReader] = []
        self.committed: dict[int, int] = {}
        self.generation = 0


class MemoryGroupReader:
    """One member: partitions are dealt round the members, again whenever one comes or goes."""

    def __init__(self, log: MemoryLog, topic: str, shared: _Group) -> None:
        self._log, self._topic, self._shared = log, topic, shared
        self._generation = -1
        self._positions: dict[int, int] = {}

    async def __aenter__(self) -> MemoryGroupReader:
        self._log.partitions(self._topic)
        self._shared.members.append(self)
        self._regroup()
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self in self._shared.members:
            self._shared.members.remove(self)
            self._regroup()

    async def batch(self, limit: int, within_s: float) -> list[Record]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            if found := self._take(limit):
                return found
            left = deadline - loop.time()
            if left <= 0:
                return []
            await self._log.changed(left)

    async def commit(self) -> None:
        self._rebalanced()
        self._shared.committed.update(self._positions)

    async def positions(self) -> dict[int, int]:
        self._rebalanced()
        return dict(self._positions)

    async def lag(self) -> int:
        self._rebalanced()
        partitions = self._log.partitions(self._topic)
        return sum(partitions[number].end - position for number, position in self._positions.items())

    def _take(self, limit: int) -> list[Record]:
        self._rebalanced()
        partitions, taken = self._log.partitions(self._topic), list[Record]()
        for number, position in self._positions.items():
            if batch := partitions[number].read(position, limit - len(taken)):
                self._positions[number] = batch[-1].offset + 1
                taken += batch
            if len(taken) >= limit:
                break
        if taken:  # the partitions that were not reached come first next time
            self._positions = {
                number: self._positions[number]
                for number in sorted(self._positions, key=lambda n: (n <= taken[-1].partition, n))
            }
        return taken

    def _regroup(self) -> None:
        self._shared.generation += 1
        self._log.wake()

    def _rebalanced(self) -> None:
        """Take over what was dealt to this member; what was not committed by its last owner is read again."""
        if self._generation == self._shared.generation or self not in self._shared.members:
            return
        self._generation = self._shared.generation
        members = self._shared.members
        numbers = [p.number for p in self._log.partitions(self._topic)][members.index(self) :: len(members)]
        committed = self._shared.committed
        self._positions = {n: self._positions.get(n, committed.get(n, 0)) for n in numbers}
