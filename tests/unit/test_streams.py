"""The queue between a connection and its reader."""

from __future__ import annotations

import asyncio

import pytest

from rec.store.streams import Stream


async def test_messages_come_in_order_and_end_with_close() -> None:
    stream: Stream[int] = Stream(1)
    stream.put(2)
    reading = asyncio.create_task(_all(stream))
    await asyncio.sleep(0)
    stream.put(3)
    stream.close()
    assert await reading == [1, 2, 3]


async def test_a_reader_that_falls_behind_gets_the_word_for_it_and_then_the_newest() -> None:
    stream: Stream[int | None] = Stream(overflow=(None,), limit=3)
    for number in range(1, 8):
        stream.put(number)
    stream.close()
    assert await _all(stream) == [None, 6, 7]


async def test_without_a_word_for_a_gap_the_old_messages_go() -> None:
    stream: Stream[int] = Stream(limit=2)
    for number in range(5):
        stream.put(number)
    stream.close()
    assert await _all(stream) == [4]


async def test_a_second_reader_is_refused_while_the_first_one_waits() -> None:
    stream: Stream[int] = Stream()
    first = asyncio.create_task(_all(stream))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="one reader"):
        await anext(stream)
    stream.close()
    assert await first == []


async def _all(stream: Stream[int] | Stream[int | None]) -> list[int | None]:
    return [message async for message in stream]
