"""Bad input over HTTP and websocket, again and again: each kind gets a clear error, and memory stays bounded.

    python -m tests.faults.abuse [--rounds 10] [--each 30]

Starts a `rec up`, sends every kind `each` times a round, and prints after each round how many answers were not the
error that belongs to them, and how large the edge has become. Exit 1 for a wrong answer, or if the edge keeps growing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import psutil

from tests.faults.restart import Running, rec_up

GROWTH_MIB = 24.0  # from the middle of the rounds to the last: pools and caches have filled by then
FOREIGN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1MSIsImV4cCI6OTk5OTk5OTk5OX0.c2lnbmVkIGJ5IHNvbWVib2R5IGVsc2U"


class Bad(NamedTuple):
    """A request of which nothing may be taken; the statuses that are right (a batch answers for each of its parts)."""

    name: str
    method: str
    path: str
    statuses: tuple[int, ...]
    body: object = None
    headers: dict[str, str] | None = None


def event(**more: object) -> dict[str, object]:
    return {"event": "view_item", "event_id": "abuse-1", "user_id": "u1", "items": [{"item_id": "x"}], **more}


def one(**more: object) -> dict[str, object]:
    return {"events": [event(**more)]}


ITEM = {"item_id": "a", "title": "t"}
NOBODY = {"Authorization": "Bearer nobody"}
HTTP = [
    Bad("no JSON", "POST", "/v1/events", (400,), b"{"),
    Bad("not UTF-8", "POST", "/v1/events", (202,), b'{"events":["\xff\xfe"]}'),
    Bad("deep nesting", "POST", "/v1/events", (400,), b"[" * 100_000),
    Bad("no events", "POST", "/v1/events", (400,), {"events": []}),
    Bad("a list", "POST", "/v1/events", (400,), [1, 2]),
    Bad("501 events", "POST", "/v1/events", (413,), {"events": [event()] * 501}),
    Bad("2 MB", "POST", "/v1/events", (413,), b"x" * 2_000_000),
    Bad("wrong key", "POST", "/v1/events", (401,), one(), NOBODY),
    Bad("foreign token", "GET", "/v1/recommendations", (401,), None, {"Authorization": f"Bearer {FOREIGN}"}),
    Bad("n=abc", "GET", "/v1/recommendations?user_id=u1&n=abc", (400,)),
    Bad("n=0", "GET", "/v1/recommendations?user_id=u1&n=0", (400,)),
    Bad("n=201", "GET", "/v1/recommendations?user_id=u1&n=201", (400,)),
    Bad("unknown parameter", "GET", "/v1/recommendations?user_id=u1&m=3", (400,)),
    Bad("placement with a slash", "GET", "/v1/recommendations?user_id=u1&placement=a%2Fb", (400,)),
    Bad("long id", "GET", f"/v1/recommendations?user_id={'u' * 200}", (400,)),
    Bad("control characters", "GET", "/v1/recommendations?user_id=a%00b", (400,)),
    Bad("item without title", "PUT", "/v1/items", (200,), {"items": [{"item_id": "a"}]}),
    Bad(
        "script in a link",
        "PUT",
        "/v1/items",
        (200,),
        {"items": [{**ITEM, "url": "javascript:1"}]},
    ),
    Bad("negative price", "PUT", "/v1/items", (200,), {"items": [{**ITEM, "price": -1}]}),
    Bad("unknown item", "GET", "/v1/items/nobody-knows", (404,)),
    Bad("unknown erasure", "GET", "/v1/erasures/nobody-knows", (404,)),
    Bad("no such address", "GET", "/v2/anything", (404,)),
    Bad("wrong method", "DELETE", "/v1/events", (405,)),
    Bad("token for nobody", "POST", "/v1/tokens", (400,), {}),
]
REJECTED = [  # events that are refused alone, by the code that belongs to them
    ("unknown_event", event(event="veiw_item")),
    ("missing_user", {"event": "view_item", "event_id": "1", "items": [{"item_id": "x"}]}),
    ("missing_items", event(items=[])),
    ("invalid_field", event(items=[{"item_id": "x", "quantity": -1}])),
    ("invalid_field", event(client_ts="yesterday")),
    ("too_old", event(client_ts="2001-01-01T00:00:00Z")),
    ("reserved_event", event(event="$erase")),
    ("context_too_large", event(context={"a": "x" * 5_000})),
]
FRAMES = [
    b"{",
    b'{"id":1}',
    b'{"connect":{}}',
    b'{"id":1,"connect":{"token":"x"}}',
    b'{"id":1,"track":{"events":[]}}',
    b"x" * 300_000,
]


async def http_round(http: aiohttp.ClientSession, running: Running, wrong: Counter[str]) -> None:
    key = {"Authorization": f"Bearer {running.api_key}"}
    for bad in HTTP:
        data = bad.body if isinstance(bad.body, bytes) else None if bad.body is None else json.dumps(bad.body).encode()
        async with http.request(bad.method, running.url + bad.path, data=data, headers=bad.headers or key) as answer:
            body = await answer.read()
            if answer.status not in bad.statuses or b'"message"' not in body:
                wrong[f"{bad.name}: {answer.status}"] += 1
    events = {"events": [each for _, each in REJECTED]}
    async with http.post(running.url + "/v1/events", json=events, headers=key) as answer:
        codes = {each["index"]: each["code"] for each in (await answer.json())["rejected"]}
        wrong.update(f"{code}: {codes.get(at)}" for at, (code, _) in enumerate(REJECTED) if codes.get(at) != code)


async def socket_round(http: aiohttp.ClientSession, running: Running, wrong: Counter[str]) -> None:
    for frame in FRAMES:
        async with await connected(http, running) as ws:
            await ws.send_str(frame.decode())
            async for _ in ws:
                pass
            if ws.close_code not in (1009, 1006, 4500, 4501):
                wrong[f"frame {frame[:20]!r}: {ws.close_code}"] += 1
    try:
        async with http.ws_connect(running.url + "/v1/ws", headers={"Origin": "https://evil.example"}):
            wrong["foreign origin: connected"] += 1
    except aiohttp.WSServerHandshakeError as error:
        if error.status not in (403, 429):
            wrong[f"foreign origin: {error.status}"] += 1


async def connected(http: aiohttp.ClientSession, running: Running) -> aiohttp.ClientWebSocketResponse:
    """More connections a second than the edge lets in are answered 429: then a little later."""
    while True:
        try:
            return await http.ws_connect(running.url + "/v1/ws", protocols=["shunxi.v1"])
        except aiohttp.WSServerHandshakeError as error:
            if error.status != 429:
                raise
            await asyncio.sleep(0.5)


async def at_once(each: int, one_of: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(one_of() for _ in range(each)))


def edge_of(running: Running) -> psutil.Process:
    children = psutil.Process(running.process.pid).children(recursive=True)
    return next(child for child in children if child.cmdline()[1:3] == ["-m", "web"])


async def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=30)
    options = parser.parse_args(argv)
    wrong: Counter[str] = Counter()
    sizes: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        async with rec_up(Path(folder) / "data") as running, aiohttp.ClientSession() as http:
            edge = edge_of(running)
            for number in range(options.rounds):
                await at_once(options.each, lambda: http_round(http, running, wrong))
                await at_once(options.each, lambda: socket_round(http, running, wrong))
                sizes.append(edge.memory_info().rss / 2**20)
                sent = (number + 1) * options.each * (len(HTTP) + len(REJECTED) + len(FRAMES) + 1)
                sys.stdout.write(
                    f"{sent:>7,} bad inputs: {sum(wrong.values())} wrong answers, edge {sizes[-1]:.1f} MiB\n"
                )
                sys.stdout.flush()
    for what, count in wrong.most_common(20):
        sys.stdout.write(f"  {count} x {what}\n")
    grown = sizes[-1] - sizes[len(sizes) // 2]
    return int(bool(wrong) or grown > GROWTH_MIB)


if __name__ == "__main__":
    os.environ.pop("REC_DATA_DIR", None)
    sys.exit(asyncio.run(main(sys.argv[1:])))
