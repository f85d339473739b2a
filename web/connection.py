"""hub → **connection** → socket. What one client has on screen, and what waits to be sent to it. No I/O.

Invariants: per placement one slot, of one product if it is about one, and the newest slate wins it; nothing is offered
that is not newer than what was offered before; nothing is taken for a placement before its subscription was answered.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Protocol

import msgspec

from rec.ports import StoredSlate
from rec.protocol import CloseCode, push
from rec.screens import split_screen
from rec.slates import Position, decode_slate, encode_slate


class Offer:
    """A slate for all who show it: each length of it is made once and shared."""

    __slots__ = ("_created", "_frames", "item_id", "placement", "slate")

    def __init__(self, slate: StoredSlate) -> None:
        self.slate = slate
        self.placement, self.item_id = split_screen(slate.screen)
        self._frames: dict[int, bytes] = {}
        self._created: float | None = None

    def frame(self, n: int) -> bytes:
        """The push frame with at most `n` items, UTF-8 JSON."""
        n = min(n, self.slate.n)
        frame = self._frames.get(n)
        if frame is None:
            frame = self._frames[n] = push(shortened(self.slate, n))
        return frame

    @property
    def created_at(self) -> float:
        """When the slate was made, seconds since 1970."""
        if self._created is None:
            self._created = _decode_head(self.slate.body).created_at.timestamp()
        return self._created


class _Head(msgspec.Struct):
    created_at: datetime


_decode_head = msgspec.json.Decoder(_Head).decode


def shortened(slate: StoredSlate, n: int) -> bytes:
    """The slate's JSON with its first `n` items."""
    if n >= slate.n:
        return slate.body
    whole = decode_slate(slate.body)
    return encode_slate(msgspec.structs.replace(whole, items=whole.items[:n]))


class Sink(Protocol):
    """The transport under a connection. Sending raises ConnectionError once the client is gone."""

    @property
    def kind(self) -> str:
        """ "ws" or "sse", a metric's label."""

    async def send_slate(self, offer: Offer, n: int) -> None: ...
    async def send_ping(self) -> None: ...
    async def close(self, code: CloseCode, reason: str) -> None:
        """Tell the client why, and that this is the end. May wait for a client that does not read."""

    def abort(self) -> None:
        """End at once, without a word."""

    @property
    def gone(self) -> bool:
        """Whether the transport is closed."""

    @property
    def answers_pings(self) -> bool: ...


class Screen:
    """A placement that a client shows: how many items, beside which product, the newest position it was offered."""

    __slots__ = ("item_id", "n", "offer", "opened", "position")

    def __init__(self, n: int, item_id: str | None) -> None:
        self.n, self.item_id = n, item_id
        self.position: Position | None = None
        self.offer: Offer | None = None  # the slot
        self.opened = False

    def resume(self, position: Position) -> None:
        """The client shows this already: what waits and is not newer is not for it."""
        if self.position is None or not self.position.newer_than(position):
            self.position, self.offer = position, None


class Connection:
    """One client of one user."""

    __slots__ = (
        "busy",
        "close_code",
        "expires_at",
        "heard_at",
        "left",
        "ping_due",
        "pinged_at",
        "pumping",
        "screens",
        "sink",
        "user_id",
    )

    def __init__(self, user_id: str, sink: Sink, expires_at: float, now: float) -> None:
        """`expires_at` is wall time; `now` and all else is the loop's time."""
        self.user_id, self.sink, self.expires_at = user_id, sink, expires_at
        self.screens: dict[str, Screen] = {}  # by placement
        self.heard_at = self.pinged_at = now
        self.ping_due = False
        self.busy = False  # with a command: what the client has sent meanwhile, pongs too, is read after it
        self.pumping = False
        self.close_code: int | None = None  # set once it is closed from here
        self.left: asyncio.Future[None] | None = None  # then, until the client has answered or is gone

    def offer(self, offer: Offer) -> tuple[bool, bool]:
        """Put a slate into its slot: (taken, another was dropped for it)."""
        screen = self.screens.get(offer.placement)
        if screen is None or screen.item_id != offer.item_id or not offer.slate.position.newer_than(screen.position):
            return False, False
        dropped = screen.offer is not None
        screen.offer, screen.position = offer, offer.slate.position
        return True, dropped

    def take(self) -> tuple[Offer, int] | None:
        """The next slate to send, and how much of it; None when nothing waits."""
        for screen in self.screens.values():
            if screen.offer is not None and screen.opened:
                offer, screen.offer = screen.offer, None
                return offer, screen.n
        return None

    @property
    def waiting(self) -> bool:
        """Whether there is something to send."""
        return self.ping_due or any(s.offer is not None and s.opened for s in self.screens.values())
