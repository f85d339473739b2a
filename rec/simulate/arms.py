"""mean rewards → **regret**. The strategy bandit where the best strategy changes half way.

Regret of a list: the best mean reward at that moment less the mean of what was chosen (the pseudo-regret of Garivier &
Moulines 2011); rewards are clicks, 0 or 1. Pure.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from rec.policy.bandit import Bandit, BanditRules, choose, rewarded

GROUP = ("all", "home")
NEVER_S = 1e12  # a half-life in which nothing is forgotten


class Setting(NamedTuple):
    """Mean rewards of each strategy in both halves, and how many lists there are, evenly over `seconds`."""

    before: tuple[float, ...] = (0.10, 0.06, 0.03)
    after: tuple[float, ...] = (0.03, 0.06, 0.10)
    lists: int = 20_000
    seconds: float = 20 * 86_400.0


def regrets(setting: Setting, rules: BanditRules, *, seed: int) -> dict[str, float]:
    """Rewards lost, in sum, by a bandit that forgets as `rules` say, by one that does not, and by a fair die."""
    names = [f"s{at}" for at in range(len(setting.before))]
    return {
        "forgetting": _regret(setting, rules, names, Random(f"{seed}/arms")),
        "keeping": _regret(setting, rules._replace(half_life_s=NEVER_S), names, Random(f"{seed}/arms")),
        "uniform": _regret(setting, rules._replace(floor=1 / len(names)), names, Random(f"{seed}/arms")),
    }


def _regret(setting: Setting, rules: BanditRules, names: list[str], rng: Random) -> float:
    bandit, lost = Bandit(), 0.0
    for at in range(setting.lists):
        now = setting.seconds * at / setting.lists
        means = setting.before if at < setting.lists // 2 else setting.after
        choice = choose(bandit, GROUP, names, now=now, rng=rng, rules=rules)
        mean = means[names.index(choice)]
        lost += max(means) - mean
        reward = float(rng.random() < mean)
        bandit = rewarded(bandit, GROUP, choice, reward, now=now, rules=rules)
    return lost
