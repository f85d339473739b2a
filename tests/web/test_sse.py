"""Server-sent events: the same pushes, the same positions."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientResponse

from rec.protocol import PING_S
from tests.web.world import Shop, event, open_shop, until


class Stream:
    """An event source by hand: (event, id, data) as they come, comments as ("comment", …)."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def next(self) -> dict[str, str]:
        fields: dict[str, str] = {}
        while True:
            line = (await asyncio.wait_for(self._response.content.readline(), 5)).decode()
            if not line:
                raise EOFError
            if line == "\n":
                return fields
            name, _, value = line.rstrip("\n").partition(": ")
            fields[name or "comment"] = value

    async def slate(self) -> tuple[str, dict[str, Any]]:
        """The next pushed slate with its id."""
        while True:
            fields = await self.next()
            if "id" in fields:
                made: dict[str, Any] = msgspec.json.decode(fields["data"])["push"]["slate"]
                return fields["id"], made


@contextlib.asynccontextmanager
async def stream(shop: Shop, user_id: str, query: str = "", **headers: str) -> AsyncIterator[Stream]:
    sent = {**shop.browser(user_id), **{name.replace("_", "-"): value for name, value in headers.items()}}
    async with shop.http.get(f"{shop.url}/v1/sse{query}", headers=sent) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        yield Stream(response)


async def test_a_stream_gets_the_same_lists_as_a_socket(shop: Shop) -> None:
    async with stream(shop, "u1", "?n=3") as source, shop.watching("u1", n=3) as socket:
        hello = await source.next()
        assert (hello["retry"], hello["event"]) == ("1000", "subscribe")
        assert msgspec.json.decode(hello["data"]) == {"recovered": False}
        id, first = await source.slate()
        assert id == f"{first['epoch']}:{first['version']}"
        await shop.track(event("u1"))
        _, second = await source.slate()
        assert second == await socket.slate(lambda s: s["version"] == second["version"])


async def test_a_stream_goes_on_from_the_last_event_id(shop: Shop) -> None:
    async with stream(shop, "u1") as source:
        id, first = await source.slate()
    async with stream(shop, "u1", Last_Event_ID=id) as source:
        assert msgspec.json.decode((await source.next())["data"]) == {"recovered": True}
        await shop.track(event("u1"))
        newer, second = await source.slate()
        assert second["version"] == first["version"] + 1
    await shop.track(event("u1"))
    await until(lambda: shop.worker.users["u1"].version == second["version"] + 1)
    async with stream(shop, "u1", Last_Event_ID=newer) as source:
        _, third = await source.slate()
        assert third["version"] == second["version"] + 1


async def test_an_event_source_may_send_its_token_in_the_query(shop: Shop) -> None:
    async with shop.http.get(f"{shop.url}/v1/sse?token={shop.token('u1')}") as response:
        _, first = await Stream(response).slate()
        assert first["user_id"] == "u1"


async def test_a_comment_keeps_the_stream_alive_and_no_answer_is_expected(shop: Shop) -> None:
    async with stream(shop, "u1") as source:
        await source.slate()
        now = asyncio.get_running_loop().time()
        shop.edge.hub.sweep(now + PING_S)
        assert "comment" in await source.next()
        shop.edge.hub.sweep(now + PING_S + 20)
        assert len(shop.edge.hub) == 1


async def test_a_stream_says_why_it_ends(shop: Shop) -> None:
    async with stream(shop, "u1") as source:
        await source.slate()
        shop.clock.ahead += shop.settings.token_ttl_s + 1
        shop.edge.hub.sweep(asyncio.get_running_loop().time())
        closing = await source.next()
        assert closing["event"] == "close"
        assert msgspec.json.decode(closing["data"]) == {"code": 4005, "reason": "token expired"}
        with pytest.raises(EOFError):
            await source.next()
    await until(lambda: len(shop.edge.hub) == 0)
    assert shop.metric("push_disconnects_total", code="4005") == 1


async def test_a_stream_whose_client_went_away_is_swept_up(shop: Shop) -> None:
    async with stream(shop, "u1") as source:
        await source.slate()
    await until(lambda: all(c.sink.gone for c in shop.edge.hub.of("u1")))
    shop.edge.hub.sweep(asyncio.get_running_loop().time())
    await until(lambda: len(shop.edge.hub) == 0)
    await until(lambda: shop.edge.hub.presence.announced == 0)


@pytest.mark.parametrize(
    ("query", "headers", "status", "code"),
    [
        ("", {"Authorization": ""}, 401, "unauthorized"),
        ("?token=rubbish", {}, 401, "invalid_token"),
        ("", {"Authorization": "Bearer " + "k" * 24}, 403, "forbidden"),
        ("?n=0", {}, 400, "invalid_field"),
        ("?placement=a%20b", {}, 400, "invalid_field"),
        ("?user_id=u2", {}, 400, "unknown_parameter"),
        ("", {"Last-Event-ID": "rubbish"}, 400, "invalid_field"),
        ("", {"Last-Event-ID": "e:-1"}, 400, "invalid_field"),
        ("", {"Last-Event-ID": "e:9007199254740992"}, 400, "invalid_field"),
        ("", {"Origin": "https://evil.example"}, 403, "foreign_origin"),
    ],
)
async def test_a_wrong_stream_gets_a_clear_error(
    shop: Shop, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await shop.call("GET", "/v1/sse" + query, {**shop.browser("u1"), **headers})
    assert (answer.status, answer.error["code"]) == (status, code)
    assert len(shop.edge.hub) == 0


async def test_a_stream_without_redis_is_refused_for_now(shop: Shop) -> None:
    shop.exchange.away = True
    answer = await shop.call("GET", "/v1/sse", shop.browser("u1"))
    assert (answer.status, answer.error["temporary"]) == (503, True)


async def test_pages_of_allowed_origins_may_read_a_stream() -> None:
    async with open_shop(allowed_origins="https://shop.example") as shop:
        headers = {**shop.browser("u1"), "Origin": "https://shop.example"}
        async with shop.http.get(f"{shop.url}/v1/sse", headers=headers) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "https://shop.example"
