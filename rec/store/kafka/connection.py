"""How a broker is reached, and how what it raises leaves here. Nothing is kept open by this module."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, for_code
from aiokafka.protocol.fetch import FetchRequest

from rec.errors import Unavailable
from rec.store.kafka.security import NONE, Security

REQUEST_S = 4.0  # one request to a broker; below ACK_S, so that its own retries end before the caller's patience
ACK_S = 5.0
_A_MOMENT_MS, _A_BYTE, _READ_UNCOMMITTED = 1, 1, 0  # of a fetch that wants no records; with 0 ms Tansu says nothing
JOIN_S = 60.0  # a group's first assignment: Tansu takes half the session timeout, a dead member all of it and more


class Broker(NamedTuple):
    """Where the log is, and what it is told about us."""

    bootstrap: list[str]
    client_id: str
    security: Security = NONE

    def options(self) -> dict[str, Any]:
        """What every client of aiokafka is given."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "request_timeout_ms": int(REQUEST_S * 1_000),
            "retry_backoff_ms": 100,
            "metadata_max_age_ms": 60_000,
            **self.security.options(),
        }

    @contextlib.asynccontextmanager
    async def consumer(self, **options: Any) -> AsyncIterator[Any]:
        """An aiokafka consumer that reads from the earliest record where it knows no better; stopped at the end."""
        consumer = AIOKafkaConsumer(
            **{**self.options(), "auto_offset_reset": "earliest", "enable_auto_commit": False, **options}
        )
        try:
            yield consumer
        finally:
            await _stopped(consumer)

    @contextlib.asynccontextmanager
    async def reported(self, within_s: float | None, what: str) -> AsyncIterator[None]:
        """Around requests: errors of Kafka, the network or the clock leave as `Unavailable`.

        aiokafka waits with asyncio.wait_for, which before Python 3.12 can swallow a cancellation that meets a result;
        such a one is raised here.
        """
        where = ",".join(self.bootstrap)
        task = asyncio.current_task()
        cancellations = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(within_s):
                yield
            if task is not None and task.cancelling() > cancellations:
                raise asyncio.CancelledError
        except TimeoutError as error:
            limit = f" within {within_s:g} s" if within_s is not None else ""
            raise Unavailable(f"kafka at {where}: {what}: no answer{limit}") from error
        except (KafkaError, OSError) as error:
            secured = self.security != NONE  # aiokafka only logs why a broker did not let it in
            hint = ". Is it the certificate, the name or the password? The log has a line of it" if secured else ""
            away = Unavailable(f"kafka at {where}: {what}: {error}{hint}")
            away.temporary = not isinstance(error, MessageSizeTooLargeError)  # it would be refused however often
            raise away from error


async def _stopped(consumer: Any) -> None:
    """aiokafka cancels its own fetches and passes on the cancellation of one that rests between two tries: to whoever
    stops it that looks like an end of their own, and the sockets stay open."""
    task = asyncio.current_task()
    cancellations = task.cancelling() if task is not None else 0
    try:
        await consumer.stop()
    except asyncio.CancelledError:
        fetches = list(consumer._fetcher._pending_tasks)
        for fetch in fetches:
            fetch.cancel()
        await asyncio.gather(*fetches, return_exceptions=True)
        await consumer._client.close()
        if task is not None and task.cancelling() > cancellations:
            raise


async def bounds(consumer: Any, topic: str, partitions: Iterable[int]) -> tuple[dict[int, int], dict[int, int]]:
    """(first kept offset, next offset) of each partition."""
    asked = [TopicPartition(topic, number) for number in partitions]
    first, end = await consumer.beginning_offsets(asked), await ends(consumer, asked)
    return {tp.partition: offset for tp, offset in first.items()}, {tp.partition: offset for tp, offset in end.items()}


async def ends(consumer: Any, asked: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """The offset that the next record of each partition will have. The consumer need not be assigned to it.

    Tansu answers ListOffsets with the second record of the last batch, so a fetch from there says how far the
    partition goes: its high watermark is right, with Tansu as with Kafka. Raises KafkaError.
    """
    listed: dict[TopicPartition, int] = await consumer.end_offsets(asked)
    client = consumer._client  # aiokafka has no call of its own for a high watermark without an assignment
    by_leader: defaultdict[int, defaultdict[str, list[tuple[int, int, int]]]] = defaultdict(lambda: defaultdict(list))
    for tp, offset in listed.items():
        by_leader[client.cluster.leader_for_partition(tp)][tp.topic].append((tp.partition, offset, _A_BYTE))
    for leader, topics in by_leader.items():
        request = FetchRequest(_A_MOMENT_MS, 0, _A_BYTE, _READ_UNCOMMITTED, list(topics.items()))
        for topic, partitions in (await client.send(leader, request)).topics:
            for partition, code, high_watermark, *_ in partitions:
                if code:
                    raise for_code(code)(f"the end of {topic!r} {partition}")
                tp = TopicPartition(topic, partition)
                listed[tp] = max(listed[tp], high_watermark)
    return listed
