"""state → list → reward. **Who makes the lists** in a simulation: the same code and world, another way to choose.

greedy           `rec.recommend` with a strategy that leaves nothing to chance
epsilon_greedy   the same list, but each place is a random item with probability 0.1      Sutton & Barto 2018, §2.2
adaptive         `rec.recommend` as an installation with feedback has it: who chooses the strategy (rec.policy.chosen)
                 has nothing stored, so each list is made by its own one, which draws (rec.policy.strategy)
bandit           the same with several strategies stored, which the bandit that forgets chooses from (rec.policy.bandit)
fair             greedy, with exposure by brand in proportion to merit over all lists (rec.policy.exposure)
fair_list        the same within each list alone
random           any items that may be listed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple, Protocol

import msgspec

from rec.noted import noted_many
from rec.policy.bandit import Bandit, BanditRules, rewarded
from rec.policy.chosen import NOTHING, Offer, Stored, segment_of, strategy_for
from rec.policy.filters import eligible, forbidden
from rec.policy.note import Note
from rec.policy.strategy import Strategy, own_strategy
from rec.recommend import Ask, World
from rec.slates import Slate

EPSILON = 0.1
# What the bandit chooses among: as it is, quicker to follow, and with some of it left to chance.
ARMS = (
    Strategy(name="default"),
    Strategy(name="follow", mix={"interest": 0.6, "knn_last": 0.2, "rules_last": 0.2}, category_share=0.8),
    Strategy(name="explore", temperature=0.3),
)
FAIR = Strategy(name="fair", fairness=0.3, fairness_carry=2.0)
RULES = BanditRules(half_life_s=86_400.0, floor=0.05, prior_reward=0.5, prior_sd=1.0)


class Listed(NamedTuple):
    """A list, and who is to hear what it earned. `slate`: the same with propensities, where they are known."""

    item_ids: list[str]
    strategy: str
    slate: Slate | None = None
    note: Note | None = None


class Player(Protocol):
    """Makes lists, and hears what they earned."""

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed: ...

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None: ...


class Greedy:
    """One strategy for everybody."""

    def __init__(self, strategy: Strategy = ARMS[0]) -> None:
        self._strategy = strategy

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        slate, note, _ = noted_many([ask._replace(strategy=self._strategy)], world, now=now, rng=rng)[0]
        return Listed([item.item_id for item in slate.items], slate.strategy, slate, note)

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
        return listed._replace(slate=None)


class Adaptive:
    """What a worker does (agents.strategies): the strategy that is chosen for the list, else the installation's own."""

    def __init__(self, stored: Stored = NOTHING, rules: BanditRules = RULES) -> None:
        self._stored, self._rules, self._own = stored, rules, own_strategy(feedback=True)
        self.bandit = Bandit()

    def listed(self, ask: Ask, world: World, *, now: float, rng: Random) -> Listed:
        found = strategy_for(
            self._stored, self.bandit, ask.user_id, ask.placement, ask.state, now=now, rng=rng, rules=self._rules
        )
        return Greedy(found.strategy if found is not None else self._own).listed(ask, world, now=now, rng=rng)

    def earned(self, ask: Ask, strategy: str, reward: float, *, now: float) -> None:
        group = (segment_of(ask.state), ask.placement)
        self.bandit = rewarded(self.bandit, group, strategy, reward, now=now, rules=self._rules)


def offering(arms: Sequence[Strategy]) -> Stored:
    """These strategies, stored and offered to the bandit."""
    return Stored(1, tuple(Offer(arm, bandit=True) for arm in arms))


def _any(ask: Ask, world: World, now: float, rng: Random, count: int, but: set[str]) -> list[str]:
    view = world.catalog.view()
    excluded = but | (forbidden(ask.state, now, world.lists) if ask.state is not None else set())
    rows = eligible(view, excluded).nonzero()[0].tolist()
    return [view.items[row].item_id for row in rng.sample(rows, min(count, len(rows)))]


PLAYERS: Mapping[str, Callable[[], Player]] = {
    "adaptive": Adaptive,
    "bandit": lambda: Adaptive(offering(ARMS)),
    "greedy": Greedy,
    "epsilon_greedy": EpsilonGreedy,
    "random": RandomPlayer,
    "fair": lambda: Greedy(FAIR),
    "fair_list": lambda: Greedy(msgspec.structs.replace(FAIR, name="fair_list", fairness_carry=0.0)),
}
