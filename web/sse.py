"""GET /v1/sse: one placement as server-sent events (WHATWG HTML 9.2), the same pushes from the same hub.

An event's `id` is `epoch:version`, so Last-Event-ID is the same position that a websocket resumes from. What a
websocket says in its replies and close codes comes as events named `subscribe` and `close`.
"""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import hdrs, web

from rec.errors import BadInput, Forbidden
from rec.protocol import CloseCode
from rec.slates import MAX_VERSION, Position
from web.auth import Identity
from web.connection import Connection, Offer
from web.edge import EDGE, Edge
from web.parsing import StreamQuery, query_of
from web.socket import bounded_transport
from web.subscribing import finish, prepare

_RETRY_MS = 1_000


async def get_stream(request: web.Request) -> web.StreamResponse:
    """One stream, from the request to its end."""
    edge = request.app[EDGE]
    loop = asyncio.get_running_loop()
    edge.admission.check(request, loop.time())
    query = query_of(request, StreamQuery)
    who = _who(edge, request, query.token)
    edge.admission.welcome(who.user(None))
    resume = position(request.headers.get(hdrs.LAST_EVENT_ID))
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
    sink = StreamSink(response, request)
    connection = Connection(who.user(None), sink, who.expires_at, loop.time())
    edge.hub.join(connection)
    try:
        opening = await prepare(edge, connection, query.placement, query.n, query.item_id, resume)
        await response.prepare(request)
        answered = msgspec.json.encode({"recovered": opening.recovered})
        await sink.write(b"retry: %d\nevent: subscribe\ndata: %s\n\n" % (_RETRY_MS, answered))
        await finish(edge, opening)
        await sink.ended
    except ConnectionError:
        sink.abort()
    finally:
        await edge.hub.leave(connection)
    return response


def _who(edge: Edge, request: web.Request, token: str | None) -> Identity:
    who = edge.identify(request) if token is None else edge.authority.verify(token, edge.clock())
    if who.backend:
        raise Forbidden("A stream belongs to one user. Send a token from POST /v1/tokens, not the API key.")
    return who


def position(last_event_id: str | None) -> Position | None:
    """Last-Event-ID as a position. Raises BadInput.

    >>> position("a1:42")
    Position(epoch='a1', version=42)
    """
    if not last_event_id:
        return None
    epoch, _, version = last_event_id.rpartition(":")
    if not epoch or not (version.isascii() and version.isdigit() and len(version) < 20 and int(version) <= MAX_VERSION):
        message = "Last-Event-ID: is not epoch:version. Send the id of the last event, or leave it out."
        raise BadInput(message, code="invalid_field", field="Last-Event-ID")
    return Position(epoch, int(version))


class StreamSink:
    """The hub's way to an event stream."""

    __slots__ = ("_response", "_transport", "ended")
    kind = "sse"
    answers_pings = False

    def __init__(self, response: web.StreamResponse, request: web.Request) -> None:
        self._response, self._transport = response, bounded_transport(request)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def write(self, chunk: bytes) -> None:
        await self._response.write(chunk)

    async def send_slate(self, offer: Offer, n: int) -> None:
        epoch, version = offer.slate.position.epoch, offer.slate.position.version
        await self.write(b"id: %s:%d\ndata: %s\n\n" % (epoch.encode(), version, offer.frame(n)))

    async def send_ping(self) -> None:
        await self.write(b": ping\n\n")

    async def close(self, code: CloseCode, reason: str) -> None:
        why = msgspec.json.encode({"code": int(code), "reason": reason})
        await self.write(b"event: close\ndata: %s\n\n" % why)
        self._end()

    def abort(self) -> None:
        self._transport.abort()
        self._end()

    def _end(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    @property
    def gone(self) -> bool:
        return self._transport.is_closing()
