"""client ⇄ web: one user's websocket **session** as a state machine. No socket, clock, task or dice in here.

The shell (`rec.client.link`) reports what happened, with `now` in seconds of any steady clock, carries out the
returned outputs, and calls `tick` again no later than `deadline()`.

    CONNECTING ──connect reply──► CONNECTED ──lost──► RECONNECTING ──connect reply──► CONNECTED …
         └────────── close(), a close code from 4500 on, an error that will not go away ──────────► CLOSED

Invariants: for each placement the positions delivered only ever move on (`Position.newer_than`); every wish is
subscribed on every connection; what was lost on one connection is asked for on the next by its resume position.
"""

from __future__ import annotations

from enum import Enum, auto
from itertools import count
from typing import NamedTuple

import msgspec

from rec.client.backoff import Backoff
from rec.client.errors import from_close, from_wire
from rec.client.frames import Frame, decode_frame, encode_command
from rec.client.outputs import Changed, Deliver, Dial, Hangup, Output, Refuse, Renew, Send, State, Wish
from rec.client.timing import Timing
from rec.errors import DeadlineExceeded, RecError, Unauthorized, Unavailable
from rec.protocol import CloseCode, Command, Connect, Refresh, Subscribe, Unsubscribe
from rec.slates import Position, Slate

PONG = "{}"
NORMAL = 1000
UNREADABLE = 1002  # RFC 6455 protocol error: the one code of a client's own that fits


class _Phase(Enum):
    WAITING = auto()  # for the back-off
    DIALING = auto()  # the shell is at it, and has its own timeout
    HANDSHAKE = auto()  # socket open, no connect reply yet
    LIVE = auto()
    CLOSED = auto()


class _Pending(NamedTuple):
    """A command without its reply yet."""

    name: str
    placement: str
    deadline: float


