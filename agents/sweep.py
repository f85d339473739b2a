"""stored positions × states → **sweep** → refresh. Whoever has no list, or an older one than their state, gets one."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from agents.metrics import Metrics
from agents.presence import Presence
from agents.refresh import MakeAnew, Refresher, StateOf, make_nothing
from agents.shown import Learning, Shown
from rec.errors import Unavailable
from rec.ports import Exchange
from rec.slates import Cause

log = logging.getLogger(__name__)

CHUNK = 100  # users looked at together: a thousand of them would hold up the loop


async def _ignore(_: set[str]) -> None:
    """Nobody wants to know."""


class Sweep:
    """Anti-entropy: every few seconds, whoever looks and has no list, or an older one than their state, gets one.

    What is on a list that this worker has not made is learned on the way. `on_outdated` gets the products that some
    list shows otherwise than they are.
    """

    def __init__(
        self,
        *,
        owned: Callable[[str], bool],
        state_of: StateOf,
        presence: Presence,
        exchange: Exchange,
        refresher: Refresher,
        shown: Shown,
        learning: Learning,
        metrics: Metrics,
        interval_s: float,
    ) -> None:
        self._owned, self._state_of, self._presence = owned, state_of, presence
        self._exchange, self._refresher, self._metrics = exchange, refresher, metrics
        self._shown, self._learning = shown, learning
        self._interval_s = interval_s
        self.on_outdated: Callable[[set[str]], Awaitable[None]] = _ignore
        self.make_anew: MakeAnew = make_nothing
        self._now = asyncio.Event()

    def soon(self) -> None:
        """After a restart or a rebalance: do not wait for the next turn."""
        self._now.set()

    async def run(self) -> None:
        """Sweep for ever: half of the time nothing, and half of it a turn, unless one is wanted at once."""
        half = self._interval_s / 2
        while True:
            at_once = await self._wanted(half)
            self._now.clear()
            try:
                await self.turn(time.time(), 0.0 if at_once else half)
            except Unavailable as error:
                log.warning("the sweep could not read positions: %s", error)

    async def turn(self, now: float, over_s: float = 0.0) -> int:
        """One sweep, a portion after the other `over_s` seconds; how many had an older list than their state."""
        users, stale = list(self._presence), set[str]()
        unknown: list[tuple[str, str]] = []
        portions = [users[at : at + CHUNK] for at in range(0, len(users), CHUNK)]
        for portion in portions:
            pairs = [
                (user_id, screen)
                for user_id in portion
                if self._owned(user_id)
                for screen in self._presence.screens(user_id)
            ]
            old = set[str]()
            for (user_id, screen), position in zip(pairs, await self._exchange.positions(pairs), strict=True):
                state = self._state_of(user_id)
                if position is None if state is None else state.position.newer_than(position):
                    old.add(user_id)  # a newcomer has no state, and gets a list all the same
                elif position is not None and not self._shown.knows(user_id, screen, position):
                    unknown.append((user_id, screen))
            for user_id in old:
                self._refresher.mend(user_id, now)
            stale |= old
            await self._wanted(over_s / len(portions))
        self._shown.forget_unseen()
        self._metrics.swept.inc(len(stale))
        self._metrics.online.set(len(self._presence))
        if waiting := await self._learning.learn(unknown, self.on_outdated):
            await self.make_anew(waiting, Cause("event"))
            self._learning.followed(waiting)
        return len(stale)

    async def _wanted(self, within_s: float) -> bool:
        """Wait that long, or until a turn is wanted at once."""
        try:
            async with asyncio.timeout(within_s):
                return await self._now.wait()
        except TimeoutError:
            return False
