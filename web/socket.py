"""GET /v1/ws: the websocket `shunxi.v1`. The handler reads commands and answers them; the hub sends the pushes.

aiohttp facts that shape it: only the handler may receive; uncompressed frames may be sent from any task; a send waits
for ever on a reader that stopped, so none is without a timeout; compression costs 100 KiB a connection, so it is off;
its heartbeat would hold a closed connection until its timer fires, and the hub pings anyway.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket as sockets
import struct

import msgspec
from aiohttp import WSMsgType, hdrs, web

from rec.errors import BadInput, Forbidden, RateLimited, RecError, Unauthorized
from rec.logs import discreet
from rec.protocol import (
    CONNECT_TIMEOUT_S,
    MAX_FRAME_BYTES,
    MAX_SCREENS,
    PING,
    PING_S,
    SUBPROTOCOL,
    CloseCode,
    Connect,
    Subscribe,
    error_reply,
    reply,
)
from rec.slates import Position
from web.auth import Identity
from web.connection import Connection, Offer
from web.edge import EDGE, Edge
from web.recommendations import checked
from web.session import Ask, Hangup, Pong, Session
from web.subscribing import finish, prepare

log = logging.getLogger(__name__)

VERSIONS = ("13", "8", "7")  # that aiohttp speaks
SEND_BUFFER = 64 * 1024  # kernel bytes; a slow client's lists shall wait in its slot, where the newest wins, not there


async def get_socket(request: web.Request) -> web.StreamResponse:
    """One connection, from the handshake to its end."""
    edge = request.app[EDGE]
    loop = asyncio.get_running_loop()
    edge.admission.check(request, loop.time())
    _check_handshake(request)
    ws = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        compress=False,
        autoclose=False,
        max_msg_size=MAX_FRAME_BYTES,
        timeout=2.0,
        writer_limit=0,
        decode_text=False,
    )
    conversation = None
    with edge.admission:
        await ws.prepare(request)
        sink = SocketSink(ws, request)
        session = Session(edge.settings.frames_per_minute, loop.time())
        if (greeting := await _first_frame(edge, sink, session)) is not None:
            conversation = _Conversation(edge, sink, session, *greeting)
    if conversation is not None:
        await conversation.hold()
    return ws


def _check_handshake(request: web.Request) -> None:
    """aiohttp would take a handshake without our subprotocol, and answer a plain GET with text."""
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise BadInput("This address speaks websocket. Send the handshake of RFC 6455.", code="not_a_websocket")
    offered = request.headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)
    if offered is not None and SUBPROTOCOL not in [name.strip() for name in offered.split(",")]:
        message = f"None of the offered subprotocols is known. Offer {SUBPROTOCOL}."
        raise BadInput(message, code="unknown_subprotocol", field="Sec-WebSocket-Protocol")
    if request.headers.get(hdrs.SEC_WEBSOCKET_VERSION, "").strip() not in VERSIONS:
        message = "This version of websocket is not spoken here. Send Sec-WebSocket-Version: 13, of RFC 6455."
        raise BadInput(message, code="unknown_version", field="Sec-WebSocket-Version")


class SocketSink:
    """The hub's way to a websocket."""

    __slots__ = ("_transport", "ws")
    kind = "ws"
    answers_pings = True

    def __init__(self, ws: web.WebSocketResponse[bool], request: web.Request) -> None:
        self.ws, self._transport = ws, bounded_transport(request)

    async def send(self, frame: bytes) -> None:
        await self.ws.send_frame(frame, WSMsgType.TEXT)

    async def send_slate(self, offer: Offer, n: int) -> None:
        await self.ws.send_frame(offer.frame(n), WSMsgType.TEXT)

    async def send_ping(self) -> None:
        await self.ws.send_frame(PING, WSMsgType.TEXT)

    async def close(self, code: CloseCode, reason: str) -> None:
        """Only the frame: `ws.close` would drop the transport before the client's own closing frame is read."""
        await self.ws.send_frame(struct.pack("!H", code) + reason.encode(), WSMsgType.CLOSE)

    def hang_up(self) -> None:
        """After both have said goodbye: without this, aiohttp would say it again, and browsers call that an error."""
        self._transport.close()

    def abort(self) -> None:
        self._transport.abort()

    @property
    def gone(self) -> bool:
        return self._transport.is_closing()


