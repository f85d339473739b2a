"""The topics: which exist, who writes and reads them, how they are keyed. Create them yourself, never by accident.

Every user-keyed topic has the same number of partitions and the same partitioner over the same raw UTF-8 bytes,
so that one worker owns all of a user: behavior, requests, served and the changelogs of the tables.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rec.config import Settings

BEHAVIOR = "behavior"
REQUESTS = "requests"
DEAD_LETTERS = "dead-letters"
EXAMPLES = "examples"
SERVED = "served"
FEEDBACK = "feedback"


# A worker that takes a partition over reads its changelog from the start, so what was overwritten must go soon; and an
# erased user's last states must be gone within the hour. Kafka compacts closed segments only: close them early.
MAX_RECORD_BYTES = 2 * 1024 * 1024  # a state whose every part is full of the longest ids comes to some 1.2 MB
CHANGELOG = {
    "cleanup.policy": "compact",
    "max.message.bytes": str(MAX_RECORD_BYTES),
    "segment.bytes": str(16 * 1024 * 1024),
    "segment.ms": "600000",
    "max.compaction.lag.ms": "1800000",
    "min.cleanable.dirty.ratio": "0.1",
}


# Read within moments; what a worker that is away leaves unread is soon of no use.
SERVED_CONFIG = {"retention.ms": "3600000", "max.message.bytes": str(MAX_RECORD_BYTES)}
REQUESTS_CONFIG = {"retention.ms": "3600000", "max.message.bytes": str(MAX_RECORD_BYTES)}  # merges carry a state


class Topic(NamedTuple):
    """A topic to create: full name, partitions, and its Kafka configuration."""

    name: str
    partitions: int
    config: dict[str, str]


def topics(settings: Settings) -> list[Topic]:
    """All topics of one world, changelog included (Faust would create it with other settings)."""
    retention = {"retention.ms": str(int(settings.retention_days * 86_400_000))}
    newest = {**CHANGELOG, **retention, "cleanup.policy": "compact,delete"}
    return [
        Topic(settings.topic(BEHAVIOR), settings.partitions, retention),
        Topic(settings.topic(REQUESTS), settings.partitions, REQUESTS_CONFIG),
        Topic(settings.topic(DEAD_LETTERS), 1, retention),
        Topic(settings.topic(EXAMPLES), 1, newest),
        Topic(settings.topic(SERVED), settings.partitions, SERVED_CONFIG),
        Topic(settings.topic(FEEDBACK), settings.partitions, newest),
        Topic(settings.users_changelog, settings.partitions, CHANGELOG),
        Topic(settings.windows_changelog, settings.partitions, CHANGELOG),
    ]


@lru_cache(maxsize=16_384)  # 10 µs each, and the same users again and again
def partition_of(key: bytes, partitions: int) -> int:
    """Kafka's default partitioner: murmur2 of the raw key. One answer for web, workers, restore and Java clients."""
    return (murmur2(key) & 0x7FFFFFFF) % partitions


def marks_for(partitions: int, token: str) -> list[str]:
    """A key for each partition: records without a value that say, when they are read, how far a reader has come.

    >>> sorted(partition_of(mark.encode(), 3) for mark in marks_for(3, "t"))
    [0, 1, 2]
    """
    found: dict[int, str] = {}
    number = 0
    while len(found) < partitions:
        mark = f"read {token} {number}"
        found.setdefault(partition_of(mark.encode(), partitions), mark)
        number += 1
    return list(found.values())


def murmur2(data: bytes) -> int:
    """Austin Appleby's MurmurHash2 with Kafka's seed, as an unsigned 32-bit number (Kafka `Utils.murmur2`).

    >>> murmur2(b"21") == 0x100000000 - 973932308
    True
    """
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    length = len(data)
    h = (0x9747B28C ^ length) & mask
    for at in range(0, length - length % 4, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[length - length % 4 :]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
