"""`async for slate in client.subscribe(…)` against a server that misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from rec.client import RecClient, Slate, State, Timing
from rec.errors import BadInput, Forbidden, NotFound, RecError, Unauthorized
from tests.client.conftest import QUICK
from tests.client.fake_server import WAIT_S, FakeServer, FakeSocket, a_slate, a_token


async def take(slates: AsyncGenerator[Slate]) -> Slate:
    async with asyncio.timeout(WAIT_S):
        return await anext(slates)


async def first(slates: AsyncGenerator[Slate], server: FakeServer, slate: Slate, nth: int = 1) -> FakeSocket:
    """Start the loop, push its first slate, and give the socket."""
    begun = asyncio.create_task(take(slates))
    socket = await server.socket(nth)
    await socket.subscribed(slate.placement)
    await socket.push(slate)
    assert (await begun).position == slate.position
    return socket


async def test_pushes_arrive_in_the_loop(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1", n=7)) as slates:
        socket = await first(slates, server, a_slate(1))
        assert (await socket.subscribed())["n"] == 7
        await socket.push(a_slate(2))
        assert (await take(slates)).version == 2


async def test_after_a_cut_the_list_is_resumed_and_goes_on(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(41))
        await socket.cut()
        again = await server.socket(2)
        assert (await again.command("connect"))["resume"] == {"home": {"epoch": "a", "version": 41}}
        await again.subscribed()
        await again.push(a_slate(41), a_slate(42))
        assert (await take(slates)).version == 42


async def test_a_step_that_is_waited_for_only_so_long_goes_on_and_one_that_is_cancelled_ends_the_subscription(
    server: FakeServer, client: RecClient
) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        step = asyncio.ensure_future(anext(slates))
        assert await asyncio.wait({step}, timeout=0.01) == (set(), {step})
        await socket.push(a_slate(2))
        async with asyncio.timeout(WAIT_S):
            assert (await step).version == 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(slates)
        with pytest.raises(StopAsyncIteration):
            await anext(slates)


async def test_what_is_not_newer_never_reaches_the_loop(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(5))
        await socket.push(a_slate(4), a_slate(5))
        await socket.pong()
        await socket.push(a_slate(1, epoch="b"))
        assert (await take(slates)).position == a_slate(1, epoch="b").position


async def test_a_slow_loop_sees_the_newest_list_and_never_a_backlog(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        await socket.push(*(a_slate(version) for version in range(2, 100)))
        await socket.pong()  # all of them have been read, while the loop was busy
        assert (await take(slates)).version == 99


async def test_a_missing_ping_ends_the_connection_and_another_is_made(server: FakeServer) -> None:
    server.on["connect"] = lambda command: {"client": "c", "ping": 0.05}
    timing = Timing(backoff_low_s=0.01, backoff_high_s=0.02, ping_grace_s=0.05)
    async with (
        RecClient(server.url, api_key="key", timing=timing) as client,
        aclosing(client.subscribe("u1")) as slates,
    ):
        begun = asyncio.create_task(take(slates))
        silent = await server.socket(1)
        async with asyncio.timeout(WAIT_S):
            await silent.over.wait()
        again = await server.socket(2)
        await again.subscribed()
        await again.push(a_slate(1))
        assert (await begun).version == 1


async def test_a_reply_that_never_comes_ends_the_connection(server: FakeServer) -> None:
    server.silent = True
    timing = Timing(timeout_s=0.1, backoff_low_s=0.01, backoff_high_s=0.02)
    async with (
        RecClient(server.url, api_key="key", timing=timing) as client,
        aclosing(client.subscribe("u1")) as slates,
    ):
        begun = asyncio.create_task(take(slates))
        async with asyncio.timeout(WAIT_S):
            await (await server.socket(1)).over.wait()
        server.silent = False
        socket = await server.socket(len(server.sockets) + 1)
        await socket.subscribed()
        await socket.push(a_slate(1))
        assert (await begun).version == 1


@pytest.mark.parametrize("code", [1001, 4001, 4005, 4008, 4499])
async def test_codes_below_4500_reconnect(server: FakeServer, client: RecClient, code: int) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        await socket.close(code)
        again = await server.socket(2)
        await again.subscribed()
        await again.push(a_slate(2))
        assert (await take(slates)).version == 2


@pytest.mark.parametrize(
    ("code", "error"), [(4500, Unauthorized), (4501, BadInput), (4503, Forbidden), (4999, RecError)]
)
async def test_codes_from_4500_on_raise_in_every_loop(
    server: FakeServer, client: RecClient, code: int, error: type[RecError]
) -> None:
    async with aclosing(client.subscribe("u1")) as home, aclosing(client.subscribe("u1", "cart")) as cart:
        socket = await first(home, server, a_slate(1))
        waiting = asyncio.create_task(take(cart))
        await socket.subscribed("cart")
        await socket.close(code)
        with pytest.raises(error):
            await take(home)
        with pytest.raises(error):
            await waiting
    assert client.state("u1") is State.CLOSED


async def test_garbage_costs_one_connection_and_no_list(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        await socket.say('{"push":{"slate":{"version":"two"}}}')
        again = await server.socket(2)
        await again.subscribed()
        await again.push(a_slate(2))
        assert (await take(slates)).version == 2


async def test_a_rate_limited_subscription_comes_back(server: FakeServer, client: RecClient) -> None:
    answers: list[dict[str, Any]] = [
        {"error": {"code": "rate_limited", "message": "slow down", "temporary": True, "retry_after": 0.01}},
        {"recovered": False},
    ]
    server.on["subscribe"] = lambda command: answers.pop(0)
    async with aclosing(client.subscribe("u1")) as slates:
        begun = asyncio.create_task(take(slates))
        socket = await server.socket()
        await socket.command("subscribe", 2)
        await socket.push(a_slate(1))
        assert (await begun).version == 1
    assert len(server.sockets) == 1


async def test_a_subscription_refused_for_good_raises_and_leaves_others_alone(
    server: FakeServer, client: RecClient
) -> None:
    refusal = {"error": {"code": "forbidden", "message": "not this one", "temporary": False}}
    server.on["subscribe"] = lambda command: refusal if command["placement"] == "secret" else {"recovered": False}
    async with aclosing(client.subscribe("u1")) as home, aclosing(client.subscribe("u1", "secret")) as secret:
        socket = await first(home, server, a_slate(1))
        with pytest.raises(Forbidden, match="not this one"):
            await take(secret)
        await socket.push(a_slate(2))
        assert (await take(home)).version == 2


async def test_the_token_is_renewed_on_the_open_socket(client: RecClient, server: FakeServer) -> None:
    server.token_lifetime_s = 0.2
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        given = (await socket.command("connect"))["token"]
        refreshed = (await socket.command("refresh"))["token"]
        again = (await socket.command("refresh", 2))["token"]
    assert len({given, refreshed, again}) == 3
    assert len(server.sockets) == 1


async def test_a_token_callable_is_asked_for_its_user_and_asked_again_at_each_connection(server: FakeServer) -> None:
    asked: list[str] = []

    async def token(user_id: str) -> str:
        asked.append(user_id)
        return a_token(user_id, 900, len(asked))

    async with (
        RecClient(server.url, token=token, user_id="u7", timing=QUICK) as client,
        aclosing(client.subscribe()) as slates,
    ):
        socket = await first(slates, server, a_slate(1))
        await socket.close(4005)
        again = await server.socket(2)
        assert (await again.command("connect"))["token"] != (await socket.command("connect"))["token"]
    assert asked == ["u7", "u7"]
    assert not [call for call in server.calls if call.route == "POST /v1/tokens"]


async def test_a_fixed_token_that_runs_out_raises(server: FakeServer) -> None:
    async with (
        RecClient(server.url, token="t", user_id="u1", timing=QUICK) as client,
        aclosing(client.subscribe()) as slates,
    ):
        socket = await first(slates, server, a_slate(1))
        await socket.close(4005)
        with pytest.raises(Unauthorized, match="callable"):
            await take(slates)


async def test_a_token_callable_that_fails_for_good_ends_the_loop_with_the_reason(server: FakeServer) -> None:
    async def token(user_id: str) -> str:
        raise KeyError("no such setting")

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        with pytest.raises(RecError, match="no such setting"):
            await take(client.subscribe("u1"))


async def test_a_token_callable_that_cannot_reach_its_server_is_asked_again(server: FakeServer) -> None:
    tries = 0

    async def token(user_id: str) -> str:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise ConnectionRefusedError("not yet")
        return "t"

    async with RecClient(server.url, token=token, timing=QUICK) as client, aclosing(client.subscribe("u1")) as slates:
        await first(slates, server, a_slate(1))
    assert tries == 3


async def test_a_handshake_that_is_refused_for_good_raises_its_status(server: FakeServer, client: RecClient) -> None:
    server.refuse_websockets = web.Response(status=404)
    with pytest.raises(NotFound, match="404"):
        await take(client.subscribe("u1"))


async def test_a_server_that_is_down_is_waited_for(server: FakeServer, client: RecClient) -> None:
    states = client.states()
    await server.stop()
    async with aclosing(client.subscribe("u1")) as slates:
        begun = asyncio.create_task(take(slates))
        async with asyncio.timeout(WAIT_S):
            change = await anext(states)
            while change.state is not State.RECONNECTING:
                change = await anext(states)
        assert change.error is not None
        assert change.error.temporary
        await server.start()
        socket = await server.socket()
        await socket.subscribed()
        await socket.push(a_slate(1))
        assert (await begun).version == 1


async def test_states_are_told_in_order(server: FakeServer, client: RecClient) -> None:
    states = client.states()
    async with aclosing(client.subscribe("u1")) as slates:
        socket = await first(slates, server, a_slate(1))
        assert client.state("u1") is State.CONNECTED
        await socket.cut()
        again = await server.socket(2)
        await again.subscribed()
        await again.close(4503)
        with pytest.raises(Forbidden):
            await take(slates)
    seen = []
    async with asyncio.timeout(WAIT_S):
        async for change in states:
            seen.append(change.state)
            if change.state is State.CLOSED:
                break
    assert seen == [State.CONNECTING, State.CONNECTED, State.RECONNECTING, State.CONNECTED, State.CLOSED]
    await states.aclose()


async def test_placements_of_a_user_share_one_websocket_and_users_do_not(server: FakeServer, client: RecClient) -> None:
    async with (
        aclosing(client.subscribe("u1")) as home,
        aclosing(client.subscribe("u1", "cart")) as cart,
        aclosing(client.subscribe("u2")) as other,
    ):
        socket = await first(home, server, a_slate(1))
        begun = asyncio.create_task(take(cart))
        await socket.subscribed("cart")
        await socket.push(a_slate(1, placement="cart"))
        assert (await begun).placement == "cart"
        assert len(server.sockets) == 1
        await first(other, server, a_slate(1, user="u2"), nth=2)
        assert len(server.sockets) == 2


async def test_two_loops_of_one_placement_both_get_it_each_as_long_as_it_asked(
    server: FakeServer, client: RecClient
) -> None:
    async with aclosing(client.subscribe("u1", n=2)) as short, aclosing(client.subscribe("u1", n=4)) as long:
        socket = await first(short, server, a_slate(1, n=2))
        assert len((await take(long)).items) == 2  # what there is, at once
        assert (await socket.command("subscribe", 2))["n"] == 4
        await socket.push(a_slate(2, n=4))
        assert len((await take(long)).items) == 4
        assert len((await take(short)).items) == 2


async def test_a_larger_loop_gets_the_same_version_again_and_longer_and_the_smaller_one_does_not(
    server: FakeServer, client: RecClient
) -> None:
    async with aclosing(client.subscribe("u1", n=2)) as short, aclosing(client.subscribe("u1", n=4)) as long:
        socket = await first(short, server, a_slate(1, n=2))
        await take(long)
        await socket.command("subscribe", 2)
        await socket.push(a_slate(1, n=4))
        assert len((await take(long)).items) == 4
        await socket.push(a_slate(2, n=4))
        assert (await take(short)).version == 2


async def test_one_placement_cannot_be_about_two_items_at_once(server: FakeServer, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1", "item", item_id="i1")) as one:
        await first(one, server, a_slate(1, placement="item"))
        with pytest.raises(BadInput, match="item_id"):
            await take(client.subscribe("u1", "item", item_id="i2"))


async def test_breaking_out_of_the_loop_unsubscribes_and_later_closes(server: FakeServer, client: RecClient) -> None:
    async def greet() -> None:
        socket = await server.socket()
        await socket.subscribed()
        await socket.push(a_slate(1))

    greeting = asyncio.create_task(greet())
    async for slate in client.subscribe("u1"):
        assert slate.version == 1
        break
    await greeting
    socket = await server.socket()
    assert await socket.command("unsubscribe") == {"placement": "home"}
    async with asyncio.timeout(WAIT_S):
        await socket.over.wait()
    assert client.state("u1") is State.CLOSED


async def test_a_loop_soon_after_another_uses_the_same_connection(server: FakeServer) -> None:
    async with RecClient(server.url, api_key="key") as client:
        for version in (1, 2):
            async with aclosing(client.subscribe("u1")) as slates:
                begun = asyncio.create_task(take(slates))
                socket = await server.socket()
                await socket.command("subscribe", version)
                await socket.push(a_slate(version))
                assert (await begun).version == version
    assert len(server.sockets) == 1


async def test_closing_the_client_ends_the_loops_without_an_error(server: FakeServer) -> None:
    async with RecClient(server.url, api_key="key", timing=QUICK) as client:
        slates = client.subscribe("u1")
        await first(slates, server, a_slate(1))

        async def rest() -> list[Slate]:
            return [slate async for slate in slates]

        reading = asyncio.create_task(rest())
        await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        assert await reading == []


@pytest.mark.parametrize("server_answers", [True, False])
async def test_closing_the_client_while_it_connects_ends_at_once(server: FakeServer, server_answers: bool) -> None:
    go_on = asyncio.Event()

    async def late(request: web.Request, body: Any) -> dict[str, str]:
        await go_on.wait()
        return {"token": a_token(body["user_id"], 900, 1)}

    server.http["POST /v1/tokens"] = late
    client = await RecClient(server.url, api_key="key", timing=QUICK).__aenter__()

    async def rest() -> list[Slate]:
        return [slate async for slate in client.subscribe("u1")]

    reading = asyncio.create_task(rest())
    await server.called("POST /v1/tokens")
    closing = asyncio.create_task(client.__aexit__(None, None, None))
    if server_answers:
        await asyncio.sleep(0)
        go_on.set()
    async with asyncio.timeout(QUICK.timeout_s / 2):
        await closing
        assert await reading == []
    go_on.set()


async def test_a_loop_that_is_cancelled_unsubscribes(server: FakeServer, client: RecClient) -> None:
    async def watch() -> None:
        async for _ in client.subscribe("u1"):
            pass

    watching = asyncio.create_task(watch())
    socket = await server.socket()
    await socket.subscribed()
    watching.cancel()
    await asyncio.wait([watching])
    assert await socket.command("unsubscribe") == {"placement": "home"}


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 201}, {"placement": ""}, {"placement": "a b"}, {"item_id": ""}])
async def test_wrong_arguments_are_refused_at_the_call(client: RecClient, wrong: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="subscribe"):
        client.subscribe("u1", **wrong)
