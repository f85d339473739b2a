"""rec/store/redis/together.py: what comes while a round trip is under way leaves with the next one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from rec.errors import Unavailable
from rec.store.redis.client import Client
from rec.store.redis.together import AT_ONCE, Together
from tests.contracts.conftest import RedisWorld


class _Counted(Client):
    """Counts its round trips."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.trips, pipeline = 0, self.redis.pipeline

        def counted(*args: Any, **more: Any) -> Any:
            self.trips += 1
            return pipeline(*args, **more)

        self.redis.pipeline = counted  # type: ignore[method-assign]


@contextlib.asynccontextmanager
async def together(world: RedisWorld) -> AsyncIterator[tuple[Together, _Counted, str]]:
    client = _Counted(f"redis://{world.server.address}")
    async with client.open():
        made = Together(client)
        try:
            yield made, client, world.prefix
        finally:
            await made.close()


async def test_each_caller_gets_its_own_answers_and_those_that_wait_share_a_round_trip(redis_world: RedisWorld) -> None:
    async with together(redis_world) as (made, client, prefix):
        asked = [made.execute(("SET", f"{prefix}{n}", n), ("GET", f"{prefix}{n}")) for n in range(100)]
        answers = await asyncio.gather(*asked)
        assert [answer[1] for answer in answers] == [str(n).encode() for n in range(100)]
        assert client.trips <= 2


async def test_a_command_that_fails_fails_for_its_caller_alone(redis_world: RedisWorld) -> None:
    async with together(redis_world) as (made, _, prefix):
        await made.execute(("SET", f"{prefix}word", "no set"))
        asked = (("SISMEMBER", f"{prefix}word", "a"), ("GET", f"{prefix}word"))
        said = await asyncio.gather(*map(made.execute, asked), return_exceptions=True)
        assert isinstance(said[0], Unavailable)
        assert said[1] == [b"no set"]


async def test_a_caller_that_goes_takes_nobody_along(redis_world: RedisWorld) -> None:
    async with together(redis_world) as (made, _, prefix):
        leaves, stays = (asyncio.create_task(made.execute(("INCR", f"{prefix}n"))) for _ in range(2))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays in ([1], [2])
        with pytest.raises(asyncio.CancelledError):
            await leaves
        assert (await made.execute(("EXISTS", f"{prefix}n"))) == [1]


async def test_a_defect_is_told_to_whoever_was_on_the_trip_and_the_next_one_goes(redis_world: RedisWorld) -> None:
    async with together(redis_world) as (made, _, prefix):
        with pytest.raises(UnicodeEncodeError):
            await made.execute(("GET", f"{prefix}\ud800"))
        assert await made.execute(("GET", f"{prefix}a")) == [None]


async def test_what_is_much_goes_in_several_trips(redis_world: RedisWorld) -> None:
    async with together(redis_world) as (made, client, prefix):
        many = [("GET", f"{prefix}a")] * (AT_ONCE - 1)
        answers = await asyncio.gather(*(made.execute(*many) for _ in range(3)))
        assert (list(map(len, answers)), client.trips) == ([AT_ONCE - 1] * 3, 3)


async def test_without_redis_every_caller_is_told() -> None:
    made = Together(Client("redis://127.0.0.1:1"))
    said = await asyncio.gather(*(made.execute(("PING",)) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(each, Unavailable) for each in said)
    await made.close()
