"""One pub/sub connection that cannot die silently: what is wanted is subscribed, again after every reconnect.

Redis delivers at most once, so the invariant is about knowing: after a connection was lost, `on_gap` is called once
everything wanted is subscribed again, and from then on nothing is missed until the next gap. A half-open socket
is found by a PING that must be answered in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

from rec.errors import Unavailable
from rec.logs import discreet
from rec.store.redis.client import COMMAND_S, FAILURES

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

log = logging.getLogger(__name__)

PING_S = 5.0  # without a word from Redis for this long, ask
PONG_S = 2.0  # and take the connection for dead without an answer within this
BACKOFF_S, BACKOFF_MAX_S = 0.05, 1.0  # full jitter below min(max, base * 2**attempt)
CHUNK = 500  # channels in one SUBSCRIBE


class Subscriber:
    """Keeps the wanted channels subscribed and hands every message to `on_message(channel, data)`.

    `on_subscribed(channel)` is called when a channel begins, or after a gap begins again, to deliver;
    `on_gap()` when all of them do so again after the connection was lost.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        on_message: Callable[[bytes, bytes], None],
        on_subscribed: Callable[[bytes], None],
        on_gap: Callable[[], None],
        rng: Random,
        ping_s: float,
        pong_s: float,
    ) -> None:
        self._connect = connect
        self._on_message, self._on_subscribed, self._on_gap = on_message, on_subscribed, on_gap
        self._rng = rng
        self._ping_s, self._pong_s = ping_s, pong_s
        self._wanted: set[bytes] = set()
        self._sent: set[bytes] = set()  # what this connection was told to deliver
        self._unconfirmed: Counter[bytes] = Counter()  # commands on their way, a channel
        self._missing: set[bytes] = set()  # to be confirmed before the gap is over
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self._heard = 0  # messages of any kind, over all connections
        self._gap = False

    def delivers(self, channel: bytes) -> bool:
        """Whether messages of this channel arrive now."""
        return channel in self._sent and channel in self._wanted and not self._unconfirmed[channel]

    def want(self, channel: bytes) -> None:
        self._wanted.add(channel)
        self._changed.set()

    def unwant(self, channel: bytes) -> None:
        self._wanted.discard(channel)
        self._changed.set()

    async def subscribed(self, channel: bytes) -> None:
        """Want it, and wait until Redis has confirmed; after `COMMAND_S` raises Unavailable and wants it no more."""
        new = channel not in self._wanted
        self.want(channel)
        if self.delivers(channel):
            return
        waiting = self._waiting.setdefault(channel, asyncio.get_running_loop().create_future())
        done, _ = await asyncio.wait([waiting], timeout=COMMAND_S)
        if not done:
            if new:
                self._waiting.pop(channel, None)
                self.unwant(channel)
            raise Unavailable(f"redis did not confirm a subscription within {COMMAND_S:g} s")

    async def run(self) -> None:
        """For ever: connect, subscribe, deliver; on any failure again, after a short random wait."""
        attempt = 0
        while True:
            before = self._heard
            try:
                await self._session()
            except FAILURES as error:
                log.warning("redis pub/sub connection lost: %s", error or type(error).__name__)
            except Exception as error:  # noqa: BLE001  # a defect here must not leave every client deaf for ever
                log.error("redis pub/sub session failed: %s", discreet(error))
            attempt = 0 if self._heard > before else attempt + 1
            ceiling = min(BACKOFF_MAX_S, BACKOFF_S * 2 ** min(attempt, 10))
            await asyncio.sleep(self._rng.uniform(0, ceiling))

    async def _session(self) -> None:
        connection = self._connect()
        writer: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(COMMAND_S):
                await connection.connect()  # type: ignore[no-untyped-call]
            self._sent, self._missing = set(), set(self._wanted)
            self._unconfirmed.clear()
            async with asyncio.timeout(None) as deadline:
                writer = asyncio.create_task(self._write(connection, deadline))
                while True:
                    self._receive(await connection.read_response())
                    self._heard += 1
        finally:
            self._sent, self._gap = set(), True
            if writer is not None:
                writer.cancel()
                await asyncio.wait([writer])
            with contextlib.suppress(*FAILURES):
                await connection.disconnect(nowait=True)

    def _receive(self, message: object) -> None:
        match message:
            case [b"message", bytes(channel), bytes(data)]:
                self._on_message(channel, data)
            case [b"subscribe" | b"unsubscribe", bytes(channel), _]:
                self._confirmed(channel)

    def _confirmed(self, channel: bytes) -> None:
        self._unconfirmed[channel] -= 1
        if self._unconfirmed[channel] <= 0:
            del self._unconfirmed[channel]
        if self.delivers(channel):
            if (waiting := self._waiting.pop(channel, None)) is not None and not waiting.done():
                waiting.set_result(None)
            self._on_subscribed(channel)
        self._missing.discard(channel)
        self._settle()

    def _settle(self) -> None:
        if self._gap and not self._missing:
            self._gap = False
            self._on_gap()

    async def _write(self, connection: AbstractConnection, deadline: asyncio.Timeout) -> None:
        """All that is sent on this connection, by this one task: a cancelled caller must not break the connection.

        Ends the session through `deadline` when Redis does not answer a PING.
        """
        loop = asyncio.get_running_loop()
        heard, quiet_since, asked = self._heard, loop.time(), False
        try:
            while True:
                await self._tell(connection)
                await _set_within(self._changed, self._pong_s if asked else self._ping_s)
                now = loop.time()
                if self._heard != heard:
                    heard, quiet_since, asked = self._heard, now, False
                elif asked and now - quiet_since >= self._pong_s:
                    break
                elif not asked and now - quiet_since >= self._ping_s:
                    await self._send(connection, "PING")
                    quiet_since, asked = now, True
        except FAILURES as error:
            log.warning("redis pub/sub connection cannot be written: %s", error or type(error).__name__)
        deadline.reschedule(loop.time())

    async def _tell(self, connection: AbstractConnection) -> None:
        """Send the difference between what is wanted and what this connection was told."""
        self._changed.clear()
        self._missing &= self._wanted
        self._settle()
        for command, channels in (
            ("SUBSCRIBE", list(self._wanted - self._sent)),
            ("UNSUBSCRIBE", list(self._sent - self._wanted)),
        ):
            self._sent.symmetric_difference_update(channels)
            self._unconfirmed.update(channels)
            for at in range(0, len(channels), CHUNK):
                await self._send(connection, command, *channels[at : at + CHUNK])

    async def _send(self, connection: AbstractConnection, *command: str | bytes) -> None:
        """A peer that takes nothing more is as dead as one that says nothing."""
        async with asyncio.timeout(self._pong_s):
            await connection.send_command(*command)


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