class Session:
    """See the module. `renewable`: whether a new token can be had when one runs out."""

    def __init__(self, backoff: Backoff, timing: Timing, *, renewable: bool, now: float) -> None:
        self.state = State.CONNECTING
        self.error: RecError | None = None  # why it closed; None when it was told to
        self._backoff, self._timing, self._renewable = backoff, timing, renewable
        self._phase = _Phase.WAITING
        self._dial_at = now
        self._live_since = now
        self._silent_at = 0.0  # LIVE: the server is gone if nothing is heard until then
        self._ping_s = 0.0
        self._renew_in: float | None = None
        self._renew_at: float | None = None
        self._idle_at: float | None = now + timing.linger_s
        self._wishes: dict[str, Wish] = {}
        self._positions: dict[str, Position] = {}
        self._beside: set[str] = set()  # placements that were wanted beside a product
        self._again: dict[str, float] = {}  # placement → when to subscribe after a temporary refusal
        self._pending: dict[int, _Pending] = {}
        self._ids = count(1)
        self._said: RecError | None = None  # the last error frame: says more than a close code

    # -------------------------------------------------------------- what the application wants
    def want(self, placement: str, wish: Wish, now: float) -> list[Output]:
        """Subscribe, now and on every later connection. Wanting the same again does nothing."""
        self._idle_at = None
        if self._wishes.get(placement) == wish or self._phase is _Phase.CLOSED:
            return []
        before = self._wishes.get(placement)
        if before is not None and (before.item_id != wish.item_id or before.n < wish.n):
            self._positions.pop(placement, None)  # of another product's list; or the same one comes again, longer
        if wish.item_id is not None:
            self._beside.add(placement)
        self._wishes[placement] = wish
        return self._subscribe(placement, now) if self._phase is _Phase.LIVE else []

    def unwant(self, placement: str, now: float) -> list[Output]:
        """Unsubscribe; the last one starts the time that an idle connection is kept."""
        if self._wishes.pop(placement, None) is None:
            return []
        self._positions.pop(placement, None)
        self._again.pop(placement, None)
        if not self._wishes:
            self._idle_at = now + self._timing.linger_s
        if self._phase is not _Phase.LIVE:
            return []
        return [self._command("unsubscribe", placement, now, Command(unsubscribe=Unsubscribe(placement)))]

    def close(self) -> list[Output]:
        """Over, by choice."""
        return self._close(None)

    # -------------------------------------------------------------- what happened to the socket
    def opened(self, token: str, renew_in: float | None, now: float) -> list[Output]:
        """A socket is open; `token` is for its first frame, to be renewed in so many seconds."""
        if self._phase is not _Phase.DIALING:
            return [Hangup(NORMAL, "no longer wanted")]
        self._phase = _Phase.HANDSHAKE
        self._renew_in = renew_in
        self._said = None
        resume = {placement: self._positions[placement] for placement in self._wishes if placement in self._positions}
        return [self._command("connect", "", now, Command(connect=Connect(token, resume)))]

    def refused(self, error: RecError, now: float) -> list[Output]:
        """No socket, or no token for it. A temporary error: later again; another: over."""
        if self._phase is not _Phase.DIALING:
            return []
        return self._retry(error, now) if error.temporary else self._close(error)

    def lost(self, code: int, reason: str, now: float) -> list[Output]:
        """The socket was closed by the other side, or broke (1006)."""
        if self._phase not in (_Phase.HANDSHAKE, _Phase.LIVE):
            return []
        error = from_close(code, reason)
        if error is not None:
            if self._said is not None:  # the frame before it knows more; the code knows which kind of error it is
                error = type(error)(self._said.message, code=self._said.code, field=self._said.field).refused()
            return self._close(error)
        if code == CloseCode.TOKEN_EXPIRED and not self._renewable:
            return self._close(
                Unauthorized("the token ran out; give RecClient a callable to get new ones", code="token_expired")
            )
        return self._retry(self._said or Unavailable(f"the connection was lost (close code {code})"), now)

    def received(self, text: str | bytes, now: float) -> list[Output]:
        """A frame arrived."""
        if self._phase not in (_Phase.HANDSHAKE, _Phase.LIVE):
            return []
        self._silent_at = now + self._ping_s + self._timing.ping_grace_s
        try:
            frame = decode_frame(text)
        except msgspec.DecodeError as error:  # includes ValidationError
            # Skipping it could lose a list for good. A new connection brings the newest one again.
            return self._hangup(UNREADABLE, "unreadable frame", Unavailable(f"unreadable frame: {error}"), now)
        if frame.is_ping:
            return [Send(PONG)]
        if frame.push is not None:
            return self._pushed(frame.push.slate)
        if frame.id is None:
            if frame.error is not None:
                self._said = from_wire(frame.error)
            return []
        pending = self._pending.pop(frame.id, None)
        return [] if pending is None else self._replied(pending, frame, now)

    def renewed(self, token: str, renew_in: float | None, now: float) -> list[Output]:
        """The new token that `Renew` asked for."""
        if self._phase is not _Phase.LIVE:
            return []
        self._renew_at = None if renew_in is None else now + renew_in
        return [self._command("refresh", "", now, Command(refresh=Refresh(token)))]

    # -------------------------------------------------------------- time
    def deadline(self) -> float | None:
        """When `tick` has something to do; None: only after something else happened."""
        match self._phase:
            case _Phase.CLOSED:
                return None
            case _Phase.WAITING:
                times = [self._dial_at]
            case _Phase.LIVE:
                times = [self._silent_at, *self._again.values()]
                if self._renew_at is not None:
                    times.append(self._renew_at)
            case _:
                times = []
        times.extend(pending.deadline for pending in self._pending.values())
        if self._idle_at is not None:
            times.append(self._idle_at)
        return min(times, default=None)

    def tick(self, now: float) -> list[Output]:
        """Do what is due."""
        if self._phase is _Phase.CLOSED:
            return []
        if self._idle_at is not None and now >= self._idle_at:
            return self._close(None)
        if self._phase is _Phase.WAITING and now >= self._dial_at:
            self._phase = _Phase.DIALING
            return [Dial()]
        if self._phase is _Phase.LIVE and now >= self._silent_at:
            gone = Unavailable(f"nothing was heard for {self._ping_s + self._timing.ping_grace_s:g} s")
            return self._hangup(CloseCode.NO_PONG, "no ping", gone, now)
        for pending in self._pending.values():
            if now >= pending.deadline:
                late = DeadlineExceeded(f"no reply to {pending.name} within {self._timing.timeout_s:g} s")
                said = self._said if pending.name == "close" and self._said is not None else late
                return self._hangup(CloseCode.NO_PONG, f"no reply to {pending.name}", said, now)
        return self._due(now) if self._phase is _Phase.LIVE else []

    def _due(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        if self._renew_at is not None and now >= self._renew_at:
            self._renew_at = None
            outputs.append(Renew())
        for placement in [name for name, at in self._again.items() if now >= at]:
            del self._again[placement]
            outputs.extend(self._subscribe(placement, now))
        return outputs

    # -------------------------------------------------------------- inside
    def _command(self, name: str, placement: str, now: float, command: Command) -> Send:
        id = next(self._ids)
        self._pending[id] = _Pending(name, placement, now + self._timing.timeout_s)
        return Send(encode_command(msgspec.structs.replace(command, id=id)))

    def _subscribe(self, placement: str, now: float) -> list[Output]:
        wish = self._wishes[placement]
        return [self._command("subscribe", placement, now, Command(subscribe=Subscribe(placement, *wish)))]

    def _replied(self, pending: _Pending, frame: Frame, now: float) -> list[Output]:
        error = None if frame.error is None else from_wire(frame.error)
        match pending.name:
            case "connect":
                return self._welcomed(frame, error, now)
            case "subscribe" if error is not None and pending.placement in self._wishes:
                if error.temporary:
                    wait = error.retry_after if error.retry_after is not None else self._timing.backoff_low_s
                    self._again[pending.placement] = now + wait
                    return []
                refused: list[Output] = [Refuse(pending.placement, error)]
                del self._wishes[pending.placement]
                self._positions.pop(pending.placement, None)
                if not self._wishes:
                    self._idle_at = now + self._timing.linger_s
                return refused
            case "refresh" if error is not None:
                self._said = error  # the server will close 4005 or 45xx; this says why
        return []

    def _welcomed(self, frame: Frame, error: RecError | None, now: float) -> list[Output]:
        if error is not None:
            self._said = error  # a close frame follows, and its code says whether to come back
            self._pending[-1] = _Pending("close", "", now + self._timing.timeout_s)
            return []
        if frame.connect is None:
            return self._hangup(UNREADABLE, "no connect reply", Unavailable("the server answered something else"), now)
        self._phase = _Phase.LIVE
        self._live_since = now
        self._ping_s = frame.connect.ping
        self._silent_at = now + self._ping_s + self._timing.ping_grace_s
        self._renew_at = None if self._renew_in is None else now + self._renew_in
        outputs: list[Output] = [self._become(State.CONNECTED)]
        for placement in self._wishes:
            outputs.extend(self._subscribe(placement, now))
        return outputs

    def _pushed(self, slate: Slate | None) -> list[Output]:
        if slate is None or slate.placement not in self._wishes or self._crosses(slate.placement):
            return []  # another kind of push, or one that crossed our subscribe: it may be about another product
        if not slate.position.newer_than(self._positions.get(slate.placement)):
            return []
        self._positions[slate.placement] = slate.position
        return [Deliver(slate)]

    def _crosses(self, placement: str) -> bool:
        """Whether a push may be about the product before: the subscription is not answered, the newest list follows."""
        return placement in self._beside and any(
            p.name == "subscribe" and p.placement == placement for p in self._pending.values()
        )

    def _become(self, state: State, error: RecError | None = None, retry_in: float | None = None) -> Changed:
        self.state = state
        return Changed(state, error, retry_in)

    def _hangup(self, code: int, reason: str, error: RecError, now: float) -> list[Output]:
        after = self._retry(error, now) if error.temporary else self._close(error)
        return [Hangup(code, reason), *(output for output in after if not isinstance(output, Hangup))]

    def _retry(self, error: RecError, now: float) -> list[Output]:
        if self._phase is _Phase.LIVE and now - self._live_since > self._timing.stable_s:
            self._backoff.reset()  # only a connection that held: one that is accepted and dropped must back off
        delay = max(self._backoff.next_delay(), error.retry_after or 0.0)
        self._phase = _Phase.WAITING
        self._dial_at = now + delay
        self._forget_connection()
        return [self._become(State.RECONNECTING, error, delay)]

    def _close(self, error: RecError | None) -> list[Output]:
        if self._phase is _Phase.CLOSED:
            return []
        hangup: list[Output] = [Hangup(NORMAL, "")] if self._phase in (_Phase.HANDSHAKE, _Phase.LIVE) else []
        self._phase = _Phase.CLOSED
        self.error = error
        self._forget_connection()
        return [*hangup, self._become(State.CLOSED, error)]

    def _forget_connection(self) -> None:
        self._pending.clear()
        self._again.clear()
        self._renew_at = None
