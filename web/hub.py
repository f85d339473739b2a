"""exchange → **hub** → connections. Who is connected to this process, what they show, and the way of a slate to them.

A push only fills slots; a pump task exists for a connection only while something waits for it, so an idle one costs
its objects and nothing else. One sweep serves all pings and expiries. Invariants: a slow client delays nobody; after
any loss of messages the newest positions are read again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from rec.errors import RateLimited, Unavailable
from rec.ports import Exchange, StoredSlate
from rec.protocol import PING_S, PONG_GRACE_S, CloseCode
from rec.screens import screen_key, split_screen
from rec.slates import Position
from web.connection import Connection, Offer, Screen
from web.metrics import Metrics
from web.presence import Presence, Shown

log = logging.getLogger(__name__)

SWEEP_S = 1.0
RESYNC_S = 15.0  # positions are compared this often even if no loss is known
CLOSE_S = 1.0  # a closing frame is waited for this long, then the transport is dropped
_AT_ONCE = 32  # reads of whole slates at a time
_PAIRS = 500  # positions a round trip


class Hub:
    """The connections of this process. `node` names it in the exchange; `clock` is wall time, seconds since 1970."""

    def __init__(
        self,
        exchange: Exchange,
        metrics: Metrics,
        *,
        node: str,
        send_timeout_s: float,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._exchange, self._metrics = exchange, metrics
        self._send_timeout_s, self._clock, self._rng = send_timeout_s, clock, rng
        self._users: dict[str, set[Connection]] = {}
        self._count = 0
        self.presence = Presence(exchange, node, self._shown)
        self._resync = asyncio.Event()
        self._ending = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._sent_slate = metrics.sent.labels("slate")
        self._sent_ping = metrics.sent.labels("ping")

    def __len__(self) -> int:
        return self._count

    # ---------------------------------------------------------------- who is here
    def join(self, connection: Connection) -> None:
        """A client that said who it is. The first ping comes at a moment of its own, or all would come together."""
        connection.pinged_at -= self._rng.uniform(0.0, PING_S / 2)
        self._users.setdefault(connection.user_id, set()).add(connection)
        self._count += 1
        self._metrics.connections.labels(connection.sink.kind).inc()

    async def leave(self, connection: Connection, client_code: int | None = None) -> None:
        """The client is gone; `client_code` is the close code it gave."""
        mine = self._users.get(connection.user_id, set())
        mine.discard(connection)
        if not mine:
            self._users.pop(connection.user_id, None)
        connection.screens.clear()
        if connection.left is not None and not connection.left.done():
            connection.left.set_result(None)
        self._count -= 1
        self._metrics.connections.labels(connection.sink.kind).dec()
        self._metrics.disconnects.labels(str(connection.close_code or client_code or 1006)).inc()
        if self._ending:
            return  # the announcements are retired all at once
        try:
            await self.presence.settle(connection.user_id)
        except Unavailable:
            log.debug("the exchange is away; a departure is announced later")
        except RateLimited:
            log.debug("another connection has just opened one screen too many, and announces all when it takes it back")

    def show(self, connection: Connection, placement: str, n: int, item_id: str | None) -> Screen | None:
        """Begin to fill a placement's slot; returns the one before. Nothing is sent before `open`."""
        before = connection.screens.get(placement)
        connection.screens[placement] = Screen(n, item_id)
        return before

    def put_back(self, connection: Connection, placement: str, before: Screen | None) -> None:
        """Take a `show` back. What was pushed in between for the slot before has to be offered again, with `open`."""
        if before is None:
            connection.screens.pop(placement, None)
        else:
            connection.screens[placement] = before

    def hide(self, connection: Connection, placement: str) -> bool:
        """Fill this slot no more; whether there was one."""
        return connection.screens.pop(placement, None) is not None

    def open(
        self, connection: Connection, placement: str, latest: StoredSlate | None, have: Position | None = None
    ) -> None:
        """The subscription was answered: send what waits, and the latest slate; only if it is newer than `have`."""
        if (screen := connection.screens.get(placement)) is not None:
            screen.opened = True
            if have is not None:
                screen.resume(have)
            if latest is not None:
                connection.offer(Offer(latest))
            self._pump(connection)

    def _shown(self, user_id: str) -> Shown:
        """What a user looks at over all connections here: per screen the largest n."""
        largest: dict[str, int] = {}
        for connection in self._users.get(user_id, ()):
            for placement, screen in connection.screens.items():
                key = screen_key(placement, screen.item_id)
                largest[key] = max(screen.n, largest.get(key, 0))
        return tuple(sorted(largest.items()))

    # ---------------------------------------------------------------- the way of a slate
    def push(self, user_id: str, slate: StoredSlate) -> None:
        """Offer a slate to everybody who shows it. Returns at once."""
        offer = Offer(slate)
        for connection in self._users.get(user_id, ()):
            taken, dropped = connection.offer(offer)
            if dropped:
                self._metrics.conflated.inc()
            if taken:
                self._pump(connection)

    def _pump(self, connection: Connection) -> None:
        if not connection.pumping and connection.close_code is None and connection.waiting:
            connection.pumping = True
            self._start(self._send(connection))

    async def _send(self, connection: Connection) -> None:
        """Send what waits, newest only, until nothing does. Ends the connection if the client does not read."""
        sink = connection.sink
        try:
            while connection.close_code is None:
                if connection.ping_due:
                    connection.ping_due = False
                    async with asyncio.timeout(self._send_timeout_s):
                        await sink.send_ping()
                    self._sent_ping.inc()
                elif (taken := connection.take()) is not None:
                    offer, n = taken
                    async with asyncio.timeout(self._send_timeout_s):
                        await sink.send_slate(offer, n)
                    self._sent_slate.inc()
                    self._metrics.push_seconds.observe(max(0.0, self._clock() - offer.created_at))
                else:
                    break
        except TimeoutError:
            self.close(connection, CloseCode.SLOW, "slow")
        except ConnectionError:
            sink.abort()  # its handler sees the end and leaves
        finally:
            connection.pumping = False

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---------------------------------------------------------------- the end of a connection
    def close(self, connection: Connection, code: CloseCode, reason: str) -> None:
        """Close from this side; its handler then leaves. Returns at once, and a second call changes nothing."""
        if connection.close_code is None:
            connection.close_code = int(code)
            connection.left = asyncio.get_running_loop().create_future()
            self._start(_end(connection, code, reason))

    def close_user(self, user_id: str, reason: str) -> int:
        """End all connections of a user, for good; how many there were."""
        connections = self.of(user_id)
        for connection in connections:
            self.close(connection, CloseCode.FORCED, reason)
        self.presence.forgotten(user_id)
        return len(connections)

    async def close_all(self) -> None:
        """End everything at once, for a shutdown. Takes `CLOSE_S` at most, whatever the clients do."""
        self._ending = True
        connections = [c for user_id in list(self._users) for c in self.of(user_id)]
        for connection in connections:
            self.close(connection, CloseCode.SHUTDOWN, "shutdown")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2 * CLOSE_S)

    def of(self, user_id: str) -> list[Connection]:
        """The connections of a user."""
        return list(self._users.get(user_id, ()))

    def sweep(self, now: float) -> None:
        """One look at every connection: expired, dead, due for a ping. `now` is the loop's time."""
        wall = self._clock()
        for connection in [c for connections in self._users.values() for c in connections]:
            if connection.close_code is not None:
                continue
            if connection.sink.gone:
                connection.sink.abort()
            elif connection.expires_at <= wall:
                self.close(connection, CloseCode.TOKEN_EXPIRED, "token expired")
            elif self._is_dead(connection, now):
                self.close(connection, CloseCode.NO_PONG, "no pong")
            elif now - connection.pinged_at >= PING_S:
                connection.pinged_at, connection.ping_due = now, True
                self._pump(connection)

    @staticmethod
    def _is_dead(connection: Connection, now: float) -> bool:
        if not connection.sink.answers_pings or connection.busy:
            return False
        return connection.heard_at < connection.pinged_at and now - connection.pinged_at > PONG_GRACE_S

    # ---------------------------------------------------------------- what runs for ever
    async def follow(self) -> None:
        """Take pushes from the exchange."""
        self._resync.set()
        async for pushed in self._exchange.pushes():
            if pushed is None:  # Redis was away, perhaps it came back empty: say again who is here
                self._resync.set()
                self.presence.tend_soon()
            else:
                self.push(pushed.user_id, pushed.slate)

    async def keep_sweeping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(SWEEP_S)
            self.sweep(loop.time())

    async def keep_current(self) -> None:
        """Read positions again after a loss of messages, and now and then without one: a message can be lost."""
        while True:
            try:
                async with asyncio.timeout(RESYNC_S):
                    await self._resync.wait()
            except TimeoutError:
                pass  # nothing is known to be lost
            self._resync.clear()
            try:
                await self.resync()
            except Unavailable:
                self._resync.set()
                raise

    async def resync(self) -> None:
        """Offer every connected client what is newer than what it was offered. Raises Unavailable."""
        pairs = [(user_id, screen) for user_id in list(self._users) for screen, _ in self._shown(user_id)]
        for some in _batches(pairs, _PAIRS):
            positions = await self._exchange.positions(some)
            behind = [pair for pair, position in zip(some, positions, strict=True) if self._is_behind(pair, position)]
            for few in _batches(behind, _AT_ONCE):
                latest = await asyncio.gather(*(self._exchange.latest(*pair) for pair in few))
                for (user_id, _), slate in zip(few, latest, strict=True):
                    if slate is not None:
                        self.push(user_id, slate)

    def _is_behind(self, pair: tuple[str, str], position: Position | None) -> bool:
        if position is None:
            return False
        placement, item_id = split_screen(pair[1])
        screens = (connection.screens.get(placement) for connection in self._users.get(pair[0], ()))
        return any(s is not None and s.item_id == item_id and position.newer_than(s.position) for s in screens)


async def _end(connection: Connection, code: CloseCode, reason: str) -> None:
    """Say why and wait for the client's own goodbye; drop the transport of one that does not listen.

    Saying it is a task of its own: a send that timed out leaves aiohttp's drain waiter cancelled, and whoever drains
    next is cancelled with it (`BaseProtocol._drain_helper` of 3.14 awaits it unshielded).
    """
    assert connection.left is not None
    saying = asyncio.ensure_future(connection.sink.close(code, reason))
    await asyncio.wait([connection.left], timeout=CLOSE_S)
    if not connection.left.done():
        connection.sink.abort()
    saying.cancel()
    await asyncio.gather(saying, return_exceptions=True)


def _batches(whole: list[tuple[str, str]], size: int) -> list[list[tuple[str, str]]]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]
