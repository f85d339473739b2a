"""Who is looking: the worker's view of presence, so that only lists on a screen are made.

A local dict, kept by announcements as they happen and reloaded whole every few seconds, since messages can be lost.
Of who comes or goes while it is read the announcement counts, not what was read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping

from rec.errors import Unavailable
from rec.ports import Exchange, Wanted
from rec.protocol import MAX_USER_SCREENS

log = logging.getLogger(__name__)

RELOAD_S = 10.0

Screens = Mapping[str, int]


class Presence:
    """user_id → what they look at: screen (see rec.screens) → n."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.on_gap: Callable[[], None] = lambda: None  # called when the view was read again after a loss of messages
        self._online: dict[str, Screens] = {}
        self._reading = asyncio.Lock()
        self._meanwhile: set[str] | None = None  # who was noted since a reading began

    def __len__(self) -> int:
        return len(self._online)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._online))

    def screens(self, user_id: str) -> Screens:
        return self._online.get(user_id, {})

    def note(self, wanted: Wanted) -> None:
        """Somebody came, changed what they look at, or (no screens) left."""
        self._mark(wanted.user_id)
        if wanted.screens:
            self._online[wanted.user_id] = wanted.screens
        else:
            self._online.pop(wanted.user_id, None)

    def note_one(self, user_id: str, screen: str, n: int) -> None:
        """One screen of a user, known from their subscription before its announcement comes in.

        It may be one of several that show the placement: the longest counts, what is shorter says the announcement.
        A subscription that is over may come in late: beyond the bound of a user the oldest is forgotten, and the next
        announcement or reload says what is true.
        """
        self._mark(user_id)
        others = {known: wanted for known, wanted in self.screens(user_id).items() if known != screen}
        newest = list(others.items())[-(MAX_USER_SCREENS - 1) :]
        self._online[user_id] = {**dict(newest), screen: max(n, self.screens(user_id).get(screen, 0))}

    async def follow(self) -> None:
        """Keep the view true for ever."""
        await asyncio.gather(self._listen(), self._reload_for_ever())

    async def _listen(self) -> None:
        async for wanted in self._exchange.arrivals():
            if wanted is None:
                await self.reload()
                self.on_gap()
            else:
                self.note(wanted)

    async def _reload_for_ever(self) -> None:
        while True:
            await self.reload()
            await asyncio.sleep(RELOAD_S)

    async def reload(self) -> None:
        """Read the view anew; with what is known, if that fails."""
        async with self._reading:
            meanwhile = self._meanwhile = set[str]()
            try:
                online = await self._exchange.online()
            except Unavailable as error:
                log.warning("presence could not be read, going on with what is known: %s", error)
                return
            finally:
                self._meanwhile = None
            read = {wanted.user_id: wanted.screens for wanted in online if wanted.screens}
            newer = {user_id: self._online[user_id] for user_id in meanwhile if user_id in self._online}
            self._online = {user_id: read[user_id] for user_id in read if user_id not in meanwhile} | newer

    def _mark(self, user_id: str) -> None:
        if self._meanwhile is not None:
            self._meanwhile.add(user_id)