def bounded_transport(request: web.Request) -> asyncio.Transport:
    """The transport under a request, with small buffers. Raises ConnectionResetError if the client is gone."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client is gone")
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, SEND_BUFFER)
    transport.set_write_buffer_limits(high=SEND_BUFFER // 2)
    return transport


async def _first_frame(edge: Edge, sink: SocketSink, session: Session) -> tuple[int, Identity, Connect] | None:
    """Wait for `connect`, check its token; anything else ends the connection with its reason."""
    try:
        message = await sink.ws.receive(timeout=CONNECT_TIMEOUT_S)
    except TimeoutError:
        await _hang_up(edge, sink, None, Unauthorized("No connect frame came in time.", code="stale"), CloseCode.STALE)
        return None
    if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
        edge.metrics.disconnects.labels(str(sink.ws.close_code or 1006)).inc()
        return None
    reading = session.read(message.data, asyncio.get_running_loop().time(), message.type is WSMsgType.TEXT)
    if isinstance(reading, Ask) and reading.command.connect is not None:
        connect = reading.command.connect
        try:
            who = edge.authority.verify(connect.token, edge.clock())
        except Unauthorized as error:
            expired = error.code == "token_expired"  # a client with a fresh token is welcome back
            code = CloseCode.TOKEN_EXPIRED if expired else CloseCode.INVALID_TOKEN
            await _hang_up(edge, sink, reading.id, error, code)
            return None
        try:
            edge.admission.welcome(who.user(None))
        except RateLimited as error:
            await _hang_up(edge, sink, reading.id, error, CloseCode.CROWDED)
            return None
        session.connected = True
        return reading.id, who, connect
    assert isinstance(reading, Hangup), "a session that is not connected accepts connect or hangs up"
    await _hang_up(edge, sink, reading.id, reading.error, reading.code)
    return None


async def _hang_up(edge: Edge, sink: SocketSink, id: int | None, error: RecError, code: CloseCode) -> None:
    """Say why, close, count. For a connection that the hub does not know."""
    edge.metrics.disconnects.labels(str(int(code))).inc()
    try:
        async with asyncio.timeout(edge.settings.send_timeout_s):
            await sink.send(error_reply(id, error.as_dict()))
            await sink.ws.close(code=code, message=error.code.encode(), drain=False)
    except (TimeoutError, ConnectionError):
        sink.abort()


class _Conversation:
    """A connected client: its commands, one after the other, each with exactly one answer."""

    __slots__ = ("_connection", "_edge", "_greeting", "_resume", "_session", "_sink", "_who")

    def __init__(
        self, edge: Edge, sink: SocketSink, session: Session, id: int, who: Identity, connect: Connect
    ) -> None:
        self._edge, self._sink, self._session, self._who = edge, sink, session, who
        self._greeting = id
        self._resume: dict[str, Position] = connect.resume
        now = asyncio.get_running_loop().time()
        self._connection = Connection(who.user(None), sink, who.expires_at, now)

    async def hold(self) -> None:
        """Until the client or the hub ends it. No error leaves: the connection is no longer HTTP's."""
        edge, ws = self._edge, self._sink.ws
        edge.hub.join(self._connection)
        try:
            await self._reply(self._greeting, "connect", {"client": secrets.token_hex(6), "ping": PING_S})
            async for message in ws:
                if message.type is WSMsgType.ERROR:  # too large, or no websocket at all: aiohttp has closed
                    self._connection.close_code = getattr(message.data, "code", None)
                    break
                await self._hear(message.data, message.type is WSMsgType.TEXT)
        except ConnectionError:
            self._sink.abort()
        except TimeoutError:
            edge.hub.close(self._connection, CloseCode.SLOW, "slow")
        finally:
            if self._connection.close_code is not None:
                self._sink.hang_up()
            await edge.hub.leave(self._connection, ws.close_code)

    async def _hear(self, data: bytes, text: bool) -> None:
        loop, connection = asyncio.get_running_loop(), self._connection
        now = connection.heard_at = loop.time()
        reading = self._session.read(data, now, text)
        if isinstance(reading, Pong):
            return
        if isinstance(reading, Ask):
            connection.busy = True
            try:
                await self._obey(reading)
            except RecError as error:
                await self._refuse(reading.id, error)
            except (ConnectionError, TimeoutError):
                raise
            except Exception as error:  # noqa: BLE001  the last net: an id for the client, the stack for the log
                error_id = secrets.token_hex(6)
                log.error("error %s at %s: %s", error_id, reading.name, discreet(error))
                await self._refuse(reading.id, RecError(f"Something broke here. The log has it under {error_id}."))
            finally:
                connection.busy, connection.heard_at = False, loop.time()
            return
        await self._refuse(reading.id, reading.error)
        if isinstance(reading, Hangup):
            self._edge.hub.close(self._connection, reading.code, reading.error.code)

    async def _obey(self, ask: Ask) -> None:
        """Carry out one command and answer it."""
        edge, command = self._edge, ask.command
        if command.subscribe is not None:
            await self._subscribe(ask.id, command.subscribe)
        elif command.unsubscribe is not None:
            edge.hub.hide(self._connection, command.unsubscribe.placement)
            with contextlib.suppress(RateLimited):  # another connection's, which announces all when it takes it back
                await edge.hub.presence.settle(self._connection.user_id)
            await self._reply(ask.id, "unsubscribe", {})
        elif command.track is not None:
            receipt = await edge.intake.take(command.track.events, self._who)
            await self._reply(ask.id, "track", receipt)
        elif command.refresh is not None:
            self._refresh(command.refresh.token)
            await self._reply(ask.id, "refresh", {})
        elif command.search is not None:
            slate = await edge.asker.search(self._connection.user_id, checked(command.search))
            await self._reply(ask.id, "search", {"slate": msgspec.Raw(slate)})

    async def _subscribe(self, id: int, wanted: Subscribe) -> None:
        placement, screens = wanted.placement, self._connection.screens
        if placement not in screens and len(screens) >= MAX_SCREENS:
            message = f"A connection shows at most {MAX_SCREENS} placements. Unsubscribe from one first."
            raise BadInput(message, code="too_many_subscriptions", field="placement")
        resume = self._resume.get(placement)
        opening = await prepare(self._edge, self._connection, placement, wanted.n, wanted.item_id, resume)
        self._resume.pop(placement, None)
        await self._reply(id, "subscribe", {"recovered": opening.recovered})
        await finish(self._edge, opening)

    def _refresh(self, token: str) -> None:
        who = self._edge.authority.verify(token, self._edge.clock())
        if who.user_id != self._who.user_id:
            raise Forbidden("This token names another user. Open a connection of its own for them.", field="token")
        self._who, self._connection.expires_at = who, who.expires_at

    async def _reply(self, id: int, name: str, result: object) -> None:
        await self._send(reply(id, name, result))

    async def _refuse(self, id: int | None, error: RecError) -> None:
        await self._send(error_reply(id, error.as_dict()))

    async def _send(self, frame: bytes) -> None:
        if self._connection.close_code is not None:
            raise ConnectionResetError("the closing frame was sent; nothing may follow it")
        async with asyncio.timeout(self._edge.settings.send_timeout_s):
            await self._sink.send(frame)
        self._edge.metrics.sent.labels("reply").inc()
