"""Creating topics, and checking those that exist: wrong partitions would send users to the wrong worker.

Creating comes before looking, because some brokers create a topic that is merely asked about.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import for_code

from rec.errors import ConfigError, Unavailable
from rec.store.kafka.connection import ACK_S, Broker
from rec.store.topics import partitions_differ
from rec.topics import Topic

_OK, _TOPIC_EXISTS, _REPLICATION = 0, 36, 38
_UNKNOWN_TOPIC, _NO_LEADER = 3, 5
CREATE_S = 20.0
_POLL_S = 0.05

_TANSU = "tansu"  # how Tansu's cluster id begins; Apache Kafka's are 22 random characters


@contextlib.asynccontextmanager
async def _admin(broker: Broker, within_s: float, what: str) -> AsyncIterator[Any]:
    """A client for as long as `within_s`. A Kafka that is starting answers before it names any broker, itself
    neither; aiokafka has nobody to ask then and raises, so the first one is waited for."""
    admin = AIOKafkaAdminClient(**broker.options())
    try:
        async with broker.reported(within_s, what):
            await admin.start()
            while not admin._client.cluster.brokers():
                await asyncio.sleep(_POLL_S)
                await admin._client.force_metadata_update()
            yield admin
    finally:
        await admin.close()


async def knows_idempotent_producers(broker: Broker) -> bool:
    """Every broker but Tansu does."""
    async with _admin(broker, ACK_S, "connecting") as admin:
        cluster = await admin.describe_cluster()
    return not str(cluster.get("cluster_id") or "").startswith(_TANSU)


async def create_topics(broker: Broker, topics: Iterable[Topic], replication_factor: int) -> None:
    """Create what is missing and wait until all of them have leaders; ConfigError for one that is different."""
    wanted = list(topics)
    async with _admin(broker, CREATE_S, "creating topics") as admin:
        await _create(admin, wanted, replication_factor)
        await _until_led(admin, wanted)


async def _create(admin: Any, topics: Sequence[Topic], replication_factor: int) -> None:
    answer = await admin.create_topics(
        [
            NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=dict(topic.config))
            for topic in topics
        ]
    )
    for name, code, *message in answer.topic_errors:
        why = (message[0] if message else None) or for_code(code).__name__
        if code == _REPLICATION:
            raise ConfigError(
                f"topic {name!r}: {why}. Set REC_REPLICATION_FACTOR to at most the number of brokers.",
                field="REC_REPLICATION_FACTOR",
            )
        if code not in (_OK, _TOPIC_EXISTS):
            raise Unavailable(f"topic {name!r} cannot be created: {why}")


async def _until_led(admin: Any, topics: Sequence[Topic]) -> None:
    """A fresh topic has its leaders a moment later. The caller sets the deadline."""
    while True:
        found = {each["topic"]: each for each in await admin.describe_topics([topic.name for topic in topics])}
        ready = True
        for topic in topics:
            known = found.get(topic.name, {"error_code": _UNKNOWN_TOPIC, "partitions": []})
            if known["error_code"] in (_UNKNOWN_TOPIC, _NO_LEADER):
                ready = False
            elif known["error_code"] != _OK:
                raise Unavailable(f"topic {topic.name!r}: {for_code(known['error_code']).__name__}")
            elif len(known["partitions"]) != topic.partitions:
                raise partitions_differ(topic, len(known["partitions"]))
            else:
                ready = ready and all(each["error_code"] == _OK for each in known["partitions"])
        if ready:
            return
        await asyncio.sleep(_POLL_S)
