"""What the exchange promises while Redis stumbles: a reader who may have missed something is told, and goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from rec.embedded import free_port
from rec.errors import ConfigError, Unavailable
from rec.ports import Hint, Pushed, Reply, Wanted
from rec.store.redis import RedisExchange
from tests.contracts.conftest import RedisWorld
from tests.contracts.test_exchange import following, slate, through
from tests.servers import paused, start_embedded_redis


class Impatient(RedisExchange):
    """Finds a silent connection within tenths of a second."""

    ping_s, pong_s = 0.2, 0.3


async def kill_subscribers(url: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.client_kill_filter(_type="pubsub", skipme=True)


async def test_after_a_lost_connection_readers_are_told_and_pushes_go_on(redis_world: RedisWorld) -> None:
    async with redis_world.connect() as exchange:
        pushes, hints, arrivals, replies = (
            exchange.pushes(), exchange.hints(), exchange.arrivals(), exchange.replies("n"),
        )  # fmt: skip
        assert (await following(hints), await following(arrivals)) == (None, None)
        for number in range(1_200):
            exchange._watched[exchange._names.pushes(f"u{number}")] = f"u{number}"
            exchange._subscriber.want(exchange._names.pushes(f"u{number}"))
        await exchange.watch("u1")
        for attempt in (1, 2):
            await kill_subscribers(redis_world.url)
            assert [await following(stream) for stream in (pushes, hints, arrivals)] == [None, None, None]
            await exchange.store_slates([slate(attempt), slate(attempt, "u1199")])
            assert await following(pushes) == slate(attempt)
            assert await following(pushes) == slate(attempt, "u1199")
            await exchange.hint(Hint("catalog", ""))
            await exchange.announce("n", Wanted("u1", {"home": attempt}))
            await exchange.reply("n", Reply("r", b"{}"))
            assert await following(hints) == Hint("catalog", "")
            assert await following(arrivals) == Wanted("u1", {"home": attempt})
            assert await following(replies) == Reply("r", b"{}")


async def test_a_slate_stored_while_the_connection_was_away_is_found_by_reading_after_the_gap(
    redis_world: RedisWorld,
) -> None:
    async with redis_world.connect() as exchange, redis_world.connect() as worker:
        pushes = exchange.pushes()
        await exchange.watch("u1")
        storing = asyncio.create_task(_store_for_ever(worker))
        for _ in range(5):
            await kill_subscribers(redis_world.url)
            await through(pushes, None)
            kept = await exchange.latest("u1", "home")
            pushed = await following(pushes)  # and from here on no version is skipped
            while pushed is not None and kept is not None and pushed.slate.position.version <= kept.position.version:
                pushed = await following(pushes)
            assert pushed is not None
            assert kept is not None
            assert pushed.slate.position.version == kept.position.version + 1
        storing.cancel()
        await asyncio.wait([storing])


async def _store_for_ever(worker: RedisExchange) -> None:
    version = 0
    while True:
        version += 1
        await worker.store_slates([slate(version)])


async def test_a_connection_that_falls_silent_is_replaced(redis_world: RedisWorld) -> None:
    server = redis_world.server
    assert server.child is not None
    async with Impatient(redis_world.url, prefix=redis_world.prefix) as exchange:
        pushes = exchange.pushes()
        await exchange.watch("u1")
        with paused(server.child):  # no FIN, no RST: only a ping finds out
            async with asyncio.timeout(30):
                while exchange._subscriber.delivers(exchange._names.pushes("u1")):
                    await asyncio.sleep(0.02)
            with pytest.raises(Unavailable):
                await exchange.watch("u2")
        assert await following(pushes) is None
        await exchange.store_slates([slate(1), slate(1, "u2")])
        assert await following(pushes) == slate(1)


async def test_a_quiet_connection_that_answers_pings_is_kept(redis_world: RedisWorld) -> None:
    async with Impatient(redis_world.url, prefix=redis_world.prefix) as exchange:
        pushes = exchange.pushes()
        await exchange.watch("u1")
        waiting = asyncio.ensure_future(anext(pushes))
        done, _ = await asyncio.wait([waiting], timeout=1.5)  # several pings
        assert not done
        await exchange.store_slates([slate(1)])
        async with asyncio.timeout(30):
            assert await waiting == slate(1)


async def test_commands_fail_in_time_and_work_again_when_redis_does(redis_world: RedisWorld) -> None:
    assert redis_world.server.child is not None
    async with redis_world.connect() as exchange:
        with paused(redis_world.server.child):
            async with asyncio.timeout(30):
                with pytest.raises(Unavailable, match=redis_world.server.address):
                    await exchange.store_slates([slate(1)])
        await exchange.store_slates([slate(2)])
        assert await exchange.latest("u1", "home") == slate(2).slate


async def test_a_redis_that_was_killed_and_came_back_empty_is_used_again(tmp_path: Path) -> None:
    with_redis = start_embedded_redis(tmp_path)
    try:
        first = await with_redis.start()
        async with RedisExchange(f"redis://{with_redis.address}") as exchange:
            pushes = exchange.pushes()
            await exchange.watch("u1")
            await exchange.announce("n", Wanted("u1", {"home": 5}))
            await exchange.store_slates([slate(7)])
            assert await following(pushes) == slate(7)
            first.kill()
            with pytest.raises(Unavailable):
                await exchange.ping()
            await with_redis.start()
            assert await following(pushes) is None
            assert await exchange.latest("u1", "home") is None
            await exchange.tend("n")
            assert await exchange.online() == [Wanted("u1", {"home": 5})]
            await exchange.store_slates([slate(8)])  # the scripts are gone, too
            assert await following(pushes) == slate(8)
    finally:
        with_redis.__exit__()


async def test_a_cancelled_command_leaves_no_answer_to_another(redis_world: RedisWorld) -> None:
    """The defect of CVE-2023-28858: the next command on the connection reads the cancelled one's answer."""
    async with redis_world.connect() as exchange:
        users = [f"u{number}" for number in range(40)]
        await exchange.store_slates([slate(number, user_id) for number, user_id in enumerate(users)])

        async def ask(number: int) -> Any:
            found = await exchange.latest(users[number], "home")
            assert found == slate(number, users[number]).slate
            return found

        for hops in range(60):  # at every point of its way at which a command can be cancelled
            cancelled = [asyncio.create_task(ask(number)) for number in range(20)]
            for _ in range(hops // 4):
                await asyncio.sleep(0)
            for task in cancelled:
                task.cancel()
            await asyncio.wait(cancelled)
            assert all(task.cancelled() or task.exception() is None for task in cancelled)
            await asyncio.gather(*(ask(number) for number in range(20, 40)))


async def test_a_task_that_stores_for_ever_ends_when_it_is_cancelled(redis_world: RedisWorld) -> None:
    """asyncio.wait_for of Python 3.11 swallows a cancellation that meets a result; nothing on our way may use it."""
    async with redis_world.connect() as exchange:
        for hops in range(200):
            storing = asyncio.create_task(_store_for_ever(exchange))
            for _ in range(5 + hops % 25):
                await asyncio.sleep(0)
            storing.cancel()
            done, _ = await asyncio.wait([storing], timeout=5)
            assert done


async def test_a_reader_that_falls_behind_is_told_so_and_memory_stays_bounded(redis_world: RedisWorld) -> None:
    async with redis_world.connect() as exchange:
        pushes = exchange.pushes()
        pushes._limit = 50
        await exchange.watch("u1")
        last = slate(200)
        for version in range(1, 201):
            await exchange.store_slates([slate(version)])
        found = await through(pushes, last)
        assert found[0] is None
        assert len(found) <= 51
        versions = [pushed.slate.position.version for pushed in found if isinstance(pushed, Pushed)]
        assert versions == list(range(versions[0], 201))


async def test_watching_waits_for_redis_so_that_nothing_is_missed(redis_world: RedisWorld) -> None:
    async with redis_world.connect() as exchange, redis_world.connect() as worker:
        pushes = exchange.pushes()

        async def watch_then_store(number: int) -> None:
            user_id = f"u{number}"
            await exchange.watch(user_id)
            await worker.store_slates([slate(1, user_id)])
            if number % 3 == 0:
                await exchange.unwatch(user_id)
                await exchange.watch(user_id)
                await worker.store_slates([slate(2, user_id)])

        await asyncio.gather(*(watch_then_store(number) for number in range(300)))
        wanted = {(f"u{n}", v) for n in range(300) for v in ((1, 2) if n % 3 == 0 else (1,))}
        seen: set[tuple[str, int]] = set()
        while not wanted <= seen | {(f"u{n}", 1) for n in range(0, 300, 3)}:
            pushed = await following(pushes)
            assert pushed is not None
            seen.add((pushed.user_id, pushed.slate.position.version))


async def test_without_a_redis_opening_says_where_it_looked() -> None:
    port = free_port()
    with pytest.raises(Unavailable, match=f"127.0.0.1:{port}"):
        async with RedisExchange(f"redis://:hidden@127.0.0.1:{port}/0"):
            pytest.fail("opened without a redis")


async def test_a_wrong_password_is_a_matter_of_configuration_and_is_not_shown(redis_world: RedisWorld) -> None:
    url = redis_world.url.replace("redis://", "redis://somebody:hidden@")
    with pytest.raises(ConfigError, match="REC_REDIS_URL") as caught:
        async with RedisExchange(url):
            pytest.fail("opened with a wrong password")
    assert "hidden" not in caught.value.message


@pytest.mark.parametrize("url", ["http://127.0.0.1", "127.0.0.1:6379", "redis://127.0.0.1:port"])
def test_an_address_that_makes_no_sense_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(ConfigError, match="redis://host:port/0"):
        RedisExchange(url)
