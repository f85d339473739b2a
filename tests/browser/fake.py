"""A scripted server for the browser SDK: it says what a test tells it to, and keeps all that it hears."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import WSMsgType, web

from web.sdk import get_sdk

PATIENCE_S = 10.0
PAGE = "<!doctype html><html lang=en><title>shop</title><body></body></html>"


def token(user: str = "u1", lifetime: int = 900, **claims: object) -> str:
    """A JWT as the SDK reads it: it looks at the claims alone."""
    now = int(time.time())
    parts = [{"alg": "HS256"}, {"sub": user, "iat": now, "exp": now + lifetime, **claims}]
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "x"])


def slate(version: int, *ids: str, epoch: str = "e1", placement: str = "home", **more: object) -> dict[str, Any]:
    items = [
        {"item_id": i, "item": {"title": f"Title {i}", "price": 9.5, "currency": "EUR", "url": f"/p/{i}"}} for i in ids
    ]
    return {
        "slate_id": f"{placement}-{epoch}-{version}", "placement": placement, "epoch": epoch, "version": version,
        "items": items, **more,
    }  # fmt: skip


class Talk:
    """One websocket of a page."""

    def __init__(self, ws: web.WebSocketResponse[bool], transport: asyncio.Transport) -> None:
        self.ws, self._transport = ws, transport
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def hear(self, name: str | None = None) -> dict[str, Any]:
        """The next frame, which has to be the command `name`; its body, with the frame's id."""
        async with asyncio.timeout(PATIENCE_S):
            frame = await self.heard.get()
        if name is None:
            return frame
        assert name in frame, frame
        return {**frame[name], "id": frame["id"]}

    async def say(self, **frame: object) -> None:
        await self.ws.send_json(frame)

    async def push(self, pushed: dict[str, Any]) -> None:
        await self.say(push={"slate": pushed})

    async def welcome(self, *placements: str, ping: int = 25) -> dict[str, Any]:
        """Answer `connect` and a `subscribe` for each placement; what `connect` said."""
        connect = await self.hear("connect")
        await self.say(id=connect["id"], connect={"client": "c1", "ping": ping})
        for placement in placements:
            wanted = await self.hear("subscribe")
            assert wanted["placement"] == placement
            await self.say(id=wanted["id"], subscribe={"recovered": False})
        return connect

    async def receipt(self, **more: object) -> list[dict[str, Any]]:
        """Acknowledge the next `track`; its events."""
        track = await self.hear("track")
        events: list[dict[str, Any]] = track["events"]
        await self.say(id=track["id"], track={"accepted": len(events), "duplicates": 0, "rejected": [], **more})
        return events

    async def acts(self, count: int) -> list[dict[str, Any]]:
        """Acknowledge events until so many have come that are no impressions; those."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += [event for event in await self.receipt() if event["event"] != "view_item_list"]
        return found

    async def close(self, code: int, reason: str = "") -> None:
        await self.ws.close(code=code, message=reason.encode())

    def cut(self) -> None:
        """The connection breaks, without a word."""
        self._transport.abort()


class Fake:
    """The server. `posted`: bodies and headers of POST /v1/events; `answers`: path → (status, body) of a GET.

    A body that is bytes goes out as it is. `expired`: tokens that a GET is refused for.
    """

    def __init__(self) -> None:
        self.url = ""
        self.posted: asyncio.Queue[tuple[dict[str, Any], dict[str, str]]] = asyncio.Queue()
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.answers: dict[str, tuple[int, object]] = {}
        self.expired: set[str] = set()
        self._talks: asyncio.Queue[Talk] = asyncio.Queue()
        self.talks = 0

    async def talk(self) -> Talk:
        """The next connection."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._talks.get()

    async def post(self) -> tuple[dict[str, Any], dict[str, str]]:
        """The next POST /v1/events: its body and headers."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.posted.get()

    async def _ws(self, request: web.Request) -> web.WebSocketResponse[bool]:
        ws: web.WebSocketResponse[bool] = web.WebSocketResponse(protocols=("shunxi.v1",))
        await ws.prepare(request)
        assert request.transport is not None
        talk = Talk(ws, request.transport)
        self.talks += 1
        self._talks.put_nowait(talk)
        async for message in ws:
            if message.type is WSMsgType.TEXT:
                talk.heard.put_nowait(json.loads(message.data))
        return ws

    async def _events(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.posted.put_nowait((body, dict(request.headers)))
        return web.json_response({"accepted": len(body["events"]), "duplicates": 0, "rejected": []}, status=202)

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, dict(request.query)))
        status, body = self.answers.get(request.path, (200, None))
        if request.headers.get("Authorization", "").removeprefix("Bearer ") in self.expired:
            error = {"code": "invalid_token", "message": "the token has expired", "temporary": False}
            status, body = 401, {"error": error}
        if isinstance(body, bytes):
            return web.Response(body=body, status=status, content_type="text/plain")
        if body is None:
            return web.Response(text=PAGE, content_type="text/html")
        return web.json_response(body, status=status)

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[Fake]:
        app = web.Application()
        app.router.add_routes(
            [
                web.get("/shunxi.js", get_sdk),
                web.get("/v1/ws", self._ws),
                web.post("/v1/events", self._events),
                web.get("/{path:.*}", self._get),
            ]
        )
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()
