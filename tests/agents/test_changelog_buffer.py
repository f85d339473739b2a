"""agents/changelog_buffer.py: what a table has changed leaves in order, side by side, and before its commit."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from faust.transport import producer

from agents import faust_fixes
from agents.changelog_buffer import ChangelogBuffer


class _Changelog:
    """A topic of Faust whose partitions let records go when they are told to. A record below 0 cannot be sent; one
    above 1,000 leaves, and the broker refuses it."""

    def __init__(self) -> None:
        self.doors: dict[int, asyncio.Semaphore] = {}
        self.sent: list[tuple[int, int]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.answering = True  # at once; else somebody sets the results of `answers`

    def get_topic_name(self) -> str:
        return "changelog"

    async def publish_message(self, fut: SimpleNamespace, wait: bool = False) -> asyncio.Future[None]:
        await self.door(fut.message.partition).acquire()
        if fut.message.value < 0:
            raise ValueError("no broker takes this")
        self.sent.append((fut.message.partition, fut.message.value))
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.answers.append(answer)
        if fut.message.value > 1_000:
            answer.set_exception(PermissionError("no right to write"))
        elif self.answering:
            answer.set_result(None)
        return answer

    def door(self, partition: int) -> asyncio.Semaphore:
        return self.doors.setdefault(partition, asyncio.Semaphore(0))

    def let(self, partition: int, count: int) -> None:
        for _ in range(count):
            self.door(partition).release()

    def put(self, buffer: ChangelogBuffer, partition: int, *values: int) -> None:
        for value in values:
            buffer.put(SimpleNamespace(message=SimpleNamespace(channel=self, partition=partition, value=value)))


@contextlib.asynccontextmanager
async def a_buffer() -> AsyncIterator[ChangelogBuffer]:
    buffer = ChangelogBuffer()
    buffer.app = SimpleNamespace(conf=SimpleNamespace(producer_threaded=False))
    async with buffer:
        yield buffer


async def test_a_commit_waits_for_every_record_however_slow_the_broker_is() -> None:
    changelog = _Changelog()
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, 1, 2, 3)
        flushing = asyncio.create_task(buffer.flush())
        done, _ = await asyncio.wait({flushing}, timeout=0.35)  # Faust's own gives up after 0.1 s
        assert not done
        assert (buffer.size, changelog.sent) == (3, [])
        changelog.let(0, 3)
        await flushing
        assert (buffer.size, changelog.sent) == (0, [(0, 1), (0, 2), (0, 3)])


async def test_a_commit_waits_for_no_record_that_came_after_it_began() -> None:
    changelog = _Changelog()
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, 1, 2)
        changelog.put(buffer, 1, 3)
        flushing = asyncio.create_task(buffer.flush())
        await asyncio.sleep(0)  # it begins
        changelog.put(buffer, 0, 4)
        changelog.put(buffer, 1, 5)
        changelog.put(buffer, 2, 6)
        changelog.let(1, 2)
        changelog.let(0, 2)
        async with asyncio.timeout(30):
            await flushing
        assert {(0, 1), (0, 2), (1, 3)} <= set(changelog.sent)
        changelog.let(0, 1)
        changelog.let(2, 1)
        await buffer.flush()


async def test_a_partition_without_room_holds_up_no_other() -> None:
    changelog = _Changelog()
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, 1, 2)
        changelog.put(buffer, 1, 3, 4)
        changelog.let(1, 2)
        async with asyncio.timeout(30):
            while len(changelog.sent) < 2:
                await buffer.message_sent.wait()
                buffer.message_sent.clear()
        assert (buffer.size, changelog.sent) == (2, [(1, 3), (1, 4)])
        changelog.let(0, 2)
        await buffer.flush()


async def test_a_record_that_cannot_be_sent_ends_the_worker() -> None:
    changelog = _Changelog()
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, -1)
        changelog.let(0, 1)
        async with asyncio.timeout(30):
            await buffer.wait_until_stopped()
        assert isinstance(buffer.crash_reason, ValueError)  # Faust's worker ends with it
        with pytest.raises(RuntimeError, match="does not take"):
            await buffer.flush()  # no commit goes past it


async def test_a_commit_waits_until_the_broker_has_acknowledged_what_has_left() -> None:
    changelog = _Changelog()
    changelog.answering = False
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, 1, 2)
        changelog.let(0, 2)
        flushing = asyncio.create_task(buffer.flush())
        async with asyncio.timeout(30):
            while len(changelog.answers) < 2:
                await asyncio.sleep(0)
        changelog.answers[0].set_result(None)
        done, _ = await asyncio.wait({flushing}, timeout=0.25)
        assert not done
        changelog.answers[1].set_result(None)
        async with asyncio.timeout(30):
            await flushing


async def test_a_record_that_the_broker_refuses_ends_the_worker_before_its_event_is_committed() -> None:
    changelog = _Changelog()
    async with a_buffer() as buffer:
        changelog.put(buffer, 0, 1_001)
        flushing = asyncio.create_task(buffer.flush())
        changelog.let(0, 1)
        async with asyncio.timeout(30):
            with pytest.raises(RuntimeError, match="does not take") as error:
                await flushing
            await buffer.wait_until_stopped()
        assert isinstance(error.value.__cause__, PermissionError)
        assert "no right to write" in str(buffer.crash_reason)


def test_it_takes_the_place_of_fausts_own() -> None:
    faust_fixes.apply()
    assert producer.ProducerBuffer is ChangelogBuffer
