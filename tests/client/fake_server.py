"""A scripted server for tests of the SDK: real HTTP and real websockets on a free port, and every answer a hook.

Manual, from the most to the least common wish:

    async with FakeServer() as server:                      answers everything as a healthy server would
        client = RecClient(server.url, api_key="key")

  Push a list                    socket = await server.socket(); await socket.subscribed("home")
                                 await socket.push(a_slate(version=2))
  Cut the line                   await socket.cut()                      no close frame, as when a machine dies
  Close with a code              await socket.close(4008)
  Stay silent, send nonsense     server.silent = True;  await socket.say("nonsense")
  Wait for a command             await socket.command("refresh")         the n-th: command("subscribe", 2)
  The next connection            await server.socket(2)                  the n-th since the start
  Refuse or delay a command      server.on["subscribe"] = lambda command: {"error": {…}}      or None: no reply
                                 (a dict that has neither "error" nor is None is the command's result)
  Answer HTTP differently        server.http["POST /v1/events"] = lambda request, body: web.json_response(…)
                                 return VANISH to drop the connection without an answer
                                 await server.stopping.wait() to hang
  What came over HTTP            server.calls: (route, query, decoded body, Authorization), server.event_ids

Hooks may be coroutine functions. A hook that raises fails the request with 500 and shows in `server.defects`.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

import msgspec
from aiohttp import WSMsgType, web

from rec.protocol import SUBPROTOCOL
from rec.slates import Cause, Reason, SearchFacts, Slate, SlateItem, encode_slate

VANISH = object()  # as an HTTP hook's answer: the connection drops
WAIT_S = 30.0


def a_slate(
    version: int = 1,
    *,
    epoch: str = "a",
    placement: str = "home",
    user: str = "u1",
    n: int = 3,
    cause: Cause = Cause("request"),  # noqa: B008 - frozen
) -> Slate:
    """A list with items i0, i1, … that says its position."""
    items = tuple(
        SlateItem(f"i{k}", 1.0 - k / 10, "popular", Reason("popular"), item={"title": f"Item {k}"}) for k in range(n)
    )
    return Slate(
        slate_id=f"{epoch}-{version}",
        user_id=user,
        placement=placement,
        epoch=epoch,
        version=version,
        cause=cause,
        model_version="none",
        strategy="first",
        events_through=None,
        learned_through=None,
        created_at=datetime.now(UTC),
        items=items,
    )


def a_token(user: str, lifetime_s: float, number: int) -> str:
    """The shape of a JWT, with times and no signature."""
    now = time.time()
    claims = json.dumps({"sub": user, "iat": now, "exp": now + lifetime_s, "jti": number}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.unsigned"


class Call(NamedTuple):
    route: str
    query: dict[str, str]
    body: Any
    authorization: str


class FakeSocket:
    """One websocket connection, seen from the server."""

    def __init__(self, server: FakeServer, ws: web.WebSocketResponse, request: web.Request) -> None:
        self._server, self._ws, self._request = server, ws, request
        self.commands: list[dict[str, Any]] = []
        self.pongs = 0
        self.over = asyncio.Event()  # the client is gone
        self._news = asyncio.Condition()

    async def command(self, name: str, nth: int = 1) -> dict[str, Any]:
        """The nth command of this name, its body; waits for it."""

        def found() -> list[Any]:
            return [command[name] for command in self.commands if name in command]

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(lambda: len(found()) >= nth)
        body: dict[str, Any] = found()[nth - 1]
        return body

    async def subscribed(self, placement: str = "home") -> dict[str, Any]:
        """The first subscribe command for this placement; waits for it."""

        def found() -> list[Any]:
            bodies = [command["subscribe"] for command in self.commands if "subscribe" in command]
            return [body for body in bodies if body["placement"] == placement]

        async with asyncio.timeout(WAIT_S), self._news:
            await self._news.wait_for(found)
        body: dict[str, Any] = found()[0]
        return body

    async def pong(self) -> None:
        """Send a ping and wait for its pong: everything sent before it has been handled by the client."""
        async with asyncio.timeout(WAIT_S), self._news:
            want = self.pongs + 1
            await self.say("{}")
            await self._news.wait_for(lambda: self.pongs >= want)

    async def push(self, *slates: Slate) -> None:
        for slate in slates:
            await self.say('{"push":{"slate":' + encode_slate(slate).decode() + "}}")

    async def say(self, text: str) -> None:
        await self._ws.send_str(text)

    async def close(self, code: int, message: str = "") -> None:
        await self._ws.close(code=code, message=message.encode())

    async def cut(self) -> None:
        assert self._request.transport is not None
        self._request.transport.abort()
        await self.over.wait()

    async def serve(self) -> None:
        try:
            async for message in self._ws:
                assert message.type is WSMsgType.TEXT
                command = json.loads(message.data)
                async with self._news:
                    if command == {}:
                        self.pongs += 1
                    else:
                        self.commands.append(command)
                    self._news.notify_all()
                if command != {}:
                    await self._answer(command)
        finally:
            self.over.set()

    async def _answer(self, command: dict[str, Any]) -> None:
        name = next(key for key in command if key != "id")
        hook = self._server.on.get(name)
        result: Any = _HEALTHY[name] if hook is None else hook(command[name])
        if inspect.isawaitable(result):
            result = await result
        if result is not None and not self._server.silent:
            reply = result if "error" in result else {name: result}
            await self.say(json.dumps({"id": command["id"], **reply}))


_HEALTHY: dict[str, dict[str, Any]] = {
    "connect": {"client": "c", "ping": 25},
    "subscribe": {"recovered": True},
    "unsubscribe": {},
    "refresh": {},
}


class FakeServer:
    """See the module."""

    def __init__(self, *, token_lifetime_s: float = 900.0) -> None:
        self.on: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self.http: dict[str, Callable[[web.Request, Any], Any]] = {}
        self.silent = False
        self.token_lifetime_s = token_lifetime_s
        self.sockets: list[FakeSocket] = []
        self.calls: list[Call] = []
        self.defects: list[BaseException] = []
        self.stopping = asyncio.Event()
        self.refuse_websockets: web.StreamResponse | None = None
        self._arrival = asyncio.Condition()
        self._tokens = 0
        self._port = 0

    # -------------------------------------------------------------- life
    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def start(self) -> None:
        """Listen: on a free port at first, on the same one when started again."""
        self.stopping.clear()
        app = web.Application(client_max_size=2**24)
        app.router.add_get("/v1/ws", self._websocket)
        app.router.add_route("*", "/{path:.*}", self._call)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True)
        await site.start()
        if not self._port:
            self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening and drop every connection."""
        self.stopping.set()
        for socket in self.sockets:
            if not socket.over.is_set():
                await socket.cut()
        await self._runner.cleanup()

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()
        assert not self.defects, self.defects

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # -------------------------------------------------------------- what came
    async def socket(self, nth: int = 1) -> FakeSocket:
        """The nth websocket connection; waits for it."""
        async with asyncio.timeout(WAIT_S), self._arrival:
            await self._arrival.wait_for(lambda: len(self.sockets) >= nth)
        return self.sockets[nth - 1]

    async def called(self, route: str, nth: int = 1) -> Call:
        """The nth HTTP call of this route ("POST /v1/events"); waits for it."""

        def found() -> list[Call]:
            return [call for call in self.calls if call.route == route]

        async with asyncio.timeout(WAIT_S), self._arrival:
            await self._arrival.wait_for(lambda: len(found()) >= nth)
        return found()[nth - 1]

    @property
    def event_ids(self) -> list[list[str]]:
        """The event_ids of each POST /v1/events, in order of arrival."""
        bodies = [call.body for call in self.calls if call.route == "POST /v1/events"]
        return [[event["event_id"] for event in body["events"]] for body in bodies]

    # -------------------------------------------------------------- handlers
    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        if self.refuse_websockets is not None:
            return self.refuse_websockets
        ws = web.WebSocketResponse(protocols=[SUBPROTOCOL], compress=False)
        await ws.prepare(request)
        socket = FakeSocket(self, ws, request)
        async with self._arrival:
            self.sockets.append(socket)
            self._arrival.notify_all()
        await socket.serve()
        return ws

    async def _call(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else None
        route = f"{request.method} {request.raw_path.partition('?')[0]}"
        authorization = request.headers.get("Authorization", "")
        async with self._arrival:
            self.calls.append(Call(route, dict(request.query), body, authorization))
            self._arrival.notify_all()
        hook = self.http.get(route, self._healthy)
        try:
            answer = hook(request, body)
            answer = await answer if inspect.isawaitable(answer) else answer
        except Exception as defect:
            self.defects.append(defect)
            raise
        if answer is VANISH:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response(answer, status=202 if route == "POST /v1/events" else 200)

    def _healthy(self, request: web.Request, body: Any) -> Any:
        match request.method, request.path:
            case "POST", "/v1/events":
                return {"accepted": len(body["events"]), "duplicates": 0, "rejected": []}
            case "POST", "/v1/tokens":
                self._tokens += 1
                return {"token": a_token(body["user_id"], self.token_lifetime_s, self._tokens)}
            case "GET", "/v1/recommendations":
                slate = a_slate(user=request.query["user_id"], n=int(request.query["n"]))
                return web.Response(body=encode_slate(slate), content_type="application/json")
            case "GET", "/v1/search":
                slate = a_slate(user=request.query["user_id"], n=int(request.query["n"]))
                slate = msgspec.structs.replace(slate, search=SearchFacts(request.query["q"], len(slate.items)))
                return web.Response(body=encode_slate(slate), content_type="application/json")
            case "GET", "/v1/suggest":
                return {"suggestions": [{"text": "tent", "kind": "word"}]}
            case "PUT", "/v1/items":
                return {"accepted": len(body["items"]), "rejected": [], "revision": 1}
        return {"path": request.path}
