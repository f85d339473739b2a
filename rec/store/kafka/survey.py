"""What a broker holds, for `rec topics` and `rec doctor`: topics, their settings, groups and how far behind they are.

Reads only. Invariant: nothing is asked about a topic that the broker did not list, because some brokers create a
topic that is merely asked about; no group is joined, because that would move its partitions.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from rec.config import Settings
from rec.store.kafka.connection import Broker, bounds
from rec.store.kafka.security import Security

_NO_COMMIT = -1


class TopicFacts(NamedTuple):
    """One topic. `records`: offsets between the first kept one and the end; a compacted topic holds fewer.

    `config` is what the broker tells of it; None if it tells nothing.
    """

    name: str
    partitions: int
    records: int
    config: dict[str, str] | None


class GroupFacts(NamedTuple):
    """How many records of a topic a consumer group has not committed yet."""

    group: str
    topic: str
    lag: int


class Survey(NamedTuple):
    topics: list[TopicFacts]
    groups: list[GroupFacts]


async def survey(settings: Settings, wanted: Sequence[str], within_s: float) -> Survey:
    """Facts about those of the `wanted` topics that exist, and about this app's groups on them.

    Raises Unavailable if the broker does not answer within `within_s` seconds.
    """
    broker = Broker(settings.bootstrap, f"{settings.app_id}-survey", Security.from_settings(settings))
    admin = AIOKafkaAdminClient(**broker.options())
    try:
        async with broker.reported(within_s, "looking at the topics"), broker.consumer() as consumer:
            await admin.start()
            await consumer.start()
            listed = set(await admin.list_topics())
            topics: list[TopicFacts] = []
            ends: dict[TopicPartition, int] = {}
            for name in (name for name in wanted if name in listed):
                partitions = await _partitions(admin, name)
                first, end = await bounds(consumer, name, partitions)
                ends.update({TopicPartition(name, number): offset for number, offset in end.items()})
                kept = sum(end.values()) - sum(first.values())
                topics.append(TopicFacts(name, len(partitions), kept, await _config(admin, name)))
            return Survey(topics, await _groups(admin, settings.app_id, ends))
    finally:
        await admin.close()


async def _partitions(admin: Any, topic: str) -> list[int]:
    (described,) = await admin.describe_topics([topic])
    return [each["partition"] for each in described["partitions"]]


async def _config(admin: Any, topic: str) -> dict[str, str] | None:
    (answer,) = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (resource,) = answer.resources
    code, entries = resource[0], resource[4]
    return None if code else {entry[0]: entry[1] for entry in entries}


async def _groups(admin: Any, app_id: str, ends: dict[TopicPartition, int]) -> list[GroupFacts]:
    facts: list[GroupFacts] = []
    names = sorted(name for name, _ in await admin.list_consumer_groups())
    for group in (name for name in names if name == app_id or name.startswith(f"{app_id}-")):
        # All partitions by name: without them Tansu's answer cannot be read.
        committed = await admin.list_consumer_group_offsets(group, partitions=list(ends))
        for topic in dict.fromkeys(each.topic for each in ends):
            mine = {tp: at.offset for tp, at in committed.items() if tp.topic == topic}
            if any(offset != _NO_COMMIT for offset in mine.values()):
                lag = sum(max(0, ends[tp] - max(0, offset)) for tp, offset in mine.items())
                facts.append(GroupFacts(group, topic, lag))
    return facts


async def ping_broker(settings: Settings, within_s: float) -> float:
    """Seconds that the broker takes to list its topics, over a connection that is open. Raises Unavailable."""
    broker = Broker(settings.bootstrap, f"{settings.app_id}-survey", Security.from_settings(settings))
    admin = AIOKafkaAdminClient(**broker.options())
    try:
        async with broker.reported(within_s, "connecting"):
            await admin.start()
            began = time.perf_counter()
            await admin.list_topics()
            return time.perf_counter() - began
    finally:
        await admin.close()
