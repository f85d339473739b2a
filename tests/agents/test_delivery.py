"""agents/delivery.py: a record is handed on at once where nothing has to be waited for, else as Faust does it."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator

import pytest
from faust.transport.consumer import Consumer
from mode.services import Service

from agents import faust_fixes


class _Consumer(Service):  # type: ignore[misc]
    """What `wait_first` needs of a consumer: started, stopped, crashed."""

    wait_first = Consumer.wait_first


@pytest.fixture
async def consumer() -> AsyncIterator[_Consumer]:
    faust_fixes.apply()
    _Consumer.wait_first = Consumer.wait_first
    async with _Consumer() as made:
        yield made


async def test_what_waits_for_nothing_is_delivered_before_the_loop_turns(consumer: _Consumer) -> None:
    suspended, queue, turned = asyncio.Event(), list[int](), list[bool]()

    async def deliver(n: int) -> None:
        queue.append(n)

    asyncio.get_running_loop().call_soon(turned.append, True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a coroutine that nobody awaited
        for n in range(100):
            results = await consumer.wait_first(deliver(n), suspended.wait())
            assert not results.stopped
    assert (queue, turned) == (list(range(100)), [])


async def test_what_has_to_wait_is_begun_once_and_finished(consumer: _Consumer) -> None:
    room, begun = asyncio.Event(), list[str]()

    async def deliver() -> str:
        begun.append("begun")
        await room.wait()
        await asyncio.sleep(0)
        return "delivered"

    asyncio.get_running_loop().call_later(0.01, room.set)
    results = await consumer.wait_first(deliver(), asyncio.Event().wait())
    assert (begun, results.results) == (["begun"], ["delivered"])


async def test_a_delivery_that_waits_is_given_up_when_the_flow_is_suspended(consumer: _Consumer) -> None:
    suspended, gone = asyncio.Event(), list[str]()

    async def deliver() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            gone.append("given up")
            raise

    asyncio.get_running_loop().call_later(0.01, suspended.set)
    await consumer.wait_first(deliver(), suspended.wait())
    for _ in range(3):
        await asyncio.sleep(0)
    assert gone == ["given up"]


@pytest.mark.parametrize("waits", [False, True])
async def test_what_goes_wrong_is_raised(consumer: _Consumer, waits: bool) -> None:
    async def deliver() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("no such queue")

    with pytest.raises(ValueError, match="no such queue"):
        await consumer.wait_first(deliver(), asyncio.Event().wait())
