"""A whole edge on the memory backends: a clock that can be moved, neighbours that can go away, a tiny worker."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiohttp import ClientResponse, ClientSession, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestServer

from agents.rating import Rating
from agents.selling import Selling
from agents.selling import answer as ads_answer
from rec.catalog import Catalog
from rec.config import Settings
from rec.counters import Counters
from rec.errors import RecError, Unavailable
from rec.events import ERASE, decode_event, instant
from rec.explain import explain
from rec.ports import Pushed, Reply, StoredSlate
from rec.rates import Rates
from rec.recommend import Ask, World
from rec.requests import (
    AskAds,
    AskRates,
    Explain,
    Inspect,
    Refresh,
    SearchRequest,
    SlateRequest,
    SuggestRequest,
    decode_request,
)
from rec.screens import screen_key, split_screen
from rec.slates import Cause, Reason, SearchFacts, Slate, SlateItem, encode_slate
from rec.state import Outcome, UserState, fold, touched
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, REQUESTS, topics
from web.app import make_app
from web.edge import EDGE, Edge
from web.front import AccessLog

API_KEY = "k" * 24
SECRET = "s" * 40
BACKEND = {"Authorization": f"Bearer {API_KEY}"}


class Clock:
    """Wall time that a test can move."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


class Switch:
    """A backend that can be away: then every call raises Unavailable, as a driver's would. Or slow: it then waits."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.away, self.go_on = inner, False, asyncio.Event()
        self.go_on.set()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.inner, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def call(*args: Any, **more: Any) -> Any:
            if self.away:
                raise Unavailable("the neighbour is away")
            await self.go_on.wait()
            return await attribute(*args, **more)

        return call


def slate(user_id: str, placement: str, epoch: str, version: int, n: int, now: float, pad: int = 0) -> Slate:
    """A list whose items tell its version."""
    items = tuple(
        SlateItem(f"v{version}-{k}", 1 - k / 1000, "popular", Reason("popular"), 1.0, {"title": "x" * pad})
        for k in range(n)
    )
    return Slate(
        slate_id=f"{user_id}.{placement}.{epoch}.{version}",
        user_id=user_id,
        placement=placement,
        epoch=epoch,
        version=version,
        cause=Cause("request"),
        model_version="m1",
        strategy="mix",
        events_through=None,
        learned_through=None,
        created_at=instant(now),
        items=items,
    )


def stored(made: Slate, item_id: str | None = None) -> StoredSlate:
    return StoredSlate(screen_key(made.placement, item_id), made.position, len(made.items), encode_slate(made))


class TinyWorker:
    """Folds events, answers requests, pushes to who is online: the shape of the real one, without a model."""

    def __init__(self, log: MemoryLog, exchange: MemoryExchange, database: MemoryDatabase, settings: Settings) -> None:
        self.log, self.exchange, self.database, self.settings = log, exchange, database, settings
        self.users: dict[str, UserState] = {}
        self.rates = Rates()
        self.selling: Selling | None = None
        self.world = World(Catalog(), Counters())  # of the lists that are explained
        self.requests: list[Any] = []
        self.answering = True
        self.refusing: RecError | None = None  # what every search is answered with
        self.clock = time.time

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[TinyWorker]:
        tasks = [asyncio.create_task(self._requests()), asyncio.create_task(self._events())]
        await self.exchange.set_worker_state("w1", "ready")
        try:
            yield self
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _requests(self) -> None:
        async for records in self.log.tail(self.settings.topic(REQUESTS)):
            for record in records:
                request = decode_request(record.value or b"")
                self.requests.append(request)
                if self.answering:
                    await self._answer(request)

    async def _answer(self, request: Any) -> None:
        state = self.users.get(request.user_id)
        if isinstance(request, SlateRequest):
            state = state or UserState(epoch="e0", version=1)
            made = slate(request.user_id, request.placement, state.epoch, state.version, request.n, self.clock())
            body = b'{"slate":' + encode_slate(made) + b"}"
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, SearchRequest) and self.refusing is not None:
            body = msgspec.json.encode({"error": self.refusing.as_dict()})
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, SearchRequest):
            made = slate(request.user_id, "search", "e0", 1, request.search.n, self.clock())
            made = msgspec.structs.replace(made, search=SearchFacts(request.search.q, request.search.n))
            body = b'{"slate":' + encode_slate(made) + b"}"
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, SuggestRequest):
            body = msgspec.json.encode({"suggestions": [{"text": request.q, "kind": "word"}]})
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, Inspect):
            shown = None if state is None else msgspec.to_builtins(msgspec.structs.replace(state, ring=b""))
            body = msgspec.json.encode({"state": shown})
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, Explain):
            asked = Ask(request.user_id, request.placement, request.n, request.item_id, Cause("request"), state)
            found = explain(asked, self.world, now=self.clock(), rng=random.Random(1), top=request.top)
            body = msgspec.json.encode({"explained": found._asdict()})
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, AskRates):
            rating = Rating(self.rates, path=Path("unused"), source=self.log, topic="", snapshot_s=60)
            await self.exchange.reply(request.reply_to, Reply(request.request_id, rating.answer(request, self.clock())))
        elif isinstance(request, AskAds):
            body = ads_answer(self.selling, request, self.clock())
            await self.exchange.reply(request.reply_to, Reply(request.request_id, body))
        elif isinstance(request, Refresh):
            if state is None:
                state = self.users[request.user_id] = UserState(epoch=f"e-{request.user_id}", version=1)
            elif (moved := self._moved(state, request)) is not None:
                state = self.users[request.user_id] = moved
            if request.have != state.position:
                await self.push(request.user_id, screen_key(request.placement, request.item_id), request.n)

    @staticmethod
    def _moved(state: UserState, request: Refresh) -> UserState | None:
        shown = request.shown
        if shown is not None and shown.epoch == state.epoch and shown.version > state.version:
            return msgspec.structs.replace(state, epoch=f"{state.epoch}+", version=state.version + 1)
        return touched(state) if request.have is None else None  # the stored list is too short, or gone

    async def _events(self) -> None:
        async for records in self.log.tail(self.settings.topic(BEHAVIOR)):
            for record in records:
                event = decode_event(record.value or b"")
                if event.event == ERASE:
                    known = self.users.pop(event.subject, None) is not None
                    now = instant(self.clock())
                    await self.database.add_step(event.event_id, "state table and changelog", int(known), now)
                    continue
                await self.database.append([(event, record.value or b"")])
                before = self.users.get(event.subject)
                after, outcome = fold(before, event, lambda _: None, epoch=f"e-{event.subject}")
                if after is not None:
                    self.users[event.subject] = after
                if outcome is Outcome.MOVED:
                    for wanted in await self.exchange.online():
                        if wanted.user_id == event.subject:
                            for screen, n in wanted.screens.items():
                                await self.push(event.subject, screen, n)

    async def push(self, user_id: str, screen: str = "home", n: int = 20) -> None:
        """Store and push the list that the state calls for. Beside a product, its items tell which."""
        state = self.users[user_id]
        placement, item_id = split_screen(screen)
        made = slate(user_id, placement, state.epoch, state.version, n, self.clock())
        if item_id is not None:
            beside = tuple(msgspec.structs.replace(i, item_id=f"{item_id}-{i.item_id}") for i in made.items)
            made = msgspec.structs.replace(made, items=beside)
        await self.exchange.store_slates([Pushed(user_id, stored(made, item_id))])


class Shop(NamedTuple):
    """An edge that listens, and everything around it."""

    settings: Settings
    url: str
    http: ClientSession
    app: web.Application
    edge: Edge
    worker: TinyWorker
    log: Switch
    exchange: Switch
    database: MemoryDatabase
    clock: Clock

    async def call(self, method: str, path: str, headers: dict[str, str] = BACKEND, **more: Any) -> Answer:
        async with self.http.request(method, self.url + path, headers=headers, **more) as response:
            return await Answer.of(response)

    async def track(self, *events: dict[str, Any], headers: dict[str, str] = BACKEND) -> Answer:
        return await self.call("POST", "/v1/events", headers, json={"events": list(events)})

    def token(self, user_id: str, visitor_id: str | None = None) -> str:
        return self.edge.authority.issue(user_id, visitor_id, self.clock())

    def browser(self, user_id: str, visitor_id: str | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(user_id, visitor_id)}"}

    @contextlib.asynccontextmanager
    async def socket(self, **more: Any) -> AsyncIterator[Socket]:
        async with self.http.ws_connect(f"{self.url}/v1/ws", protocols=["shunxi.v1"], **more) as ws:
            yield Socket(ws)

    @contextlib.asynccontextmanager
    async def connected(self, user_id: str, **more: Any) -> AsyncIterator[Socket]:
        """A socket after its `connect`."""
        async with self.socket() as socket:
            await socket.ask("connect", token=self.token(user_id), **more)
            yield socket

    @contextlib.asynccontextmanager
    async def watching(self, user_id: str, n: int = 20, placement: str = "home", **more: Any) -> AsyncIterator[Socket]:
        """A socket after its `subscribe`."""
        async with self.connected(user_id, **more) as socket:
            await socket.ask("subscribe", placement=placement, n=n)
            yield socket

    def metric(self, name: str, **labels: str) -> float:
        return self.edge.metrics.registry.get_sample_value(f"shunxi_{name}", labels) or 0.0


class Answer(NamedTuple):
    """A response, read."""

    status: int
    body: Any
    headers: Any

    @classmethod
    async def of(cls, response: ClientResponse) -> Answer:
        raw = await response.read()
        is_json = response.content_type == "application/json"
        return cls(response.status, msgspec.json.decode(raw) if is_json else raw.decode(), response.headers)

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error


class Socket:
    """A websocket client that keeps pushes apart from replies and answers pings."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws
        self.pushes: list[dict[str, Any]] = []
        self._id = 0

    async def ask(self, command: str, **fields: Any) -> dict[str, Any]:
        """Send a command and return its reply, result or error."""
        self._id += 1
        await self.ws.send_json({"id": self._id, command: fields})
        return await self.reply(self._id)

    async def reply(self, id: int | None) -> dict[str, Any]:
        while True:
            frame = await self.frame()
            if frame.get("id") == id and "push" not in frame:
                return frame
            self._keep(frame)

    async def slate(self, until: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next pushed slate that fulfils the condition."""
        while True:
            while self.pushes:
                made = self.pushes.pop(0)
                if until(made):
                    return made
            self._keep(await self.frame())

    async def frame(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.ws.receive(), 5)
        if message.type is not WSMsgType.TEXT:
            raise Closed(message.data if message.type is WSMsgType.CLOSE else self.ws.close_code, message.extra)
        frame: dict[str, Any] = msgspec.json.decode(message.data)
        if frame == {}:
            await self.ws.send_str("{}")
        return frame

    async def closed(self) -> Closed:
        """Read to the end: why it was closed."""
        while True:
            try:
                self._keep(await self.frame())
            except Closed as closed:
                return closed

    def _keep(self, frame: dict[str, Any]) -> None:
        if "push" in frame:
            self.pushes.append(frame["push"]["slate"])


class Closed(Exception):  # noqa: N818  an outcome, as often wanted as not
    """The server ended the connection."""

    def __init__(self, code: int | None, reason: str | None) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


def settings(**more: Any) -> Settings:
    values = {"api_key": API_KEY, "token_secret": SECRET, "broker_url": "memory://", "redis_url": "memory://"}
    return Settings(**{**values, **more})


@contextlib.asynccontextmanager
async def open_shop(**more: Any) -> AsyncIterator[Shop]:
    """An edge on a free port, with a worker beside it."""
    chosen = settings(**more)
    clock = Clock()
    log, exchange, database = MemoryLog(), MemoryExchange(), MemoryDatabase()
    await log.create(topics(chosen))
    to, via = Switch(log), Switch(exchange.connect())
    worker = TinyWorker(log, exchange, database, chosen)
    worker.clock = clock
    app = make_app(chosen, to, via, database, now=clock, rng=random.Random(7))
    server = TestServer(app, port=0)
    await server.start_server(access_log_class=AccessLog, shutdown_timeout=1.0)
    try:
        async with worker.running(), ClientSession() as http:
            url = str(server.make_url("/")).rstrip("/")
            yield Shop(chosen, url, http, app, app[EDGE], worker, to, via, database, clock)
    finally:
        await server.close()


def event(user_id: str, name: str = "view_item", item_id: str = "a", **more: Any) -> dict[str, Any]:
    """A good event with an id of its own."""
    made = {"event": name, "event_id": f"{random.getrandbits(96):x}", "user_id": user_id}
    return {**made, "items": [{"item_id": item_id}], **more}


async def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for something that happens elsewhere."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def behavior(shop: Shop) -> list[Any]:
    """All events in the log."""
    log: MemoryLog = shop.log.inner
    records = [record for p in log.partitions(shop.settings.topic(BEHAVIOR)) for record in p.records]
    return [decode_event(record.value or b"") for record in records]
