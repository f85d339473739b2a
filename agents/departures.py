"""catalog → **departures** → topic `examples`. Which products are not sold any more, written down where it is learned.

A product that has left the catalog leaves the network's vocabulary, too: from the record `Gone` on, so that a replay
comes to the same weights. What the log could not take waits here; what a restart forgets the child says again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from itertools import islice

from rec.examples import Gone

MOST = 1_000  # items of one record


class Departures:
    """What the log does not say yet. `say` publishes, and answers whether it is in the log."""

    def __init__(self, say: Callable[[Gone], Awaitable[bool]]) -> None:
        self._say = say
        self._waiting: dict[str, None] = {}

    def begin_again(self, known: Iterable[str]) -> None:
        """What the child knows of what is not sold. The log may say so already, further on: twice does no harm."""
        self._waiting = dict.fromkeys(known)

    async def follow(self, known: Iterable[str], sold: Collection[str]) -> None:
        """A change of the catalog: deleted items that the child still knows, and items that are sold (again)."""
        self._waiting |= dict.fromkeys(known)
        for item_id in sold:
            self._waiting.pop(item_id, None)
        while some := tuple(islice(self._waiting, MOST)):
            if not await self._say(Gone(some)):
                return
            for item_id in some:
                del self._waiting[item_id]
