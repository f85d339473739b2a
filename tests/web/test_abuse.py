"""One user who wants more than anybody needs is bounded in connections, screens and requests; others are not."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from rec.errors import Unavailable
from rec.ports import Wanted
from rec.protocol import MAX_SCREENS, MAX_USER_SCREENS
from tests.web.test_socket import handshake_error
from tests.web.world import BACKEND, Shop, Socket, event, open_shop, slate, stored, until
from web import admission


async def fill(shop: Shop, stack: contextlib.AsyncExitStack, user_id: str = "u1") -> list[Socket]:
    """As many screens as a user may have."""
    sockets = [await stack.enter_async_context(shop.connected(user_id)) for _ in range(MAX_USER_SCREENS // MAX_SCREENS)]
    for number in range(MAX_USER_SCREENS):
        socket = sockets[number // MAX_SCREENS]
        assert "subscribe" in await socket.ask("subscribe", placement=f"p{number}")
    return sockets


async def test_a_user_has_so_many_screens_over_all_connections(shop: Shop) -> None:
    async with contextlib.AsyncExitStack() as stack, shop.connected("u1") as more, shop.watching("u2") as other:
        sockets = await fill(shop, stack)
        error = (await more.ask("subscribe", placement="one-more"))["error"]
        assert (error["code"], error["temporary"]) == ("too_many_screens", True)
        assert error["retry_after"] > 0
        assert "subscribe" in await more.ask("subscribe", placement="p3")  # the same list on another screen
        answer = await shop.call("GET", "/v1/sse?placement=one-more", shop.browser("u1"))
        assert (answer.status, answer.error["code"]) == (429, "too_many_screens")
        online = {wanted.user_id: wanted.screens for wanted in await shop.exchange.online()}
        assert len(online["u1"]) == MAX_USER_SCREENS
        assert set(online["u2"]) == {"home"}
        assert "unsubscribe" in await sockets[0].ask("unsubscribe", placement="p0")
        assert "subscribe" in await more.ask("subscribe", placement="one-more")
        await other.slate()


async def test_what_a_user_has_on_screens_is_counted_over_all_processes(shop: Shop) -> None:
    there = {f"p{number}": 20 for number in range(MAX_USER_SCREENS)}
    assert await shop.worker.exchange.announce("another-process", Wanted("u1", there))
    async with shop.connected("u1") as socket:
        assert (await socket.ask("subscribe"))["error"]["code"] == "too_many_screens"
        assert "subscribe" in await socket.ask("subscribe", placement="p0")
        assert "unsubscribe" in await socket.ask("unsubscribe", placement="p0")


async def test_hopping_from_product_to_product_leaves_one_screen(shop: Shop) -> None:
    async with shop.connected("u1") as socket:
        for number in range(100):
            assert "subscribe" in await socket.ask("subscribe", placement="pdp", item_id=f"i{number}")
        [wanted] = await shop.exchange.online()
        assert set(wanted.screens) == {"pdp/i99"}
        known = (await shop.call("GET", "/v1/users/u1")).body["exchange"]
        assert set(known["on_screen"]) == {"pdp/i99"}
        assert len(known["slates"]) <= 2 * MAX_USER_SCREENS


async def test_a_subscription_that_is_refused_leaves_the_one_before_as_it_was(shop: Shop) -> None:
    async with contextlib.AsyncExitStack() as stack, shop.connected("u1") as socket:
        assert "subscribe" in await socket.ask("subscribe", placement="p0", n=3)
        await fill(shop, stack)
        assert (await socket.ask("subscribe", placement="p0", item_id="tent"))["error"]["code"] == "too_many_screens"
        assert (await socket.ask("subscribe", placement="p0", item_id=""))["error"]["code"] == "invalid_field"
        socket.pushes.clear()
        await shop.track(event("u1"))
        version = shop.worker.users["u1"].version
        newest = await socket.slate(lambda made: made["placement"] == "p0" and made["version"] >= version)
        assert len(newest["items"]) == 3


async def test_what_was_pushed_while_a_subscription_was_refused_is_not_missed(shop: Shop) -> None:
    async with shop.watching("u1", n=3) as socket:
        first = await socket.slate()
        shop.exchange.go_on.clear()  # the exchange is slow, and then away
        asking = asyncio.create_task(socket.ask("subscribe", placement="home", item_id="tent"))
        [connection] = shop.edge.hub.of("u1")
        await until(lambda: connection.screens["home"].item_id == "tent")
        newer = stored(slate("u1", "home", first["epoch"], first["version"] + 7, 20, shop.clock()))
        shop.edge.hub.push("u1", newer)

        latest = shop.exchange.inner.latest
        calls: list[str] = []

        async def away_once(user_id: str, screen: str) -> Any:
            calls.append(screen)
            if len(calls) == 1:
                raise Unavailable("the neighbour is away")
            return newer if screen == "home" else await latest(user_id, screen)

        shop.exchange.inner.latest = away_once
        shop.exchange.go_on.set()
        assert (await asking)["error"]["code"] == "unavailable"
        assert (await socket.slate())["version"] == first["version"] + 7
        [wanted] = await shop.exchange.online()
        assert wanted.screens == {"home": 3}


async def test_a_user_has_so_many_connections_and_is_told_to_come_back_later() -> None:
    async with open_shop(max_connections_per_user=2) as shop:
        async with shop.connected("u1"), shop.connected("u1"), shop.connected("u2"):
            async with shop.socket() as refused:
                error = (await refused.ask("connect", token=shop.token("u1")))["error"]
                assert (error["code"], error["temporary"]) == ("too_many_connections", True)
                assert (await refused.closed()).code == 4009
            answer = await shop.call("GET", "/v1/sse", shop.browser("u1"))
            assert (answer.status, answer.error["code"]) == (429, "too_many_connections")
            assert int(answer.headers["Retry-After"]) > 0
        await until(lambda: len(shop.edge.hub) == 0)
        async with shop.connected("u1"):
            assert len(shop.edge.hub.of("u1")) == 1


@pytest.mark.parametrize("path", ["/v1/recommendations", "/v1/search?q=tent", "/v1/suggest?q=te"])
async def test_a_browser_asks_so_often_and_others_are_not_held_up(path: str) -> None:
    async with open_shop(requests_per_minute=3) as shop:
        mine, others = shop.browser("u1"), shop.browser("u2")
        answers = [await shop.call("GET", path, mine) for _ in range(4)]
        refused = answers.pop()
        assert all(answer.status != 429 for answer in answers)
        assert (refused.status, refused.error["code"], refused.error["temporary"]) == (429, "rate_limited", True)
        assert 0 < refused.error["retry_after"] <= 20
        assert (await shop.call("GET", path, shop.browser("u1", "v1"))).status == 429  # another token of the same user
        assert (await shop.call("GET", path, others)).status != 429
        backend = path + ("&" if "?" in path else "?") + "user_id=u1"
        assert all([(await shop.call("GET", backend, BACKEND)).status != 429 for _ in range(9)])


async def test_a_browser_sends_events_so_often_and_what_is_refused_can_be_sent_again() -> None:
    async with open_shop(requests_per_minute=3) as shop:
        mine = shop.browser("u1")
        sent = [{"events": [event("u1")]} for _ in range(4)]
        answers = [await shop.call("POST", "/v1/events", mine, json=body) for body in sent]
        refused = answers.pop()
        assert [answer.status for answer in answers] == [202] * 3
        assert (refused.status, refused.error["code"], refused.error["temporary"]) == (429, "rate_limited", True)
        assert 0 < refused.error["retry_after"] <= 20
        assert int(refused.headers["Retry-After"]) > 0
        assert (await shop.call("GET", "/v1/suggest?q=te", mine)).status != 429  # questions are counted apart
        others = shop.browser("u2")
        assert (await shop.call("POST", "/v1/events", others, json={"events": [event("u2")]})).status == 202
        again = [await shop.call("POST", "/v1/events", BACKEND, json=sent[-1]) for _ in range(9)]
        assert [(answer.status, answer.body["accepted"]) for answer in again] == [(202, 1)] + [(202, 0)] * 8


async def test_so_many_connections_may_wait_with_their_first_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "silent_at_most", lambda _: 3)
    async with open_shop() as shop, contextlib.AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(shop.socket()) for _ in range(3)]
        assert await handshake_error(shop) == (503, "full")
        await waiting[0].ask("connect", token=shop.token("u1"))
        async with shop.connected("u2"):
            assert len(shop.edge.hub) == 2
