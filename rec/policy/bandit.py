"""rewards by strategy → **the strategy of a list**. Thompson sampling that forgets, for each segment and placement.

    belief     normal over the mean reward of a list, by the discounted count, sum and sum of squares
    forgetting every count is multiplied by 0.5 ** (dt / half-life)          Raj & Kalyani 2017, "Taming non-stationary
               bandits: a Bayesian approach"; Garivier & Moulines 2011 for the discount
    choice     the best of one draw a strategy (Thompson 1933), or, with probability `floor` for each, that strategy
    propensity of a choice: floor + (1 - strategies * floor) * P(best draw), from the same belief

Rewards are amounts of either sign, as the feedback join gives them; their spread is learned like their mean.

Pure: `now` and `rng` are arguments, a `Bandit` is a value. Invariants: no strategy gets less than its floor of traffic;
what is not heard of for long is believed to be like the prior again; the order of rewards does not matter but for time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from rec.errors import BadInput
from rec.policy.best import chance_of_best

if TYPE_CHECKING:
    from rec.config import Settings

MAX_GROUPS = 2_000  # segments × placements that are kept, the most recently heard of


class BanditRules(NamedTuple):
    """How it chooses. Times in seconds."""

    half_life_s: float = 2 * 86_400.0  # after that long a reward counts half
    floor: float = 0.05  # share of the lists that each strategy gets, whatever is believed of it
    prior_lists: float = 10.0  # how many lists the prior is worth,
    prior_reward: float = 0.1  # what they are taken to have earned each,
    prior_sd: float = 0.3  # and how much that differs from list to list

    @classmethod
    def from_settings(cls, settings: Settings) -> BanditRules:
        """As the installation has them."""
        return cls(half_life_s=settings.bandit_half_life_s, floor=settings.bandit_floor)


DEFAULTS = BanditRules()


class Arm(NamedTuple):
    """What one strategy has earned in one group: the sums decayed to `at` (seconds since 1970)."""

    lists: float
    reward: float
    squares: float  # of the lists' rewards
    at: float

    def as_of(self, now: float, half_life_s: float) -> Arm:
        """Decayed to `now`; the past decays to nothing, the future not at all."""
        kept = 0.5 ** (max(0.0, now - self.at) / half_life_s)
        return Arm(self.lists * kept, self.reward * kept, self.squares * kept, max(now, self.at))


class Bandit(msgspec.Struct, frozen=True):
    """All that is believed: group → strategy → arm. A group is a segment and a placement."""

    arms: dict[tuple[str, str], dict[str, Arm]] = {}


def rewarded(
    bandit: Bandit,
    group: tuple[str, str],
    strategy: str,
    reward: float,
    *,
    now: float,
    rules: BanditRules,
    counted: float | None = None,
) -> Bandit:
    """The bandit after a list of a strategy, looked at at `now`, earned `reward`.

    `counted`: what was counted for the same list before, where its reward has been revised. Raises BadInput for a
    reward that is no number.
    """
    if not math.isfinite(reward) or not math.isfinite(counted or 0.0):
        raise BadInput(f"A reward of {reward:g} is none. Give a finite number.", field="reward")
    mine = bandit.arms.get(group, {})
    arm = mine.get(strategy, Arm(0.0, 0.0, 0.0, now))
    late = 0.5 ** (max(0.0, arm.at - now) / rules.half_life_s)  # decay commutes with addition
    old = arm.as_of(now, rules.half_life_s)
    earned, squared = (reward, reward**2) if counted is None else (reward - counted, reward**2 - counted**2)
    changed = Arm(
        old.lists + late * (counted is None), old.reward + earned * late, old.squares + squared * late, old.at
    )
    groups = {**bandit.arms, group: {**mine, strategy: changed}}
    if len(groups) > MAX_GROUPS:
        groups = dict(sorted(groups.items(), key=lambda pair: max(arm.at for arm in pair[1].values()))[-MAX_GROUPS:])
    return Bandit(groups)


def choose(
    bandit: Bandit, group: tuple[str, str], strategies: Sequence[str], *, now: float, rng: Random, rules: BanditRules
) -> str:
    """One of the strategies for a list of this group. Raises BadInput without any."""
    floor = fitting_floor(len(_some(strategies)), rules.floor)
    if rng.random() < floor * len(strategies):
        return rng.choice(strategies)
    belief = believed(bandit, group, strategies, now=now, rules=rules)
    drawn = {name: rng.gauss(mean, sd) for name, (mean, sd) in belief.items()}
    return max(drawn, key=drawn.__getitem__)


def propensities(
    bandit: Bandit,
    group: tuple[str, str],
    strategies: Sequence[str],
    *,
    now: float,
    rng: Random,
    rules: BanditRules,
    draws: int = 2_000,
) -> dict[str, float]:
    """How probable each strategy is to be chosen, estimated from `draws` draws of the belief; they sum to 1."""
    floor = fitting_floor(len(_some(strategies)), rules.floor)
    belief = believed(bandit, group, strategies, now=now, rules=rules)
    many = np.random.default_rng(rng.getrandbits(64))
    drawn = np.stack([many.normal(mean, sd, draws) for mean, sd in belief.values()])
    best = np.bincount(drawn.argmax(axis=0), minlength=len(strategies)) / draws
    free = max(0.0, 1 - floor * len(strategies))
    return {name: floor + free * float(share) for name, share in zip(strategies, best, strict=True)}


def chances(
    bandit: Bandit, group: tuple[str, str], strategies: Sequence[str], *, now: float, rules: BanditRules
) -> dict[str, float]:
    """The same without chance, for every list: by the integral of `rec.policy.best`, within 0.002 of the truth."""
    floor = fitting_floor(len(_some(strategies)), rules.floor)
    best = chance_of_best(list(believed(bandit, group, strategies, now=now, rules=rules).values()))
    free = max(0.0, 1 - floor * len(strategies))
    return {name: floor + free * share for name, share in zip(strategies, best, strict=True)}


def believed(
    bandit: Bandit, group: tuple[str, str], strategies: Sequence[str], *, now: float, rules: BanditRules
) -> dict[str, tuple[float, float]]:
    """(mean, standard deviation) of the belief over each strategy's mean reward a list."""
    mine = bandit.arms.get(group, {})
    nothing = Arm(0.0, 0.0, 0.0, now)
    found = {}
    for name in strategies:
        arm = mine.get(name, nothing).as_of(now, rules.half_life_s)
        lists = rules.prior_lists + arm.lists
        mean = (rules.prior_lists * rules.prior_reward + arm.reward) / lists
        squares = rules.prior_lists * (rules.prior_sd**2 + rules.prior_reward**2) + arm.squares
        found[name] = (mean, math.sqrt(max(0.0, squares / lists - mean**2) / lists))
    return found


def means(
    bandit: Bandit, group: tuple[str, str], *, now: float, rules: BanditRules
) -> Mapping[str, tuple[float, float]]:
    """For people: (mean reward a list, lists it rests on), by strategy, as of `now`."""
    found = {}
    for name, arm in bandit.arms.get(group, {}).items():
        known = arm.as_of(now, rules.half_life_s)
        found[name] = (known.reward / known.lists if known.lists else 0.0, known.lists)
    return found


def fitting_floor(strategies: int, floor: float) -> float:
    """The floor, or the largest that so many strategies can have: a list is always made by one of them.

    >>> fitting_floor(2, 0.4), fitting_floor(4, 0.4)
    (0.4, 0.25)
    """
    return min(floor, 1 / max(1, strategies))


def _some(strategies: Sequence[str]) -> Sequence[str]:
    if not strategies:
        raise BadInput("There is no strategy to choose from. Name at least one.", field="strategies")
    return strategies
