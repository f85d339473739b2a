"""requests → **explaining** → replies. Why one item is on a list and another is not, for whoever may look in.

One at a time, in a thread and with caches of its own, so that no shopper's list waits for it. A question
behind its deadline is dropped; one that is too many is told so at once.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import msgspec

from rec.errors import RecError, Unavailable
from rec.explain import apart, explain
from rec.logs import discreet
from rec.policy.chosen import Assignment
from rec.ports import Exchange, Reply
from rec.recommend import Ask, World
from rec.requests import Explain
from rec.slates import Cause
from rec.state import UserState

log = logging.getLogger(__name__)

MAX_WAITING = 8


class Explaining:
    """Answers from `world` and the tables, as the refresher would at this moment; nothing is stored or told."""

    def __init__(
        self,
        world: World,
        state_of: Callable[[str], UserState | None],
        strategy_of: Callable[[str, str, UserState | None, float], Assignment | None],
        exchange: Exchange,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._world, self._state_of, self._strategy_of, self._exchange = world, state_of, strategy_of, exchange
        self._rng, self._clock = rng or random.Random(), clock
        self._waiting: asyncio.Queue[Explain] = asyncio.Queue(MAX_WAITING)

    async def answer(self, request: Explain) -> None:
        """Answer in turn, before its deadline, or not at all."""
        try:
            self._waiting.put_nowait(request)
        except asyncio.QueueFull:
            busy = Unavailable("Too many lists are being explained. Try again in a second.", code="busy", retry_after=1)
            await self._reply(request, _error(busy))

    async def run(self) -> None:
        """For ever."""
        while True:
            request = await self._waiting.get()
            now = self._clock()
            if request.deadline <= now:
                continue
            body = await asyncio.to_thread(self._body, request, self._ask_of(request, now), now)
            await self._reply(request, body)

    async def _reply(self, request: Explain, body: bytes) -> None:
        try:
            await self._exchange.reply(request.reply_to, Reply(request.request_id, body))
        except Unavailable as error:
            log.warning("a list could not be explained: %s", error)

    def _ask_of(self, request: Explain, now: float) -> Ask:
        user_id, placement, state = request.user_id, request.placement, self._state_of(request.user_id)
        chosen = self._strategy_of(user_id, placement, state, now)
        strategy = None if chosen is None else chosen.strategy
        return Ask(user_id, placement, request.n, request.item_id, Cause("request"), state, strategy)

    def _body(self, request: Explain, ask: Ask, now: float) -> bytes:
        try:
            found = explain(ask, apart(self._world), now=now, rng=self._rng, top=request.top)
        except Exception as error:  # noqa: BLE001
            log.error("a list could not be explained: %s", discreet(error))
            return _error(RecError("Something broke while the list was explained. The worker's log says what."))
        return msgspec.json.encode({"explained": found._asdict()})


def _error(error: RecError) -> bytes:
    return msgspec.json.encode({"error": error.as_dict()})
