"""Requests that begin and do not go on: their connections end, and nobody finds an error in the log."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp import web

from tests.web.world import API_KEY, Shop, until
from web import parsing
from web.arrivals import HEAD_S, Arrivals
from web.parsing import read

WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
HALF_A_HEAD = b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow:"
HALF_A_BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


class Door(NamedTuple):
    """A server that reads bodies, and what became of each reading."""

    port: int
    server: web.Server
    arrivals: Arrivals
    ends: list[BaseException]
    writers: list[asyncio.StreamWriter]

    async def begin(self, raw: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        self.writers.append(writer)
        return reader, writer

    async def ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """One whole request, which is being answered."""
        reader, writer = await self.begin(WHOLE)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        return reader, writer


@pytest.fixture
async def door() -> AsyncIterator[Door]:
    ends: list[BaseException] = []
    writers: list[asyncio.StreamWriter] = []

    async def handle(request: web.Request) -> web.Response:
        try:
            await read(request)
        except BaseException as error:
            ends.append(error)
            raise
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_route("*", "/", handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    assert runner.server is not None
    arrivals = Arrivals(runner.server, most=3)
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Door(runner.addresses[0][1], runner.server, arrivals, ends, writers)
    finally:
        for writer in writers:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        await runner.cleanup()


async def test_half_a_head_is_not_waited_for_and_who_has_asked_stays(door: Door) -> None:
    asked, asking = await door.ask()
    slow, _ = await door.begin(HALF_A_HEAD)
    await until(lambda: len(door.server.connections) == 2)
    door.arrivals.sweep(100.0)
    door.arrivals.sweep(100.0 + HEAD_S - 1)
    assert len(door.server.connections) == 2
    door.arrivals.sweep(100.0 + HEAD_S)
    with contextlib.suppress(ConnectionResetError):  # the other way to say so
        assert await asyncio.wait_for(slow.read(), 5) == b""
    await until(lambda: len(door.server.connections) == 1)
    asking.write(WHOLE)
    while not (await asyncio.wait_for(asked.readline(), 5)).startswith((b"okHTTP/1.1 200", b"HTTP/1.1 200")):
        pass


async def test_of_those_who_have_asked_nothing_so_many_may_wait(door: Door) -> None:
    await door.ask()
    first, _ = await door.begin(HALF_A_HEAD)
    await until(lambda: len(door.server.connections) == 2)
    door.arrivals.sweep(100.0)
    for _ in range(3):
        await door.begin(b"")
    await until(lambda: len(door.server.connections) == 5)
    door.arrivals.sweep(101.0)
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(first.read(), 5) == b""
    await until(lambda: len(door.server.connections) == 4)  # the three newest, and who has asked


async def test_who_goes_away_in_the_middle_of_a_body_is_no_error_of_the_server(door: Door) -> None:
    _, writer = await door.begin(HALF_A_BODY)
    await until(lambda: len(door.server.connections) == 1)
    writer.close()
    await until(lambda: bool(door.ends))
    assert isinstance(door.ends[0], ConnectionError)


async def test_half_a_body_is_answered_with_408(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "BODY_S", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(shop.url.rpartition(":")[2]))
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\nContent-Length: 100\r\n\r\n"
    writer.write(head.encode() + b"{")
    assert b" 408 " in await asyncio.wait_for(reader.readline(), 5)
    assert b"too_slow" in await asyncio.wait_for(reader.readuntil(b"}}"), 5)
    writer.close()
    await writer.wait_closed()


async def test_a_key_that_is_no_text_is_no_key(shop: Shop) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(shop.url.rpartition(":")[2]))
    writer.write(b"GET /v1/recommendations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\xfe\xff\r\n\r\n")
    assert b" 401 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()
