"""Where Faust's consumer goes on after its flow was stopped, on every broker."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from agents import faust_fixes
from rec.topics import Topic
from tests.contracts.conftest import kafka_log
from tests.servers import Server


class _Thread:
    """What `seek_to_committed` uses of Faust's consumer thread; the consumer is a real one."""

    def __init__(self, consumer: AIOKafkaConsumer, sources: set[str]) -> None:
        self._consumer = consumer
        self.app = SimpleNamespace(topics=SimpleNamespace(acks_enabled_for=sources.__contains__))

    def _ensure_consumer(self) -> AIOKafkaConsumer:
        return self._consumer

    async def call_thread(self, function: Any, *args: Any) -> Any:
        return await function(*args)

    seek_to_beginning = AIOKafkaConsumerThread.seek_to_beginning

    async def _highwaters(self, partitions: Any) -> Any:
        return await AIOKafkaConsumerThread._highwaters(self, partitions)

    async def back(self) -> None:
        await AIOKafkaConsumerThread.seek_to_committed(self)


async def _fetched(consumer: AIOKafkaConsumer, count: int) -> list[int]:
    """So many records of it, handed to nobody."""
    offsets: list[int] = []
    while len(offsets) < count:
        for records in (await consumer.getmany(timeout_ms=1_000, max_records=count - len(offsets))).values():
            offsets += [record.offset for record in records]
    return offsets


@contextlib.asynccontextmanager
async def _consumer(broker: Server, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """At a new topic of one partition with six records, with nothing committed."""
    async with kafka_log(broker.address) as log:
        await log.create([Topic(topic, 1, {})])
        await log.publish_many(topic, [("user", b"%d" % n) for n in range(6)])
    consumer = AIOKafkaConsumer(
        bootstrap_servers=broker.address, group_id=topic, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        yield consumer
    finally:
        await consumer.stop()


async def test_what_was_fetched_and_thrown_away_comes_again_though_nothing_was_committed_yet(
    broker: Server, name: str
) -> None:
    faust_fixes.apply()
    async with _consumer(broker, name) as consumer:
        thread = _Thread(consumer, sources={name})
        assert await _fetched(consumer, 4) == [0, 1, 2, 3]
        await thread.back()
        assert await _fetched(consumer, 2) == [0, 1]
        await consumer.commit({TopicPartition(name, 0): 3})
        await thread.back()
        assert await _fetched(consumer, 2) == [3, 4]


async def test_a_changelog_of_which_nothing_is_ever_committed_stays_where_recovery_has_sought_it(
    broker: Server, name: str
) -> None:
    faust_fixes.apply()
    async with _consumer(broker, name) as consumer:
        consumer.seek(TopicPartition(name, 0), 2)
        await _Thread(consumer, sources=set()).back()
        assert await _fetched(consumer, 2) == [2, 3]


async def test_recovery_is_told_the_end_of_a_changelog_whose_last_batch_held_several_records(
    broker: Server, name: str
) -> None:
    faust_fixes.apply()
    async with _consumer(broker, name) as consumer:  # its six records are one batch
        thread, changelog = _Thread(consumer, sources=set()), TopicPartition(name, 0)
        assert await AIOKafkaConsumerThread.highwaters(thread, changelog) == {changelog: 6}
