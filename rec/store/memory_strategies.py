"""`rec.ports.Strategies` on dictionaries: strategies and experiments for one process, gone when it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from rec.errors import NotFound
from rec.policy.bandit import DEFAULTS, BanditRules
from rec.policy.chosen import Offer, Stored, checked_drop, checked_experiment, checked_offer
from rec.policy.experiments import Experiment, begun
from rec.policy.store import Who

Record = Callable[[str, str, str, Mapping[str, Any]], Awaitable[None]]


class MemoryStrategies:
    """Nothing awaits between a check and its change, so each is atomic."""

    record: Record  # of the audit trail

    def __init__(self) -> None:
        self._offers: dict[str, Offer] = {}  # in the order in which each was first put
        self._experiments: dict[str, Experiment] = {}
        self._strategies_revision = 0

    async def stored(self) -> Stored:
        return Stored(self._strategies_revision, tuple(self._offers.values()), tuple(self._experiments.values()))

    async def strategies_revision(self) -> int:
        return self._strategies_revision

    async def put_strategy(self, offer: Offer, who: Who, rules: BanditRules = DEFAULTS) -> None:
        checked_offer([*self._offers.values()], offer, rules)
        self._offers[offer.strategy.name] = offer
        await self._changed(who, "put strategy", offer.strategy.name, offer)

    async def drop_strategy(self, name: str, who: Who) -> None:
        checked_drop(name, await self.stored())
        del self._offers[name]
        await self._changed(who, "drop strategy", name, None)

    async def put_experiment(self, experiment: Experiment, who: Who) -> Experiment:
        checked_experiment(experiment, [*self._offers.values()])
        experiment = begun(self._experiments.get(experiment.name), experiment, datetime.now(UTC))
        self._experiments[experiment.name] = experiment
        await self._changed(who, "put experiment", experiment.name, experiment)
        return experiment

    async def drop_experiment(self, name: str, who: Who) -> None:
        if self._experiments.pop(name, None) is None:
            raise NotFound(f"There is no experiment {name!r}. Those there are: rec experiments list.", field="name")
        await self._changed(who, "drop experiment", name, None)

    async def _changed(self, who: Who, action: str, name: str, body: Offer | Experiment | None) -> None:
        self._strategies_revision += 1
        detail = {"why": who.why, **({"body": msgspec.to_builtins(body)} if body is not None else {})}
        await self.record(who.actor, action, name, detail)
