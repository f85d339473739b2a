"""session ⇄ socket: the **link** carries out what the sans-I/O session says, over one aiohttp websocket per user.

Three tasks at most: the driver (dials, sends, keeps time), the reader of the open socket, a token's renewal. The
application runs in none of them: it takes slates from slots. Invariant: when the driver ends, for whatever
reason, the socket is closed, both other tasks are over and every slot has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable

import aiohttp

from rec.client.outputs import Changed, Deliver, Dial, Hangup, Output, Refuse, Renew, Send, State, Wish
from rec.client.session import Session
from rec.client.slots import Slot
from rec.client.timing import Timing
from rec.client.tokens import Token, TokenSource
from rec.errors import BadInput, DeadlineExceeded, RecError
from rec.slates import Slate

log = logging.getLogger("rec.client")

Socket = aiohttp.ClientWebSocketResponse
BROKEN = 1006  # RFC 6455: closed without a close frame


class Link:
    """The websocket of one user. `dial` opens a socket or raises RecError; `changed` must not wait."""

    def __init__(
        self,
        user_id: str,
        session: Session,
        tokens: TokenSource,
        dial: Callable[[], Awaitable[Socket]],
        timing: Timing,
        changed: Callable[[str, Changed], None],
    ) -> None:
        self.user_id = user_id
        self._session, self._tokens, self._dial, self._timing, self._changed = session, tokens, dial, timing, changed
        self._slots: list[Slot] = []
        self._newest: dict[str, Slate] = {}  # of each placement that is wanted: for a loop that joins later
        self._out: deque[str] = deque()
        self._dialing = False
        self._attempt: asyncio.Timeout | None = None  # while a connection is being made
        self._socket: Socket | None = None
        self._doomed: list[tuple[Socket, Hangup]] = []
        self._reader: asyncio.Task[None] | None = None
        self._renewal: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._defect: RecError | None = None
        self._driver = asyncio.create_task(self._drive(), name="rec-client-link")

    @property
    def state(self) -> State:
        return self._session.state

    # -------------------------------------------------------------- for subscribe loops
    def add(self, placement: str, wish: Wish) -> Slot:
        """A slot for this placement; loops of the same placement share one subscription, as large as any needs."""
        for slot in self._slots:
            if slot.placement == placement and slot.wish.item_id != wish.item_id:
                raise BadInput(
                    f"placement {placement!r} is subscribed with another item_id already; "
                    "end that subscription first or use another placement",
                    field="item_id",
                )
        slot = Slot(placement, wish)
        self._slots.append(slot)
        if (newest := self._newest.get(placement)) is not None:
            slot.put(newest)
        self._restate(placement, wish.item_id)
        return slot

    def remove(self, slot: Slot) -> None:
        """The loop is over; the last one of its placement unsubscribes."""
        if slot not in self._slots:
            return  # ended by us before
        self._slots.remove(slot)
        if any(other.placement == slot.placement for other in self._slots):
            return  # a smaller n is not worth a new list
        self._newest.pop(slot.placement, None)
        self._apply(self._session.unwant(slot.placement, self._now()))

    async def close(self) -> None:
        """End everything; loops end without an error."""
        self._apply(self._session.close())
        if self._attempt is not None and not self._attempt.expired():
            self._attempt.reschedule(self._now())  # nobody wants this connection any more
        await asyncio.wait([self._driver])

    def when_over(self, call: Callable[[Link], object]) -> None:
        """Call this once the driver has ended and everything is closed."""
        self._driver.add_done_callback(lambda _: call(self))

    def _restate(self, placement: str, item_id: str | None) -> None:
        n = max(slot.wish.n for slot in self._slots if slot.placement == placement)
        self._apply(self._session.want(placement, Wish(n, item_id), self._now()))

    # -------------------------------------------------------------- carrying out
    def _apply(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            match output:
                case Send(frame):
                    self._out.append(frame)
                case Deliver(slate):
                    self._newest[slate.placement] = slate
                    for slot in self._slots:
                        if slot.placement == slate.placement:
                            slot.put(slate)
                case Dial():
                    self._dialing = True
                case Hangup():
                    if self._socket is not None:
                        self._doomed.append((self._socket, output))
                case Renew():
                    self._renewal = asyncio.create_task(self._renew(), name="rec-client-renewal")
                case Refuse(placement, error):
                    self._end_slots([slot for slot in self._slots if slot.placement == placement], error)
                    self._newest.pop(placement, None)
                case Changed():
                    if output.state is not State.CONNECTED:
                        self._drop_socket()
                    self._changed(self.user_id, output)
        self._wake.set()

    def _drop_socket(self) -> None:
        """From now on nothing of this socket counts; frames that were for it are not sent on another."""
        if self._socket is not None and all(socket is not self._socket for socket, _ in self._doomed):
            self._doomed.append((self._socket, Hangup(1000, "")))
        self._socket = None
        self._out.clear()

    def _end_slots(self, slots: list[Slot], error: RecError | None) -> None:
        self._slots = [slot for slot in self._slots if slot not in slots]
        for slot in slots:
            slot.end(error)

    # -------------------------------------------------------------- the driver
    async def _drive(self) -> None:
        error: RecError | None = None
        try:
            while self._session.state is not State.CLOSED:
                self._apply(self._session.tick(self._now()))
                self._wake.clear()  # all that there is to do is done below; what comes meanwhile wakes us again
                await self._bury()
                if self._dialing:
                    self._dialing = False
                    await self._open()
                await self._flush()
                await self._wait()
            error = self._session.error
        except Exception as defect:  # noqa: BLE001 - a defect must end the loops, not leave them waiting for ever
            self._fail(defect)
        finally:
            self._apply(self._session.close())
            self._end_slots(self._slots, error or self._defect)
            await self._bury()
            await _cancel(self._renewal)
            await _cancel(self._reader)

    async def _wait(self) -> None:
        deadline = self._session.deadline()
        if deadline is None:
            await self._wake.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - self._now())):
                await self._wake.wait()

    async def _open(self) -> None:
        try:
            token, socket = await self._connect()
        except TimeoutError:
            late = DeadlineExceeded(f"no connection within {self._timing.timeout_s:g} s")
            self._apply(self._session.refused(late, self._now()))
        except RecError as error:
            self._apply(self._session.refused(error, self._now()))
        else:
            await _cancel(self._reader)
            self._socket = socket
            self._reader = asyncio.create_task(self._read(socket), name="rec-client-reader")
            self._apply(self._session.opened(token.value, token.renew_in, self._now()))

    async def _connect(self) -> tuple[Token, Socket]:
        try:
            async with asyncio.timeout(self._timing.timeout_s) as self._attempt:
                token = await self._tokens.get(self.user_id)
                return token, await self._dial()
        finally:
            self._attempt = None

    async def _flush(self) -> None:
        while self._out and (socket := self._socket) is not None:
            try:
                async with asyncio.timeout(self._timing.timeout_s):
                    await socket.send_str(self._out.popleft())
            except (TimeoutError, ConnectionError, aiohttp.ClientError) as error:
                self._report_loss(socket, BROKEN, str(error))

    async def _bury(self) -> None:
        while self._doomed:
            socket, hangup = self._doomed.pop()
            with contextlib.suppress(TimeoutError, ConnectionError, aiohttp.ClientError):
                async with asyncio.timeout(self._timing.timeout_s):
                    await socket.close(code=hangup.code, message=hangup.reason.encode())

    # -------------------------------------------------------------- the other two tasks
    async def _read(self, socket: Socket) -> None:
        try:
            while socket is self._socket:
                message = await socket.receive()
                if socket is not self._socket:
                    return
                if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):  # CLOSE … CLOSED, ERROR
                    reason = message.extra if isinstance(message.extra, str) else ""
                    self._report_loss(socket, socket.close_code or BROKEN, reason)
                    return  # whoever reads on from a closed socket gets CLOSED for ever, and without a pause
                self._apply(self._session.received(message.data, self._now()))
        except Exception as defect:  # noqa: BLE001 - as in the driver
            self._fail(defect)

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(self._timing.timeout_s):
                token = await self._tokens.get(self.user_id)
        except (RecError, TimeoutError) as error:
            # The open connection goes on; when the server closes it (4005), dialing asks for a token again.
            log.warning("a token could not be renewed: %s", error)
        except Exception as defect:  # noqa: BLE001 - as in the driver
            self._fail(defect)
        else:
            self._apply(self._session.renewed(token.value, token.renew_in, self._now()))

    def _fail(self, defect: Exception) -> None:
        log.error("the connection ended by a defect", exc_info=defect)
        self._defect = RecError(f"the connection ended by a defect: {defect!r}")
        self._defect.__cause__ = defect
        self._apply(self._session.close())

    def _report_loss(self, socket: Socket, code: int, reason: str) -> None:
        if socket is self._socket:
            self._apply(self._session.lost(code, reason, self._now()))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


async def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
