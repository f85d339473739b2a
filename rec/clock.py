"""exchange's clock → **shared clock** → deadlines. A time that one process writes and another one reads.

Wall clocks of machines differ, and a deadline that is late by the reader's clock alone would drop what its writer
still waits for. So both reckon in the exchange's time; the error is half a round trip at most (Cristian 1989).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from rec.errors import Unavailable

log = logging.getLogger(__name__)

EVERY_S = 30.0
SOON_S = 1.0  # after a try without success
SLOW_S = 0.5  # a round trip that takes longer says nothing
ODD_S = 1.0  # so far from the exchange's is worth a line in the log


class Timed(Protocol):
    async def time(self) -> float:
        """Seconds since 1970, by the exchange's clock."""


class SharedClock:
    """Seconds since 1970 as all processes see them; the local clock until the exchange has been asked."""

    def __init__(self, exchange: Timed, local: Callable[[], float] = time.time) -> None:
        self._exchange, self._local = exchange, local
        self._ahead_s = 0.0  # of the local clock
        self._told = False

    def now(self) -> float:
        return self._local() - self._ahead_s

    def here(self, at: float) -> float:
        """A shared time by the local clock."""
        return at + self._ahead_s

    async def look(self) -> bool:
        """Ask once; whether the answer was of use. Raises Unavailable."""
        before = self._local()
        theirs = await self._exchange.time()
        after = self._local()
        if not 0 <= after - before <= SLOW_S:
            return False
        self._ahead_s = (before + after) / 2 - theirs
        odd = abs(self._ahead_s) > ODD_S
        if odd and not self._told:
            log.warning(
                "this machine's clock is %+.1f s from Redis': keep clocks in step (chrony, ntpd)", self._ahead_s
            )
        self._told = odd
        return True

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                known = await self.look()
            except Unavailable:
                known = False  # the one before holds
            await asyncio.sleep(EVERY_S if known else SOON_S)
