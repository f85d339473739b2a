"""connections → **presence** → exchange. Who is here is announced, and watched, so that workers make their lists.

`settle` brings the exchange in line with what is shown, however often and in whatever order it is called. Invariant:
what was announced last is remembered, so nothing is announced twice and nobody stays announced who is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from weakref import WeakValueDictionary

from rec.errors import RateLimited, Unavailable
from rec.ports import Exchange, Wanted
from rec.protocol import MAX_USER_SCREENS

TEND_S = 10.0
CROWDED_S = 5.0  # until a connection that is gone has been noticed, there may be room again
_AT_ONCE = 16  # when thousands come or go together, the exchange must still answer others in time

Shown = tuple[tuple[str, int], ...]  # (screen, n), sorted; see rec.screens


class Presence:
    """The announcements of this process under the name `node`. `shown` says what a user shows right now, () nothing."""

    def __init__(self, exchange: Exchange, node: str, shown: Callable[[str], Shown]) -> None:
        self._exchange, self._node, self._shown = exchange, node, shown
        self._announced: dict[str, Shown | None] = {}  # of watched users; None: the exchange may hold anything
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._unsettled: set[str] = set()
        self._due = asyncio.Event()

    @property
    def node(self) -> str:
        """What this process is called among all of them."""
        return self._node

    @property
    def announced(self) -> int:
        """How many users are announced from here."""
        return len(self._announced)

    async def settle(self, user_id: str) -> None:
        """Watch and announce as the connections have it. Raises Unavailable; then `keep_tending` makes up for it.

        Raises RateLimited when the user would have too many screens; then nothing new was announced, and the caller
        takes back what it has opened.
        """
        lock = self._locks.get(user_id) or self._locks.setdefault(user_id, asyncio.Lock())
        async with lock, self._gate:
            try:
                await self._settle(user_id, self._shown(user_id))
            except Unavailable:
                self._unsettled.add(user_id)
                raise
            except RateLimited:
                self._unsettled.discard(user_id)
                raise
            self._unsettled.discard(user_id)

    async def _settle(self, user_id: str, shown: Shown) -> None:
        watched = user_id in self._announced
        if (shown or watched) and shown != self._announced.get(user_id):
            if not watched:
                await self._exchange.watch(user_id)
                self._announced[user_id] = None
            if not await self._exchange.announce(self._node, Wanted(user_id, dict(shown))):
                message = f"A user has at most {MAX_USER_SCREENS} lists on screens at a time. Unsubscribe from one."
                raise RateLimited(message, code="too_many_screens", retry_after=CROWDED_S)
            self._announced[user_id] = shown
        if not shown and user_id in self._announced:
            await self._exchange.unwatch(user_id)
            del self._announced[user_id]

    def forgotten(self, user_id: str) -> None:
        """The exchange was told to forget the user: what was announced no longer is."""
        if user_id in self._announced:
            self._announced[user_id] = None

    def tend_soon(self) -> None:
        """The exchange was away and may have lost what was announced: do not wait for the next turn."""
        self._due.set()

    async def keep_tending(self) -> None:
        """Keep the announcements alive, and settle what could not be."""
        while True:
            with contextlib.suppress(TimeoutError):  # the regular turn
                async with asyncio.timeout(TEND_S):
                    await self._due.wait()
            self._due.clear()
            try:
                await self._exchange.tend(self._node)
                for user_id in list(self._unsettled):
                    with contextlib.suppress(RateLimited):  # on other nodes the user has opened more meanwhile
                        await self.settle(user_id)
            except Unavailable:
                self._due.set()  # begun again, see web.background
                raise

    async def retire(self) -> None:
        """Nobody is here any more. If that cannot be said, the announcements expire by themselves."""
        with contextlib.suppress(Unavailable):
            await self._exchange.retire(self._node)
