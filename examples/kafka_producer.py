"""Writes events to the behavior topic without HTTP, for a service that speaks Kafka already. Needs aiokafka alone.

    python examples/kafka_producer.py 127.0.0.1:9092 u1 sku_77 [--event view_item]

What the edge does for others is yours here: valid names and ids, the two times, one id for each event for good, and no
event of somebody who has been erased or has denied. What cannot be read becomes a dead letter. Three things must hold:

- key: the user's id (else the visitor's) as raw UTF-8, which is what decides who owns the user's state;
- partitioner: Kafka's default, murmur2 over the key, as aiokafka, Java and librdkafka (`murmur2_random`) have it;
- value: the event as JSON, with `received_ts` and `event_ts`, the second not after the first.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import uuid
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer


def record(user: str, event: str, item: str) -> tuple[bytes, bytes]:
    """Key and value. Keep the event_id with your own record of what happened: a retry must send the same one."""
    now = datetime.now(UTC).isoformat()
    value = {
        "event": event,
        "event_id": str(uuid.uuid4()),
        "user_id": user,
        "items": [{"item_id": item}],
        "received_ts": now,
        "event_ts": now,
    }
    return user.encode(), json.dumps(value).encode()


async def send(bootstrap: str, topic: str, user: str, event: str, item: str) -> None:
    # max_batch_size=1 is for the broker of `rec up`; leave it out on Kafka, and set enable_idempotence there.
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", max_batch_size=1)
    await producer.start()
    try:
        key, value = record(user, event, item)
        at = await producer.send_and_wait(topic, value, key=key)
        print(f"partition {at.partition}, offset {at.offset}")
    finally:
        await producer.stop()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="One event, straight into the log.")
    options.add_argument("bootstrap")
    options.add_argument("user")
    options.add_argument("item")
    options.add_argument("--event", default="view_item")
    options.add_argument("--topic", default="behavior", help="REC_TOPIC_PREFIX comes before it")
    given = options.parse_args()
    asyncio.run(send(given.bootstrap, given.topic, given.user, given.event, given.item))
