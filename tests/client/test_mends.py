"""What an application can do wrong with a client, and what the client makes of it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest

from rec.client import RecClient, RecError
from rec.client import caller as caller_module
from rec.client.journal import Journal
from rec.client.states import States
from rec.errors import BadInput, ConfigError
from tests.client.conftest import QUICK
from tests.client.fake_server import FakeServer, a_slate, a_token


# ---------------------------------------------------------------- keys and tokens
async def test_a_key_that_ends_in_a_newline_is_the_key(server: FakeServer) -> None:
    async with RecClient(server.url, api_key="key\n", timing=QUICK) as client:
        await client.recommend("u1")
    assert (await server.called("GET /v1/recommendations")).authorization == "Bearer key"


@pytest.mark.parametrize("name", ["api_key", "token"])
@pytest.mark.parametrize("value", ["a\nb", "  ", 7])
def test_what_no_header_can_carry_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(BadInput, match=name) as caught:
        RecClient("http://127.0.0.1:1", **{name: value})
    assert caught.value.field == name


async def test_a_callables_token_may_end_in_a_newline(server: FakeServer) -> None:
    async def token(user_id: str) -> str:
        return "t\n"

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        await client.recommend("u1")
    assert (await server.called("GET /v1/recommendations")).authorization == "Bearer t"


@pytest.mark.parametrize("value", [None, "a\nb"])
async def test_a_callable_that_gives_no_token_is_told_and_its_events_stay(server: FakeServer, value: Any) -> None:
    values = [value, value]

    async def token(user_id: str) -> str:
        return cast(str, values.pop()) if values else "t"

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        with pytest.raises(RecError, match="token"):
            await client.recommend("u1")
        client.track_soon("search", user_id="u1", search_term="tent")
        await client.flush()
        assert len(server.event_ids) == 1


async def test_a_defect_while_sending_is_raised_by_flush_and_the_queue_goes_on(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with RecClient(server.url, api_key="key", timing=QUICK) as client:
        with monkeypatch.context() as broken:
            broken.setattr("rec.client.sender.make_batch", lambda *_: 1 / 0)
            client.track_soon("search", user_id="u1", search_term="tent")
            with pytest.raises(RecError, match="defect") as caught:
                await client.flush()
            assert isinstance(caught.value.__cause__, ZeroDivisionError)
        await client.flush()
        assert client.queued == 0


async def test_a_token_callable_that_was_cancelled_by_others_is_asked_again(server: FakeServer) -> None:
    tries = 0

    async def token(user_id: str) -> str:
        nonlocal tries
        tries += 1
        if tries % 2:
            raise asyncio.CancelledError
        return a_token(user_id, 0.0, tries)

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        client.track_soon("search", user_id="u1", search_term="tent")
        await client.flush()
        tries = 0
        async with aclosing(client.subscribe("u1")) as slates:
            waiting = asyncio.ensure_future(anext(slates))
            socket = await server.socket()
            await socket.subscribed()
            await socket.push(a_slate(1))
            assert (await waiting).version == 1


# ---------------------------------------------------------------- a closed client
Use = Callable[[RecClient], Awaitable[object]]


async def _soon(client: RecClient) -> object:
    return client.track_soon("search", user_id="u1", search_term="tent")


async def _subscribe(client: RecClient) -> object:
    return await anext(client.subscribe("u1"))


@pytest.mark.parametrize(
    "use",
    [
        lambda client: client.track("search", user_id="u1", search_term="tent"),
        lambda client: client.flush(),
        lambda client: client.recommend("u1"),
        lambda client: client.search("tent", user_id="u1"),
        _soon,
        _subscribe,
    ],
)
async def test_every_call_on_a_closed_client_says_that_it_is_closed(server: FakeServer, use: Use) -> None:
    async with RecClient(server.url, api_key="key", timing=QUICK) as client:
        pass
    with pytest.raises(BadInput, match="this client is closed") as caught:
        await use(client)
    assert caught.value.code == "closed"


async def test_leaving_a_client_twice_is_leaving_it_once(server: FakeServer) -> None:
    async with RecClient(server.url, api_key="key", timing=QUICK) as client:
        pass
    await client.__aexit__(None, None, None)


# ---------------------------------------------------------------- what is left behind
async def test_a_queue_file_that_could_not_be_written_is_named_and_not_left_locked(
    server: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "queue.jsonl"
    in_the_way = tmp_path / "queue.jsonl.new"
    in_the_way.mkdir()
    with pytest.raises(ConfigError, match=r"queue\.jsonl"):
        async with RecClient(server.url, api_key="key", path=path):
            pass
    in_the_way.rmdir()
    async with RecClient(server.url, api_key="key", path=path):
        pass


async def test_opening_that_is_cancelled_leaves_the_file_unlocked(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "queue.jsonl"
    opening = asyncio.create_task(RecClient(server.url, api_key="key", path=path).__aenter__())
    await asyncio.sleep(0)  # it has begun, its thread may have locked the file
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    journal = Journal(path)
    await asyncio.to_thread(journal.open)
    journal.close()


async def test_states_that_nobody_iterates_leave_no_watcher() -> None:
    states = States()
    for _ in range(1000):
        states.watch()
    gc.collect()
    assert len(states._watchers) == 0


async def test_tokens_are_remembered_of_the_most_recent_users_only(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller_module, "KEPT", 4)

    async def token(user_id: str) -> str:
        return a_token(user_id, 900.0, 1)

    async with RecClient(server.url, token=token, timing=QUICK) as client:
        for k in range(20):
            await client.recommend(f"u{k}")
        assert len(client._parts.caller._kept) <= 4
