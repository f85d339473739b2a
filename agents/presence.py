"""Who is looking: the worker's view of presence, so that only lists on a screen are made.

A local dict, kept by announcements as they happen and reloaded whole every few seconds, since messages can be lost.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping

from rec.errors import Unavailable
from rec.ports import Exchange, Wanted

log = logging.getLogger(__name__)

RELOAD_S = 10.0

Placements = Mapping[str, tuple[int, str | None]]


class Presence:
    """user_id → placements on their screens, as (n, context item)."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._online: dict[str, Placements] = {}

    def __len__(self) -> int:
        return len(self._online)

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._online))

    def placements(self, user_id: str) -> Placements:
        return self._online.get(user_id, {})

    def note(self, wanted: Wanted) -> None:
        """Somebody came, changed what they look at, or (no placements) left."""
        if wanted.placements:
            self._online[wanted.user_id] = wanted.placements
        else:
            self._online.pop(wanted.user_id, None)

    def note_one(self, user_id: str, placement: str, n: int, item_id: str | None) -> None:
        """One placement of a user, known from their subscription before its announcement comes in."""
        self._online[user_id] = {**self.placements(user_id), placement: (n, item_id)}

    async def follow(self) -> None:
        """Keep the view true for ever."""
        await asyncio.gather(self._listen(), self._reload_for_ever())

    async def _listen(self) -> None:
        async for wanted in self._exchange.arrivals():
            if wanted is None:
                await self.reload()
            else:
                self.note(wanted)

    async def _reload_for_ever(self) -> None:
        while True:
            await self.reload()
            await asyncio.sleep(RELOAD_S)

    async def reload(self) -> None:
        try:
            online = await self._exchange.online()
        except Unavailable as error:
            log.warning("presence could not be read, going on with what is known: %s", error)
            return
        self._online = {wanted.user_id: wanted.placements for wanted in online if wanted.placements}
