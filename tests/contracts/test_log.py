"""The log: what is published is read, in order, from any offset, alone or shared in a group."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager

import pytest

from rec.embedded import free_port
from rec.errors import ConfigError, Unavailable
from rec.ports import GroupReader, Log, Record
from rec.topics import Topic, partition_of
from tests.contracts.conftest import OpenLog, kafka_log
from tests.servers import Server, paused

WAIT_S = 40.0  # a group on Tansu takes 3 s to join, and the session timeout once a member has left


async def read(log: Log, topic: str, count: int, offsets: Mapping[int, int] | None = None) -> list[Record]:
    """The first `count` records of a tail."""
    found: list[Record] = []
    async with asyncio.timeout(WAIT_S), aclosing(log.tail(topic, offsets)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            assert batch
            found += batch
            if len(found) >= count:
                break
    return found


async def drain(readers: Iterable[GroupReader], count: int) -> list[Record]:
    """Records of the readers' batches until there are `count` different ones."""
    found: list[Record] = []
    async with asyncio.timeout(WAIT_S):
        while len({(r.partition, r.offset) for r in found}) < count:
            for reader in readers:
                found += await reader.batch(100, 0.1)
    return found


@asynccontextmanager
async def two(log: Log, topic: str, group: str) -> AsyncIterator[tuple[GroupReader, GroupReader]]:
    async with log.group(topic, group) as first, log.group(topic, group) as second:
        yield first, second


def numbered(count: int, keys: int = 10) -> list[tuple[str, bytes | None]]:
    return [(f"user {number % keys} ü", str(number).encode()) for number in range(count)]


async def test_a_record_comes_back_as_it_was_published(log: Log, topic: str) -> None:
    await log.publish(topic, "Jürgen", b"\x00\xff{}")
    await log.publish(topic, "Jürgen", None)
    first, second = await read(log, topic, 2)
    assert (first.topic, first.key, first.value) == (topic, "Jürgen".encode(), b"\x00\xff{}")
    assert (second.key, second.value, second.offset) == ("Jürgen".encode(), None, first.offset + 1)
    assert 1.7e9 < first.timestamp <= second.timestamp < 1e11  # seconds, not milliseconds


async def test_a_key_decides_the_partition_and_keeps_its_order(log: Log, topic: str) -> None:
    await log.publish_many(topic, numbered(100))
    of_key: defaultdict[bytes, list[int]] = defaultdict(list)
    for record in await read(log, topic, 100):
        assert record.partition == partition_of(record.key, 4)
        of_key[record.key].append(int(record.value or b""))
    assert len(of_key) == 10
    assert all(values == sorted(values) for values in of_key.values())


async def test_many_publishers_at_once_lose_nothing(log: Log, topic: str) -> None:
    await asyncio.gather(*(log.publish(topic, key, value) for key, value in numbered(300, keys=300)))
    assert sum((await log.ends(topic)).values()) == 300
    assert {record.value for record in await read(log, topic, 300)} == {str(n).encode() for n in range(300)}


async def test_the_first_record_from_an_offset_on_is_found(log: Log, topic: str) -> None:
    await log.publish_many(topic, [("one key", str(number).encode()) for number in range(5)])
    partition = partition_of(b"one key", 4)
    assert [await log.first_from(topic, partition, offset) for offset in (0, 3, 4, 5)] == [0, 3, 4, None]
    assert await log.first_from(topic, (partition + 1) % 4, 0) is None
    assert (await log.ends(topic))[partition] == 5


async def test_ends_are_the_next_offsets_after_batches_of_any_size(log: Log, topic: str) -> None:
    assert await log.ends(topic) == dict.fromkeys(range(4), 0)
    for count in (1, 5, 50):
        before = await log.ends(topic)
        await log.publish_many(topic, numbered(count))
        after = await log.ends(topic)
        assert sum(after.values()) - sum(before.values()) == count
    newest = {record.partition: record.offset for record in await read(log, topic, 56)}
    assert newest == {partition: end - 1 for partition, end in after.items() if end}


async def test_publishing_nothing_is_nothing(log: Log, topic: str) -> None:
    await log.publish_many(topic, [])
    assert sum((await log.ends(topic)).values()) == 0


