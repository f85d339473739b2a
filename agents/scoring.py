"""mailbox → **whose thread makes the lists** → slates. Cheap lists on the event loop, dear ones in a thread.

A thread of Python numbers and the event loop take the interpreter lock from each other at every system call and every
array of some size. At 200 events a second that is most of a list's way (docs/decisions.md). So a list
that costs less than `INLINE_S` is made where it is needed; one that costs more, as with a large network, would hold up
everybody else and goes to the thread. Where several wait they are made together, which is cheaper (the vectors of the
catalog come through the processor's cache once for all of them), and the loop takes a turn every `TURN_S`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from concurrent.futures import Executor

from rec.noted import LearnedNow, Noted, noted_many, nothing_learned
from rec.recommend import Ask, World
from rec.slates import Slate

TURN_S = 0.008  # CPU seconds of lists between two turns of the loop
INLINE_S = TURN_S  # CPU seconds of one list
MEMORY = 0.9  # of the running mean of what a list costs


class Scoring:
    """Makes lists for `world`, in `executor` until they are known to be cheap, and again after every swap."""

    def __init__(
        self,
        world: World,
        executor: Executor,
        rng: random.Random,
        inline_s: float = INLINE_S,
        turn_s: float = TURN_S,
        learned: LearnedNow = nothing_learned,
    ) -> None:
        self._learned_now = learned
        self._world, self._executor, self._rng = world, executor, rng
        self._inline_s, self._turn_s = inline_s, turn_s
        self._version = ""
        self._cost_s = float("inf")

    @property
    def inline(self) -> bool:
        """Whether the next list is made on the event loop."""
        return self._cost_s < self._inline_s

    async def make(self, asks: Sequence[Ask], now: float) -> list[Slate]:
        """One slate for each ask, in their order."""
        return [noted.slate for noted in await self.noted(asks, now)]

    async def noted(self, asks: Sequence[Ask], now: float) -> list[Noted]:
        """The same, with what was noted of each as it was made."""
        version = self._world.brain.version if self._world.brain else ""
        if version != self._version:  # what the new one costs is not known
            self._version, self._cost_s = version, float("inf")
        slates: list[Noted] = []
        while rest := asks[len(slates) :]:
            if not self.inline:
                made, spent = await asyncio.get_running_loop().run_in_executor(self._executor, self._timed, rest, now)
                self._learn(spent / len(rest))
                return slates + made
            some = rest[: max(1, int(self._turn_s / max(self._cost_s, 1e-6)))]
            made, spent = self._timed(some, now)
            self._learn(spent / len(some))
            slates += made
            await asyncio.sleep(0)
        return slates

    def _timed(self, asks: Sequence[Ask], now: float) -> tuple[list[Noted], float]:
        """The lists, and the CPU seconds of this thread that they took: waiting for the lock is no cost of a list."""
        began = time.thread_time()
        slates = noted_many(asks, self._world, now=now, rng=self._rng, learned=self._learned_now)
        return slates, time.thread_time() - began

    def _learn(self, cost_s: float) -> None:
        known = self._cost_s != float("inf")
        self._cost_s = MEMORY * self._cost_s + (1 - MEMORY) * cost_s if known else cost_s
