"""Reading a whole topic without a group, for ever, from offsets the reader knows.

Invariant: within a partition records come in order and none twice; an offset that the log no longer has, or does not
have yet (another broker with the same topics), means the earliest.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from aiokafka import TopicPartition

from rec.ports import Record
from rec.store.kafka.connection import ACK_S, Broker, bounds

WAIT_MS = 1_000  # how long one look waits for records; a new one ends it at once
MAX_RECORDS = 2_000
REST_S = 0.03  # at the end of the topic: a request a record would cost as much as what is done with the record


async def tail(
    broker: Broker, topic: str, partitions: set[int], offsets: Mapping[int, int]
) -> AsyncGenerator[list[Record], None]:
    async with broker.consumer() as consumer:
        async with broker.reported(2 * ACK_S, f"reading {topic!r}"):
            await consumer.start()
            consumer.assign([TopicPartition(topic, number) for number in sorted(partitions)])
            first, end = await bounds(consumer, topic, partitions)
            for number in partitions:
                at = offsets.get(number, first[number])
                inside = first[number] <= at <= end[number]
                consumer.seek(TopicPartition(topic, number), at if inside else first[number])
        while True:
            async with broker.reported(None, f"reading {topic!r}"):
                found = await consumer.getmany(timeout_ms=WAIT_MS, max_records=MAX_RECORDS)
            for records in found.values():
                if records:
                    yield [record_of(record) for record in records]
            ends = [(consumer.highwater(tp) or 0, records[-1].offset + 1) for tp, records in found.items() if records]
            if ends and all(end <= at for end, at in ends):
                await asyncio.sleep(REST_S)


def record_of(record: Any) -> Record:
    """aiokafka's ConsumerRecord as ours: seconds instead of milliseconds."""
    return Record(
        record.topic, record.partition, record.offset, record.timestamp / 1_000, record.key or b"", record.value
    )