async def test_a_tail_begins_at_the_offsets_it_is_given(log: Log, topic: str) -> None:
    await log.publish_many(topic, numbered(40))
    ends = await log.ends(topic)
    middle = {partition: end // 2 for partition, end in ends.items()}
    left = sum(ends.values()) - sum(middle.values())
    found = await read(log, topic, left, middle)
    assert len(found) == left
    assert {r.partition: r.offset for r in reversed(found)} == {p: at for p, at in middle.items() if ends[p]}


async def test_an_offset_that_the_log_does_not_have_means_the_earliest(log: Log, topic: str) -> None:
    await log.publish_many(topic, numbered(20))
    assert len(await read(log, topic, 20, {partition: 10_000 for partition in range(4)})) == 20


async def test_every_tail_sees_everything_also_what_comes_later(open_log: OpenLog, name: str) -> None:
    async with open_log() as writer, open_log() as reader:
        await writer.create([Topic(name, 4, {})])
        await writer.publish_many(name, numbered(10))
        tails = [asyncio.create_task(read(each, name, 30)) for each in (writer, reader, reader)]
        await writer.publish_many(name, numbered(20))
        for found in await asyncio.gather(*tails):
            assert len({(r.partition, r.offset) for r in found}) == len(found) == 30


async def test_a_cancelled_tail_ends(log: Log, topic: str) -> None:
    waiting = asyncio.create_task(read(log, topic, 1))
    await log.publish(topic, "k", b"v")
    await waiting
    forever = asyncio.create_task(read(log, topic, 2))
    done, _ = await asyncio.wait([forever], timeout=0.3)
    assert not done
    forever.cancel()
    with pytest.raises(asyncio.CancelledError):
        await forever


# ---------------------------------------------------------------- topics
async def test_creating_a_topic_again_changes_nothing(log: Log, topic: str) -> None:
    await log.publish(topic, "k", b"v")
    await log.create([Topic(topic, 4, {})])
    assert sum((await log.ends(topic)).values()) == 1


async def test_a_topic_of_other_partitions_is_refused_with_both_counts_and_a_remedy(log: Log, topic: str) -> None:
    with pytest.raises(ConfigError) as caught:
        await log.create([Topic(topic, 6, {})])
    assert all(word in caught.value.message for word in (topic, "has 4", "6 are wanted", "REC_PARTITIONS"))


async def test_a_compacted_topic_keeps_the_newest_of_each_key(log: Log, name: str) -> None:
    await log.create([Topic(name, 1, {"cleanup.policy": "compact"})])
    await log.publish_many(name, numbered(3_000, keys=3))
    newest: dict[bytes, bytes | None] = {}
    async with asyncio.timeout(WAIT_S), aclosing(log.tail(name)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            newest.update((record.key, record.value) for record in batch)
            if batch[-1].offset == 2_999:
                break
    assert newest == {f"user {k} ü".encode(): str(2_997 + k).encode() for k in range(3)}


# ---------------------------------------------------------------- groups
@pytest.mark.slow
async def test_a_group_goes_on_where_it_committed_and_repeats_what_it_did_not(log: Log, topic: str, name: str) -> None:
    await log.publish_many(topic, numbered(30))
    async with log.group(topic, name) as reader:
        first = await drain([reader], 30)
        assert await reader.lag() == 0
        await reader.commit()
        await log.publish_many(topic, numbered(12))
        assert len(await drain([reader], 12)) == 12
        assert await reader.batch(10, 0.05) == []
    async with log.group(topic, name) as reader:  # the twelve were read, not committed
        assert await reader.lag() == 12
        assert sum((await reader.positions()).values()) == 30
        again = await drain([reader], 12)
        assert not {(r.partition, r.offset) for r in again} & {(r.partition, r.offset) for r in first}
        assert await reader.lag() == 0


@pytest.mark.slow
async def test_members_of_a_group_come_to_own_different_partitions(log: Log, topic: str, name: str) -> None:
    async with two(log, topic, name) as readers:
        of_first, of_second = set[int](), set[int]()
        async with asyncio.timeout(WAIT_S):
            while not (of_first and of_second) or of_first & of_second:
                await log.publish_many(topic, numbered(40))
                of_first, of_second = [{r.partition for r in await each.batch(1_000, 0.2)} for each in readers]
        assert of_first | of_second <= set(range(4))


@pytest.mark.slow
async def test_what_a_member_read_but_did_not_commit_is_read_by_its_heir(log: Log, topic: str, name: str) -> None:
    await log.publish_many(topic, numbered(40))
    async with log.group(topic, name) as heir:
        taken: list[Record] = []
        async with log.group(topic, name) as leaving, asyncio.timeout(WAIT_S):
            while not taken:  # until the newcomer owns a part
                await heir.batch(1_000, 0.05)  # not committed either
                taken = await leaving.batch(1_000, 0.2)
        wanted = {(r.partition, r.offset) for r in taken}
        found: set[tuple[int, int]] = set()
        async with asyncio.timeout(WAIT_S):
            while not wanted <= found:
                found |= {(r.partition, r.offset) for r in await heir.batch(1_000, 0.2)}


# ---------------------------------------------------------------- a broker that is away
async def test_without_a_broker_opening_says_where_it_looked() -> None:
    unused_port = free_port()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{unused_port}"):
        async with kafka_log(f"127.0.0.1:{unused_port}"):
            pytest.fail("opened without a broker")


@pytest.mark.needs_kafka
async def test_a_topic_that_does_not_exist_is_named(kafka: Server, name: str) -> None:
    async with kafka_log(kafka.address) as log:
        with pytest.raises(Unavailable, match=name):
            await log.publish(name, "k", b"v")


@pytest.mark.slow
async def test_a_broker_that_stands_still_is_unavailable_and_then_available(broker: Server, name: str) -> None:
    assert broker.child is not None
    async with kafka_log(broker.address) as log:
        await log.create([Topic(name, 1, {})])
        with paused(broker.child), pytest.raises(Unavailable):
            await log.publish(name, "k", b"lost or not")
        await log.publish(name, "k", b"v")
        assert (await read(log, name, 1))[-1].key == b"k"
