"""What is no request that aiohttp can read: an error in the form of all others, over a raw connection."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from web.runner import MAX_LINE_BYTES, Runner


@pytest_asyncio.fixture
async def port() -> Any:
    """A server without an address: nothing that is sent here may come to a handler."""
    runner = Runner(web.Application(handler_args={"max_line_size": MAX_LINE_BYTES}), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


async def said(port: int, raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """What comes back for these bytes, to the end of the connection: status, headers, body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(raw)
        async with asyncio.timeout(30):
            answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"GET /v1/search?q=" + b"a" * MAX_LINE_BYTES + b" HTTP/1.1\r\nHost: x\r\n\r\n", "line_too_long"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Secret: " + b"a" * 9_000 + b"\r\n\r\n", "line_too_long"),
        (b"GET / HTTP/9.9.9\r\n\r\n", "not_http"),
        (b"GET / HTTP/1.1\r\nno header at all\r\n\r\n", "not_http"),
    ],
    ids=["a long address", "a long header", "another version", "a broken header"],
)
async def test_what_the_parser_refuses_is_answered_as_json_that_quotes_nothing_of_it(
    port: int, raw: bytes, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    status, headers, body = await said(port, raw)
    error = json.loads(body)["error"]
    assert (status, error["code"], error["temporary"]) == (400, code, False)
    assert headers["content-type"].startswith("application/json")
    assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert b"aaa" not in body
    assert len(error["message"]) > 20


@pytest.mark.parametrize("encoding", ["br", "zstd"])
async def test_an_encoding_that_the_parser_has_no_library_for_is_named_and_costs_no_stack_in_the_log(
    port: int, encoding: str, caplog: pytest.LogCaptureFixture
) -> None:
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Encoding: {encoding}\r\nContent-Length: 4\r\n\r\n"
    status, _, body = await said(port, head.encode() + b"xxxx")
    assert (status, json.loads(body)["error"]["code"]) == (415, "unknown_encoding")
    assert not caplog.records
