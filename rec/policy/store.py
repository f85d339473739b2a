"""The port of stored strategies and experiments, a part of `rec.ports.Database`. Backends: rec.store."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rec.policy.bandit import DEFAULTS, BanditRules
from rec.policy.chosen import Offer, Stored
from rec.policy.experiments import Experiment


class Who(NamedTuple):
    """Who changes something, and why: both go into the audit trail with the change."""

    actor: str
    why: str


class Strategies(Protocol):
    """Strategies and experiments by name. Rules: rec.policy.chosen. A change and its audit entry are one."""

    async def stored(self) -> Stored:
        """All of them, in the order in which each was first put."""

    async def strategies_revision(self) -> int:
        """Grows with every change: what a worker asks for every second."""

    async def put_strategy(self, offer: Offer, who: Who, rules: BanditRules = DEFAULTS) -> None:
        """Insert, or replace the one of this name. BadInput for more than can be kept or given traffic."""

    async def drop_strategy(self, name: str, who: Who) -> None:
        """NotFound; BadInput for one that an experiment names."""

    async def put_experiment(self, experiment: Experiment, who: Who) -> Experiment:
        """Insert, or replace the one of this name; as it is stored. BadInput for an arm whose strategy is not there."""

    async def drop_experiment(self, name: str, who: Who) -> None:
        """NotFound."""
