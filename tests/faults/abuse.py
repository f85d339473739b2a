"""Bad input over HTTP and websocket, again and again, and one user who asks for all there is: memory stays bounded.

    python -m tests.faults.abuse [--rounds 10] [--each 30]

Starts a `rec up`. First somebody stops reading, and is to be closed. Then it sends every kind of bad input `each` times
a round, and lets a greedy user ask for lists of invented placements, open many sockets with many screens, and hop from
product to product. After each round it prints how many answers were not the error that belongs to them, how large the
edge, the worker and Redis have become, and how long another user's list took meanwhile. Exit 1 for a wrong answer, for
a reader who is kept, or if the edge, the worker or Redis keeps growing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import aiohttp
import jwt
import psutil
from redis import Redis

from tests.faults.ending import run_trial
from tests.faults.restart import Running, rec_up

T = TypeVar("T")

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


class BadFrame(NamedTuple):
    """A first frame; the codes that it is closed with, and whether an error frame says why before."""

    frame: bytes
    closes: tuple[int, ...]
    told: bool = True


FRAMES = [
    BadFrame(b"{", (4501,)),
    BadFrame(b'{"id":1}', (4501,)),
    BadFrame(b'{"connect":{}}', (4501,)),
    BadFrame(b'{"id":1,"connect":{"token":"x"}}', (4500,)),
    BadFrame(b'{"id":1,"track":{"events":[]}}', (4501,)),
    # Closed while it is still being sent: the reset may overtake the close frame.
    BadFrame(b"x" * 1_500_000, (1009, 1006), told=False),
]


def late_frame(expired: str) -> BadFrame:
    """A token that is over may be replaced: that code says reconnect."""
    return BadFrame(json.dumps({"id": 1, "connect": {"token": expired}}).encode(), (4005,))


def expired_token(secret: str) -> str:
    """Signed as it should be, and over since an hour."""
    claims = {"sub": "u1", "iat": int(time.time()) - 7_200, "exp": int(time.time()) - 3_600}
    return jwt.encode(claims, secret, algorithm="HS256")


async def http_round(http: aiohttp.ClientSession, running: Running, expired: str, wrong: Counter[str]) -> None:
    late = {"Authorization": f"Bearer {expired}"}
    key = {"Authorization": f"Bearer {running.api_key}"}
    for bad in [*HTTP, Bad("expired token", "GET", "/v1/recommendations", (401,), None, late)]:
        data = bad.body if isinstance(bad.body, bytes) else None if bad.body is None else json.dumps(bad.body).encode()
        async with http.request(bad.method, running.url + bad.path, data=data, headers=bad.headers or key) as answer:
            body = await answer.read()
            if answer.status not in bad.statuses or b'"message"' not in body:
                wrong[f"{bad.name}: {answer.status}"] += 1
    events = {"events": [each for _, each in REJECTED]}
    async with http.post(running.url + "/v1/events", json=events, headers=key) as answer:
        codes = {each["index"]: each["code"] for each in (await answer.json())["rejected"]}
        wrong.update(f"{code}: {codes.get(at)}" for at, (code, _) in enumerate(REJECTED) if codes.get(at) != code)


async def fault_of(ws: aiohttp.ClientWebSocketResponse, bad: BadFrame) -> str | None:
    """Send a bad first frame; what was wrong with the answer, None if it was right."""
    await ws.send_str(bad.frame.decode())
    answers = [json.loads(message.data) async for message in ws if message.type is aiohttp.WSMsgType.TEXT]
    if bad.told and not any("message" in answer.get("error", {}) for answer in answers):
        return "no error frame"
    return None if ws.close_code in bad.closes else f"closed with {ws.close_code}"


async def socket_round(http: aiohttp.ClientSession, running: Running, expired: str, wrong: Counter[str]) -> None:
    for bad in [*FRAMES, late_frame(expired)]:
        async with await connected(http, running) as ws:
            if (fault := await fault_of(ws, bad)) is not None:
                wrong[f"frame {bad.frame[:30]!r}: {fault}"] += 1
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


class Greedy:
    """A user with one token who wants more than anybody needs, and another one beside them."""

    GETS, SOCKETS, SCREENS, HOPS = 400, 20, 16, 100

    def __init__(self, http: aiohttp.ClientSession, running: Running) -> None:
        self._http, self._running = http, running
        self._key = {"Authorization": f"Bearer {running.api_key}"}
        self._invented = 0

    async def round(self, wrong: Counter[str]) -> list[float]:
        """Seconds from another user's event to their list, while the greedy one has all the screens they get."""
        token = await self._token("greedy")
        await asyncio.gather(*(self._ask(token, wrong) for _ in range(20)))
        opened = [await self._connect(token) for _ in range(self.SOCKETS)]
        sockets = [ws for ws in opened if ws is not None]
        try:
            await asyncio.gather(*(self._subscribe_all(ws) for ws in sockets))
            await self._hop(sockets[0])
            return [await self._of_the_other(sockets) for _ in range(5)]
        finally:
            await asyncio.gather(*(ws.close() for ws in sockets))

    async def _token(self, user_id: str) -> str:
        body = {"user_id": user_id}
        async with self._http.post(f"{self._running.url}/v1/tokens", json=body, headers=self._key) as answer:
            return str((await answer.json())["token"])

    async def _ask(self, token: str, wrong: Counter[str]) -> None:
        url, headers = f"{self._running.url}/v1/recommendations", {"Authorization": f"Bearer {token}"}
        for _ in range(self.GETS // 20):
            self._invented += 1
            query = {"placement": f"p{self._invented}", "n": "100"}
            async with self._http.get(url, params=query, headers=headers) as answer:
                await answer.read()
                if answer.status not in (200, 429, 504):
                    wrong[f"an invented placement: {answer.status}"] += 1

    async def _connect(self, token: str) -> aiohttp.ClientWebSocketResponse | None:
        """A socket after its greeting; None if the user has enough of them."""
        ws = await connected(self._http, self._running)
        await ws.send_json({"id": 0, "connect": {"token": token}})
        if "connect" in (await _reply(ws, 0) or {}):
            return ws
        await ws.close()
        return None

    async def _subscribe_all(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        for k in range(self.SCREENS):
            self._invented += 1
            await ws.send_json({"id": k + 1, "subscribe": {"placement": f"p{self._invented}", "n": 100}})
            await _reply(ws, k + 1)

    async def _hop(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json({"id": 99, "unsubscribe": {"placement": f"p{self._invented}"}})
        for k in range(self.HOPS):
            self._invented += 1
            product = {"placement": "pdp", "n": 100, "item_id": f"i{self._invented}"}
            await ws.send_json({"id": 100 + k, "subscribe": product})
            await _reply(ws, 100 + k)

    async def _of_the_other(self, sockets: list[aiohttp.ClientWebSocketResponse]) -> float:
        ws = await self._connect(await self._token("other"))
        assert ws is not None
        async with ws:
            await ws.send_json({"id": 1, "subscribe": {}})
            await _reply(ws, 1)
            version = 0
            with contextlib.suppress(TimeoutError):  # until nothing more comes of the subscription itself
                while True:
                    async with asyncio.timeout(0.5):
                        version = await _newer(ws, version)
            mark = f"{time.monotonic_ns()}"
            both = [event(user_id=user, event_id=f"{user}-{mark}") for user in ("greedy", "other")]
            reading = [asyncio.create_task(_newer(other, sys.maxsize)) for other in sockets]  # as browsers do
            began = time.monotonic()
            url = f"{self._running.url}/v1/events"
            async with self._http.post(url, json={"events": both}, headers=self._key) as answer:
                await answer.read()
            try:
                async with asyncio.timeout(60):
                    await _newer(ws, version)
                return time.monotonic() - began
            finally:
                for task in reading:
                    task.cancel()
                await asyncio.gather(*reading, return_exceptions=True)


async def _newer(ws: aiohttp.ClientWebSocketResponse, than: int) -> int:
    """Read until a list of a larger version; which one that is."""
    async for message in ws:
        frame = json.loads(message.data)
        if frame == {}:
            await ws.send_str("{}")
        elif "push" in frame and (version := int(frame["push"]["slate"]["version"])) > than:
            return version
    raise ConnectionError("the connection ended")


async def _reply(ws: aiohttp.ClientWebSocketResponse, id: int) -> dict[str, Any] | None:
    """The reply to this command; None if the connection ended."""
    async for message in ws:
        frame: dict[str, Any] = json.loads(message.data)
        if frame.get("id") == id:
            return frame
    return None


async def slow_reader(running: Running, wrong: Counter[str], within_s: float = 90.0) -> None:
    """Somebody who looks at a long list and reads nothing any more while they click on: is to be closed with 4008."""
    key = {"Authorization": f"Bearer {running.api_key}"}
    narrow = aiohttp.TCPConnector(socket_factory=_narrow)
    async with aiohttp.ClientSession(connector=narrow) as http, aiohttp.ClientSession() as clicks:
        async with http.post(f"{running.url}/v1/tokens", json={"user_id": "sleepy"}, headers=key) as answer:
            token = (await answer.json())["token"]
        ws = await connected(http, running)
        await ws.send_json({"id": 0, "connect": {"token": token}})
        await ws.send_json({"id": 1, "subscribe": {"n": 200}})
        await _reply(ws, 1)
        began = time.monotonic()
        while not await _closed_as_slow(clicks, running):
            if time.monotonic() - began > within_s:
                wrong[f"a slow reader: still there after {within_s:g} s"] += 1
                break
            more = event(user_id="sleepy", event_id=f"sleepy-{time.monotonic_ns()}")
            async with clicks.post(f"{running.url}/v1/events", json={"events": [more]}, headers=key) as answer:
                await answer.read()
        sys.stdout.write(f"        a slow reader was closed after {time.monotonic() - began:.1f} s\n")
        await ws.close()


def _narrow(address: Any) -> socket.socket:
    """A socket with little room for what its owner does not read."""
    made = socket.socket(address[0], address[1], address[2])
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    return made


async def _closed_as_slow(http: aiohttp.ClientSession, running: Running) -> bool:
    async with http.get(f"{running.url}/metrics") as answer:
        return re.search(r'^shunxi_push_disconnects_total\{code="4008"\} [1-9]', await answer.text(), re.M) is not None


class Sizes(NamedTuple):
    """MiB: what the processes hold, and what Redis counts as its own."""

    edge: float
    worker: float
    redis: float

    @classmethod
    def of(cls, running: Running) -> Sizes:
        children = psutil.Process(running.process.pid).children(recursive=True)
        commands = {child: child.cmdline() for child in children if child.is_running()}
        edge, worker = (only(commands, *module) for module in (("web",), ("agents", "worker")))
        titles = [re.search(r"redis-server .*:(\d+)", " ".join(words)) for words in commands.values()]
        port = next(int(found[1]) for found in titles if found is not None)
        with Redis(port=port) as redis:
            used: Any = redis.info("memory")
        megabytes = [one.memory_info().rss / 2**20 for one in (edge, worker)]
        return cls(megabytes[0], megabytes[1], used["used_memory"] / 2**20)


def only(commands: Mapping[T, Sequence[str]], *module: str) -> T:
    """The one process that runs this module with these words, and no others: archiver and trainer are agents, too."""
    (found,) = [process for process, words in commands.items() if tuple(words[1:]) == ("-m", *module)]
    return found


def grown(sizes: Sequence[Sizes]) -> dict[str, float]:
    """MiB from the middle of the rounds to the last, of each that grew by more than `GROWTH_MIB`."""
    middle, last = sizes[len(sizes) // 2], sizes[-1]
    more = {name: now - then for name, then, now in zip(Sizes._fields, middle, last, strict=True)}
    return {name: size for name, size in more.items() if size > GROWTH_MIB}


async def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--each", type=int, default=30)
    options = parser.parse_args(argv)
    wrong: Counter[str] = Counter()
    sizes: list[Sizes] = []
    with tempfile.TemporaryDirectory() as folder:
        async with rec_up(Path(folder) / "data") as running, aiohttp.ClientSession() as http:
            secrets = json.loads((Path(folder) / "data" / "secrets.json").read_text())
            expired = expired_token(secrets["token_secret"])
            greedy = Greedy(http, running)
            await slow_reader(running, wrong)
            for number in range(options.rounds):
                await at_once(options.each, lambda: http_round(http, running, expired, wrong))
                await at_once(options.each, lambda: socket_round(http, running, expired, wrong))
                waited = sorted(await greedy.round(wrong))
                sizes.append(Sizes.of(running))
                sent = (number + 1) * options.each * (len(HTTP) + len(REJECTED) + len(FRAMES) + 3)
                sys.stdout.write(
                    f"{sent:>7,} bad inputs: {sum(wrong.values())} wrong answers; MiB: edge {sizes[-1].edge:.1f}, "
                    f"worker {sizes[-1].worker:.1f}, Redis {sizes[-1].redis:.1f}; "
                    f"another's list after {waited[len(waited) // 2] * 1e3:.0f} ms, at most {waited[-1] * 1e3:.0f} ms\n"
                )
                sys.stdout.flush()
    for what, count in wrong.most_common(20):
        sys.stdout.write(f"  {count} x {what}\n")
    more = grown(sizes)
    for name, size in more.items():
        sys.stdout.write(f"  {name} keeps growing: {size:.1f} MiB more since the middle of the rounds\n")
    return int(bool(wrong) or bool(more))


if __name__ == "__main__":
    os.environ.pop("REC_DATA_DIR", None)
    sys.exit(run_trial(main(sys.argv[1:])))
