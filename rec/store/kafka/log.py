"""`Log` on Kafka: the producer, ends, and doors to `tail` and `group`.

Invariants: `publish` returns after all in-sync replicas have the record, or raises; within a key the order of
publishing is the order in the log; the partition is `rec.topics.partition_of`, for every writer alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from rec.ports import Record
from rec.store.kafka.connection import ACK_S, Broker, bounds, ends
from rec.store.kafka.group import KafkaGroupReader
from rec.store.kafka.security import NONE, Security
from rec.store.kafka.tail import tail
from rec.store.kafka.topics import create_topics, knows_idempotent_producers
from rec.topics import MAX_RECORD_BYTES, Topic, partition_of

MAX_BATCH_BYTES = 64 * 1024
LOOK_MS = 100


class KafkaLog:
    """The log on a Kafka-compatible broker.

    The producer is idempotent, so that a retry after a lost answer writes nothing twice; but not with Tansu, which
    knows no such producers: the broker is asked what it is.
    """

    def __init__(
        self,
        bootstrap: Sequence[str],
        *,
        client_id: str = "shunxi",
        security: Security = NONE,
        max_batch_size: int = MAX_BATCH_BYTES,
        replication_factor: int = 1,
        session_timeout_s: float = 10.0,
        rebalance_timeout_s: float = 10.0,
    ) -> None:
        """`max_batch_size` in bytes a partition; the timeouts are those of `group`."""
        self._broker = Broker(list(bootstrap), client_id, security)
        self._max_batch_size = max_batch_size
        self._replication_factor = replication_factor
        self._session_timeout_s, self._rebalance_timeout_s = session_timeout_s, rebalance_timeout_s
        self._stack = contextlib.AsyncExitStack()
        self._producer: Any = None
        self._reader: Any = None

    async def __aenter__(self) -> KafkaLog:
        idempotent = await knows_idempotent_producers(self._broker)
        async with contextlib.AsyncExitStack() as stack:
            self._producer = AIOKafkaProducer(
                **self._broker.options(),
                acks="all",
                enable_idempotence=idempotent,
                linger_ms=0,
                max_request_size=2 * MAX_RECORD_BYTES,
                max_batch_size=self._max_batch_size,
                partitioner=_partition,
            )
            stack.push_async_callback(self._producer.stop)
            self._reader = await stack.enter_async_context(self._broker.consumer())
            async with self._broker.reported(2 * ACK_S, "connecting"):
                await self._producer.start()
                await self._reader.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def create(self, topics: Iterable[Topic]) -> None:
        await create_topics(self._broker, topics, self._replication_factor)

    async def publish(self, topic: str, key: str, value: bytes | None) -> None:
        async with self._broker.reported(ACK_S, f"publishing to {topic!r}"):
            await (await self._producer.send(topic, value, key.encode()))

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        """Partitions side by side, each in order; the deadline is that of one publish and grows with the number."""
        async with self._broker.reported(ACK_S + len(pairs) / 500, f"publishing {len(pairs)} records to {topic!r}"):
            partitions = len(await self._producer.partitions_for(topic))
            lanes: defaultdict[int, list[tuple[bytes, bytes | None]]] = defaultdict(list)
            for key, value in pairs:
                raw = key.encode()
                lanes[partition_of(raw, partitions)].append((raw, value))
            await _all(self._send_lane(topic, lane) for lane in lanes.values())

    async def ends(self, topic: str) -> dict[int, int]:
        async with self._broker.reported(ACK_S, f"asking for the ends of {topic!r}"):
            _, end = await bounds(self._reader, topic, await self._producer.partitions_for(topic))
        return end

    async def first_from(self, topic: str, partition: int, offset: int) -> int | None:
        """By a reader of its own, for one that was assigned to something cannot be told to leave it."""
        tp = TopicPartition(topic, partition)
        what = f"looking into {topic!r} {partition}"
        async with self._broker.reported(2 * ACK_S, what), self._broker.consumer() as consumer:
            await consumer.start()
            consumer.assign([tp])
            end = (await ends(consumer, [tp]))[tp]
            consumer.seek(tp, offset)
            while await consumer.position(tp) < end:
                if found := (await consumer.getmany(timeout_ms=LOOK_MS, max_records=1)).get(tp):
                    return int(found[0].offset)
        return None

    async def tail(self, topic: str, offsets: Mapping[int, int] | None = None) -> AsyncIterator[list[Record]]:
        async with self._broker.reported(ACK_S, f"reading {topic!r}"):
            partitions = await self._producer.partitions_for(topic)
        async with contextlib.aclosing(tail(self._broker, topic, partitions, offsets or {})) as batches:
            async for batch in batches:
                yield batch

    def group(self, topic: str, group: str) -> KafkaGroupReader:
        return KafkaGroupReader(self._broker, topic, group, self._session_timeout_s, self._rebalance_timeout_s)

    async def _send_lane(self, topic: str, lane: Sequence[tuple[bytes, bytes | None]]) -> None:
        acknowledgements: list[asyncio.Future[Any]] = []
        try:
            for key, value in lane:
                acknowledgements.append(await self._producer.send(topic, value, key))
        finally:
            await _all(acknowledgements)


async def _all(waiting: Iterable[Awaitable[Any]]) -> None:
    """Wait for every one of them, then raise the first error: nothing goes on in the background."""
    for result in await asyncio.gather(*waiting, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _partition(key: bytes, partitions: Sequence[int], available: Sequence[int]) -> int:
    """aiokafka's partitioner: by the key alone, whether or not the partition is available now."""
    return partition_of(key, len(partitions))
