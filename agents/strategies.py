"""SQL → **who chooses** → `Ask.strategy`. A worker follows the stored strategies and experiments, and what the bandit
believes of them.

Invariant: a change in SQL is in force within `POLL_S`, and at once where its hint arrives; while SQL is away, what was
read last goes on. One revision holds for all lists of a batch. Choosing never raises: whatever is stored, and whatever
this worker's settings are, a list is made.
"""

from __future__ import annotations

import logging
from random import Random

from agents.hints import follow
from rec.policy.bandit import Bandit, BanditRules, fitting_floor
from rec.policy.chosen import NOTHING, Assignment, strategy_for
from rec.ports import Database, Exchange
from rec.state import UserState

log = logging.getLogger(__name__)

POLL_S = 1.0


class Strategies:
    """Chooses the strategy of each list. `bandit` is a value: whoever learns puts another in its place."""

    def __init__(self, *, database: Database, exchange: Exchange, rules: BanditRules, rng: Random) -> None:
        self._database, self._exchange, self._rules, self._rng = database, exchange, rules, rng
        self._stored = NOTHING
        self._told = 0  # strategies offered, when last looked at
        self.bandit = Bandit()

    def choose(self, user_id: str, placement: str, state: UserState | None, now: float) -> Assignment | None:
        """The strategy of a user's list, and who decided; None: the installation's own."""
        return strategy_for(
            self._stored, self.bandit, user_id, placement, state, now=now, rng=self._rng, rules=self._rules
        )

    async def look(self) -> None:
        """Read what is stored, if it has changed. Raises Unavailable."""
        if await self._database.strategies_revision() != self._stored.revision:
            self._stored = await self._database.stored()
            log.info(
                "revision %d: %d strategies, %d experiments",
                self._stored.revision,
                len(self._stored.offers),
                len(self._stored.experiments),
            )
            self._say_floor(len(self._stored.offered))

    def _say_floor(self, offered: int) -> None:
        """Once for each number of strategies that the floor does not fit."""
        fits = fitting_floor(offered, self._rules.floor)
        if fits < self._rules.floor and offered != self._told:
            log.warning(
                "REC_BANDIT_FLOOR=%g is more than %d strategies can have: each gets %.3g of the lists, and what they "
                "earn decides nothing. Lower it, or offer fewer: rec strategies put … --no-bandit",
                self._rules.floor,
                offered,
                fits,
            )
        self._told = offered

    async def run(self) -> None:
        """Follow for ever."""
        await follow(self._exchange, "strategies", self.look, POLL_S, "the strategies")
