"""What the log promises when brokers and members die, and what a broker must be for that promise to hold."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from rec.embedded import Child
from rec.errors import Unavailable
from rec.ports import Log, Record
from rec.topics import MAX_RECORD_BYTES, Topic
from tests.contracts.conftest import SESSION_S, kafka_log
from tests.servers import Server, start_kafka

pytestmark = pytest.mark.slow

MEMBER = """
import asyncio, sys
from tests.contracts.conftest import kafka_log

async def main(address, topic, session_s):
    async with kafka_log(address, float(session_s)) as log, log.group(topic, topic) as reader:
        while True:
            if await reader.batch(10, 0.1):
                print("reading", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def producer(address: str) -> AsyncIterator[AIOKafkaProducer]:
    """A stock client, which puts many records into a batch."""
    opened = AIOKafkaProducer(bootstrap_servers=address, linger_ms=200)
    await opened.start()
    try:
        yield opened
    finally:
        await opened.stop()


async def end_after_one_batch_of_five(address: str, topic: str) -> int:
    async with producer(address) as writer:
        await asyncio.gather(*[await writer.send(topic, b"v", b"k", partition=0) for _ in range(5)])
    consumer = AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets([TopicPartition(topic, 0)])
    finally:
        await consumer.stop()
    return ends[TopicPartition(topic, 0)]


@pytest.mark.needs_kafka
async def test_kafka_ends_after_a_batch_of_several_are_right(kafka: Server, name: str) -> None:
    async with kafka_log(kafka.address) as log:
        await log.create([Topic(name, 1, {})])
    assert await end_after_one_batch_of_five(kafka.address, name) == 5


async def test_tansu_lists_a_wrong_end_after_a_batch_of_several_and_the_log_asks_for_the_right_one(
    tansu: Server, name: str
) -> None:
    async with kafka_log(tansu.address) as log:
        await log.create([Topic(name, 1, {})])
        assert await end_after_one_batch_of_five(tansu.address, name) < 5, "mended: connection.ends need not ask twice"
        assert await log.ends(name) == {0: 5}
        await log.publish_many(name, [("k", b"v")] * 5)
        assert await log.ends(name) == {0: 10}


async def test_a_member_whose_fetch_rests_between_two_tries_leaves_without_an_error(tansu: Server, name: str) -> None:
    async with kafka_log(tansu.address) as log:
        await log.create([Topic(name, 1, {})])
        async with log.group(name, name) as reader:
            await reader.batch(1, 0.1)
            consumer = reader._consumer
            resting = [
                asyncio.create_task(asyncio.sleep(60)) for _ in range(2)
            ]  # as aiokafka does after a failed fetch
            consumer._fetcher._pending_tasks.update(resting)
        assert all(task.cancelled() for task in resting)
        assert not any(connection.connected() for connection in consumer._client._conns.values())


async def test_a_member_that_was_killed_is_replaced_within_the_session_timeout(
    broker: Server, name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    session_s = SESSION_S[request.node.callspec.params["broker"]]
    async with kafka_log(broker.address, session_s) as log:
        await log.create([Topic(name, 1, {})])
        await log.publish(name, "k", b"v")
        member = Child([sys.executable, "-c", MEMBER, broker.address, name, str(session_s)], tmp_path / "member.log")
        try:
            await member.until_ready(lambda: _said(member, "reading"), 40)
        finally:
            member.kill()
        started = asyncio.get_running_loop().time()
        async with asyncio.timeout(60), log.group(name, name) as heir:
            found: list[Record] = []
            while not found:  # the one record: read by the dead, never committed
                found = await heir.batch(10, 0.5)
        assert asyncio.get_running_loop().time() - started < 4 * SESSION_S["kafka"]


async def _said(child: Child, word: str) -> bool:
    return word in child.log.read_text()


@pytest.mark.needs_kafka
async def test_the_log_goes_on_by_itself_after_its_broker_was_killed(name: str, tmp_path: Path) -> None:
    with_broker = start_kafka(tmp_path)
    try:
        broker = await with_broker.start()
        async with kafka_log(with_broker.address) as log:
            await log.create([Topic(name, 2, {})])
            seen: set[bytes | None] = set()
            acknowledged: set[bytes] = set()
            reading = asyncio.create_task(_collect(log, name, seen))
            await _publish_some(log, name, acknowledged, 0)
            await _until(lambda: bool(acknowledged) and acknowledged <= seen, reading)  # else it had not yet begun
            broker.kill()
            with pytest.raises(Unavailable):
                await log.publish(name, "k", b"while away")
            await with_broker.start()
            async with asyncio.timeout(30):
                while len(acknowledged) < 40:
                    await _publish_some(log, name, acknowledged, 20)
            await _until(lambda: acknowledged <= seen, reading)
            reading.cancel()
            await asyncio.wait([reading])
    finally:
        with_broker.__exit__()


async def _until(there: Callable[[], bool], reading: asyncio.Task[None]) -> None:
    """Wait for what the reader sees; a reader that ended says why."""
    async with asyncio.timeout(30):
        while not there():
            if reading.done():
                reading.result()
            await asyncio.sleep(0.05)


async def _publish_some(log: Log, topic: str, acknowledged: set[bytes], first: int) -> None:
    for number in range(first, first + 20):
        value = str(number).encode()
        try:
            await log.publish(topic, str(number), value)
        except Unavailable:
            continue
        acknowledged.add(value)


async def _collect(log: Log, topic: str, seen: set[bytes | None]) -> None:
    async with aclosing(log.tail(topic)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            seen.update(record.value for record in batch)


async def test_a_record_that_is_too_large_is_not_waited_for(tansu: Server, name: str) -> None:
    async with kafka_log(tansu.address) as log:
        await log.create([Topic(name, 1, {})])
        with pytest.raises(Unavailable) as refused:
            await log.publish(name, "k", b"v" * (2 * MAX_RECORD_BYTES + 1))
    assert not refused.value.temporary
