"""The client against the real edge and the real handlers, in one process on the memory backends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from rec.catalog import Item
from rec.client import EventItem, RecClient, Slate, State
from rec.errors import Forbidden, NotFound, Unauthorized
from tests.client.conftest import QUICK
from tests.client.fake_server import WAIT_S
from tests.loop.local import Local, local_worker, loop_settings
from web.app import make_app
from web.edge import EDGE

KEY = "a-key-of-a-backend-for-tests"


class World(NamedTuple):
    url: str
    app: web.Application
    local: Local


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    items = [
        Item(item_id=f"{name}-{n}", title=f"{name} {n}", category=name.title(), price=10.0 + n)
        for name in ("tent", "lamp", "sofa", "drum")
        for n in range(8)
    ]
    settings = loop_settings(tmp_path, api_key=KEY)
    async with local_worker(settings, items) as local:
        await local.exchange.set_worker_state("w1", "ready")
        app = make_app(settings, local.log, local.exchange.connect(), local.database)
        async with TestServer(app) as server:
            yield World(str(server.make_url("")).rstrip("/"), app, local)


@pytest.fixture
async def client(world: World) -> AsyncIterator[RecClient]:
    async with RecClient(world.url, api_key=KEY, timing=QUICK) as client:
        yield client


async def take(slates: AsyncGenerator[Slate]) -> Slate:
    async with asyncio.timeout(WAIT_S):
        return await anext(slates)


async def caused_by(slates: AsyncGenerator[Slate], event_id: str) -> Slate:
    while (slate := await take(slates)).cause.event_id != event_id:
        pass
    return slate


async def test_who_asks_and_then_watches_never_goes_back(world: World, client: RecClient) -> None:
    """A list that nobody watches is not kept; what is shown afterwards is of the same epoch and newer."""
    await client.track("view_item", user_id="u1", items=["tent-1"])
    async with asyncio.timeout(WAIT_S):
        while (asked := await client.recommend("u1", n=4)).epoch == "none":
            await asyncio.sleep(0.01)
    assert await world.local.exchange.latest("u1", "home") is None
    async with aclosing(client.subscribe("u1", n=4)) as slates:
        first = await take(slates)
        assert (first.epoch, first.version) == (asked.epoch, asked.version + 1)
        again = await client.recommend("u1", n=4)
        assert (again.epoch, again.version) == (first.epoch, first.version)
        await client.track("view_item", user_id="u1", items=["lamp-1"], event_id="looked")
        second = await caused_by(slates, "looked")
        assert (second.epoch, second.version) == (first.epoch, first.version + 1)


def tents(slate: Slate) -> int:
    """How many places are there because of tents."""
    return sum("tent" in f"{each.reason.item_id} {each.reason.value}".lower() for each in slate.items)


async def test_a_tracked_event_changes_the_list_of_its_user_alone(client: RecClient) -> None:
    async with aclosing(client.subscribe("u1", n=8)) as slates, aclosing(client.subscribe("u2", n=8)) as others:
        before, _ = await take(slates), await take(others)
        for n in range(3):
            result = await client.track("view_item", user_id="u1", items=[f"tent-{n}"], slate=before, event_id=f"e{n}")
            assert result.accepted == 1
        after = await caused_by(slates, "e2")
        assert after.position.newer_than(before.position)
        assert tents(after) > tents(before)
        await client.track("view_item", user_id="u2", items=["lamp-1"], event_id="own")
        assert (await take(others)).cause.event_id == "own"  # and nothing was pushed before it


async def test_a_repeated_event_is_a_duplicate(client: RecClient) -> None:
    for duplicates in (0, 1):
        result = await client.track("view_item", user_id="u1", items=[EventItem("tent-1", index=2)], event_id="same")
        assert (result.accepted, result.duplicates) == (1 - duplicates, duplicates)


async def test_a_misspelled_event_is_rejected_with_what_was_meant(client: RecClient) -> None:
    result = await client.track("veiw_item", user_id="u1", items=["tent-1"])
    assert result.accepted == 0
    assert result.rejected[0].did_you_mean == "view_item"


async def test_a_list_that_changed_while_the_line_was_cut_arrives_after_it(world: World, client: RecClient) -> None:
    async with aclosing(client.subscribe("u1", n=8)) as slates:
        before = await take(slates)
        states = client.states()
        for connection in world.app[EDGE].hub.of("u1"):
            connection.sink.abort()
        async with asyncio.timeout(WAIT_S):
            while (await anext(states)).state is not State.RECONNECTING:
                pass
        await client.track("view_item", user_id="u1", items=["tent-1"])
        after = await take(slates)
        assert after.position.newer_than(before.position)
        assert tents(after) > tents(before)
        await states.aclose()


async def test_an_erased_user_s_loop_ends_with_the_reason(client: RecClient) -> None:
    async with aclosing(client.subscribe("u1")) as slates:
        await take(slates)
        await client.track("view_item", user_id="u1", items=["tent-1"])
        receipt = await client.erase_user("u1")
        with pytest.raises(Forbidden):
            await caused_by(slates, "never")
    assert (await client.get_erasure(receipt["erasure_id"]))["erasure_id"] == receipt["erasure_id"]


async def test_items_can_be_put_read_and_deleted(client: RecClient) -> None:
    result = await client.put_items([{"item_id": "new-1", "title": "Kite"}, {"item_id": "", "title": "none"}])
    assert (result.accepted, [one.index for one in result.rejected]) == (1, [1])
    assert (await client.get_item("new-1"))["title"] == "Kite"
    await client.delete_item("new-1")
    with pytest.raises(NotFound):
        await client.get_item("new-1")


async def test_what_is_stored_about_a_user_can_be_read(client: RecClient) -> None:
    await client.track("view_item", user_id="u1", items=["tent-1"])
    assert (await client.get_user("u1"))["user_id"] == "u1"
    with pytest.raises(NotFound):
        await client.get_user("nobody-knows")


async def test_a_search_and_what_is_clicked_on_it(client: RecClient) -> None:
    slate = await client.search("tent", user_id="u1", n=3)
    assert all("tent" in place.item_id for place in slate.items)
    assert (await client.track("select_item", user_id="u1", items=[slate.items[0].item_id], slate=slate)).accepted == 1
    assert "tent" in [each.text.lower() for each in await client.suggest("te")]


async def test_a_device_with_a_token_is_its_user_and_no_other(world: World, client: RecClient) -> None:
    async with RecClient(world.url, token=client.token, user_id="u1", timing=QUICK) as device:
        assert (await device.track("view_item", items=["tent-1"])).accepted == 1
        async with aclosing(device.subscribe(n=5)) as slates:
            assert (await take(slates)).user_id == "u1"
        with pytest.raises(Forbidden):
            await device.put_items([{"item_id": "x", "title": "y"}])


async def test_a_wrong_key_ends_loops_and_calls_at_once(world: World) -> None:
    async with RecClient(world.url, api_key="wrong", timing=QUICK) as client:
        with pytest.raises(Unauthorized):
            await client.recommend("u1")
        with pytest.raises(Unauthorized):
            await take(client.subscribe("u1"))


async def test_a_forged_token_ends_the_loop_at_once(world: World) -> None:
    async with RecClient(world.url, token="forged", user_id="u1", timing=QUICK) as client:
        with pytest.raises(Unauthorized):
            await take(client.subscribe())


async def test_queued_events_reach_the_log(world: World, client: RecClient) -> None:
    for n in range(5):
        client.track_soon("view_item", user_id="u1", items=[f"tent-{n}"])
    await client.flush()
    async with asyncio.timeout(WAIT_S):
        while b"u1" not in world.local.users or world.local.users[b"u1"].applied < 5:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
