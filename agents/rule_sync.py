"""SQL → **rule sync** → `world.rulebook`. A worker follows the shop's rules; who is connected sees a change.

A rule whose window opens or closes is a change too. Rules that make no sense here are left aside and told, the others
hold.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable

from agents.hints import follow
from rec.errors import BadInput
from rec.policy.desk import StoredRule
from rec.policy.rules import Rule, Rulebook, checked
from rec.ports import Database, Exchange
from rec.recommend import World

log = logging.getLogger(__name__)

LOOK_S = 1.0  # one number is read that often: a lost hint, or a window that opens, is felt within 2 s all the same


class RuleSync:
    """Keeps `world.rulebook` equal to what SQL says. `on_change`: lists are not what they were."""

    def __init__(
        self,
        *,
        world: World,
        database: Database,
        exchange: Exchange,
        on_change: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._world, self._database, self._exchange = world, database, exchange
        self._on_change, self._clock = on_change, clock
        self._active: frozenset[str] = frozenset()
        self._told = True

    async def load(self) -> int:
        """The rules as they are, before anybody has a list; how many hold at some time. Raises Unavailable."""
        await self._read()
        self._active = self._world.rulebook.active(self._clock())
        return len(self._world.rulebook)

    async def run(self) -> None:
        """Follow for ever."""
        await follow(self._exchange, "rules", self.look, LOOK_S, "the rules")

    async def look(self) -> None:
        """Swap, if there are others, or others hold now. Raises Unavailable."""
        changed = await self._read()
        active = self._world.rulebook.active(self._clock())
        if changed or active != self._active:
            self._active, self._told = active, False
        if not self._told:
            await self._on_change()  # until it was told, however often the log is away in between
            self._told = True

    async def _read(self) -> bool:
        """Whether there are other rules than before."""
        revision = await self._database.rules_revision()
        if revision == self._world.rulebook.revision:
            return False
        stored = await self._database.rules()
        self._world.rulebook = Rulebook(in_force(stored), revision)
        return True


def in_force(stored: list[StoredRule]) -> list[Rule]:
    """Those that were accepted, and that this version understands."""
    rules = []
    for each in stored:
        if each.rule is not None:
            try:
                checked(each.rule)
                rules.append(each.rule)
            except BadInput as error:
                log.error("the rule %s does not hold here: %s", each.rule_id, error.message)  # noqa: TRY400
    return rules
