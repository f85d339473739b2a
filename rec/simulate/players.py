"""state → list → reward. **Who makes the lists** in a simulation: the same code and world, another way to choose.

greedy           `rec.recommend` with a strategy that leaves nothing to chance
epsilon_greedy   the same list, but each place is a random item with probability 0.1      Sutton & Barto 2018, §2.2
adaptive         `rec.recommend` with one of several strategies, chosen by the bandit that forgets (rec.policy.bandit)
random           any items that may be listed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple, Protocol

from rec.policy.bandit import Bandit, BanditRules, choose, rewarded
from rec.policy.chosen import segment_of
from rec.policy.filters import eligible, forbidden
from rec.policy.strategy import Strategy
from rec.recommend import Ask, World, recommend

EPSILON = 0.1
# What the bandit chooses among: as it is, quicker to follow, and with some of it left to chance.
ARMS = (
    Strategy(name="default"),
    Strategy(name="follow", mix={"interest": 0.6, "knn_last": 0.2, "rules_last": 0.2}, category_share=0.8),
    Strategy(name="explore", temperature=0.3),
)
RULES = BanditRules(half_life_s=86_400.0, floor=0.05, prior_reward=0.5, prior_sd=1.0)


class Listed(NamedTuple):
    """A list, and who is to hear what it earned."""

    item_ids: list[str]
    strategy: str


class Player(Protocol):
    """Makes lists, and hears what they earned."""

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed: ...

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None: ...


class Greedy:
    """One strategy for everybody."""

    def __init__(self, strategy: Strategy = ARMS[0]) -> None:
        self._strategy = strategy

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        slate = recommend(ask._replace(strategy=self._strategy), world, now=now, rng=rng)
        return Listed([item.item_id for item in slate.items], slate.strategy)

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None:
        """Nothing is learned from it."""


class RandomPlayer:
    """What may be listed, in any order."""

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        return Listed(_any(ask, world, now, rng, ask.n, set()), "random")

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None:
        """Nothing is learned from it."""


class EpsilonGreedy(Greedy):
    """The greedy list with some places given to any item."""

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        listed = super().listed(ask, world, now=now, rng=rng)
        places = [at for at in range(len(listed.item_ids)) if rng.random() < EPSILON]
        for at, item_id in zip(places, _any(ask, world, now, rng, len(places), set(listed.item_ids)), strict=False):
            listed.item_ids[at] = item_id
        return listed


class Adaptive:
    """One of the ARMS, by segment and placement."""

    def __init__(self, arms: Sequence[Strategy] = ARMS, rules: BanditRules = RULES) -> None:
        self._arms: Mapping[str, Strategy] = {arm.name: arm for arm in arms}
        self._rules = rules
        self.bandit = Bandit()

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        group = (segment_of(ask.state), ask.placement)
        choice = choose(self.bandit, group, list(self._arms), now=now, rng=rng, rules=self._rules)
        return Greedy(self._arms[choice]).listed(ask, world, now=now, rng=rng)

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None:
        group = (segment_of(ask.state), ask.placement)
        self.bandit = rewarded(self.bandit, group, strategy, reward, now=now, rules=self._rules)


def _any(ask: Ask, world: World, now: float, rng: Random, count: int, but: set[str]) -> list[str]:
    view = world.catalog.view()
    excluded = but | (forbidden(ask.state, now, world.lists) if ask.state is not None else set())
    rows = eligible(view, excluded).nonzero()[0].tolist()
    return [view.items[row].item_id for row in rng.sample(rows, min(count, len(rows)))]


PLAYERS: Mapping[str, Callable[[], Player]] = {
    "adaptive": Adaptive,
    "greedy": Greedy,
    "epsilon_greedy": EpsilonGreedy,
    "random": RandomPlayer,
}
