"""Where Faust's consumer goes on after its flow was stopped, on every broker; and which records are acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from faust.types import TP
from faust.types.tuples import ConsumerMessage, Message

from agents import faust_fixes
from agents.app import _handled
from rec.errors import Unavailable
from rec.ports import Record
from rec.topics import Topic
from tests.contracts.conftest import kafka_log
from tests.loop.local import record
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


class _Commits:
    """What Faust's message tells of its last acknowledgement; the message is a real one."""

    def __init__(self) -> None:
        self.acknowledged: list[int] = []

    def ack(self, message: Message) -> None:
        self.acknowledged.append(message.offset)


def _in_hand(handle: Any) -> tuple[Any, Any, Message]:
    """A worker and its stream with a record in hand, as far as `_handled` asks."""
    message = ConsumerMessage("t", 0, 7, 0.0, 0, {}, b"u", b"", None, tp=TP("t", 0))
    message.incref()
    app = SimpleNamespace(deps_=SimpleNamespace(behavior=SimpleNamespace(handle=handle)), rebalancing_count=1)
    return app, SimpleNamespace(current_event=SimpleNamespace(message=message)), message


async def _done(_: Record) -> None:
    """At once."""


async def test_a_record_that_is_done_is_acknowledged() -> None:
    (app, stream, message), commits = _in_hand(_done), _Commits()
    await _handled(app, stream, "behavior", record("u", b""))
    message.ack(commits)
    assert commits.acknowledged == [7]


async def test_a_record_that_waits_for_the_log_is_not_acknowledged_by_a_rebalance() -> None:
    async def away(_: Record) -> None:
        app.rebalancing_count += 1
        raise Unavailable("no leader")

    (app, stream, message), commits = _in_hand(away), _Commits()
    await _handled(app, stream, "behavior", record("u", b""))
    message.ack(commits)
    assert commits.acknowledged == []


async def test_a_record_in_hand_is_not_acknowledged_by_the_end_of_the_worker() -> None:
    begun = asyncio.Event()

    async def for_ever(_: Record) -> None:
        begun.set()
        await asyncio.Event().wait()

    (app, stream, message), commits = _in_hand(for_ever), _Commits()
    agent = asyncio.create_task(_handled(app, stream, "behavior", record("u", b"")))
    await begun.wait()
    agent.cancel()
    with pytest.raises(asyncio.CancelledError):
        await agent
    message.ack(commits)
    assert commits.acknowledged == []
