"""topic `feedback` → **rewards** → `Strategies.bandit`. What each strategy earned, as every worker believes it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from random import Random

from agents.metrics import Metrics
from agents.outcomes import Outcomes, last_or_new
from agents.refreshing import Refreshing
from agents.strategies import Strategies
from rec.config import Settings
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.ports import Database, Exchange, Log
from rec.topics import FEEDBACK

SHOW_S = 5.0


class Rewarding(Outcomes[Rewards]):
    """Gives `strategies` the belief of now, and shows it in the metrics."""

    def __init__(
        self,
        rewards: Rewards,
        *,
        strategies: Strategies,
        path: Path,
        source: Log,
        topic: str,
        snapshot_s: float,
        metrics: Metrics,
        refreshing: Refreshing | None = None,
    ) -> None:
        super().__init__(rewards, path=path, source=source, topic=topic, snapshot_s=snapshot_s)
        self._strategies, self._metrics = strategies, metrics
        self.refreshing = refreshing or Refreshing(rewards.rules, hears=False)
        self.learned()

    def learned(self) -> None:
        self._strategies.bandit = self.pupil.bandit
        self.refreshing.learned(self.pupil.refreshing)

    def show(self, now: float) -> None:
        """What each strategy has earned a list, as of `now`, and on how many lists that rests."""
        for strategy, (reward, lists) in self.pupil.by_strategy(now).items():
            self._metrics.strategy_reward.labels(strategy=strategy).set(reward)
            self._metrics.strategy_lists.labels(strategy=strategy).set(lists)

    async def show_for_ever(self) -> None:
        """Every `SHOW_S`: what is not heard of decays all the same."""
        while True:
            self.show(time.time())
            await asyncio.sleep(SHOW_S)


def choosing(
    settings: Settings, to: Log, exchange: Exchange, database: Database, metrics: Metrics
) -> tuple[Strategies, Rewarding]:
    """What chooses the strategy of each list, and what it learns from. Reads the snapshot: not on the event loop."""
    rules, path = BanditRules.from_settings(settings), settings.rewards_path
    strategies = Strategies(database=database, exchange=exchange, rules=rules, rng=Random())
    rewarding = Rewarding(
        load_rewards(path, rules),
        strategies=strategies,
        path=path,
        source=to,
        topic=settings.topic(FEEDBACK),
        snapshot_s=settings.counters_snapshot_s,
        metrics=metrics,
        refreshing=Refreshing(rules, hears=settings.feedback),
    )
    return strategies, rewarding


def load_rewards(path: Path, rules: BanditRules) -> Rewards:
    """The belief of the last snapshot, or a new one."""
    return last_or_new(path, lambda raw: Rewards.from_bytes(raw, rules), lambda: Rewards(rules), "rewards")
