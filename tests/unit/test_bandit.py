"""The bandit over strategies: it finds the best, keeps every strategy alive, and changes its mind."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.errors import BadInput
from rec.policy.bandit import (
    MAX_GROUPS,
    Arm,
    Bandit,
    BanditRules,
    believed,
    choose,
    fitting_floor,
    means,
    propensities,
    rewarded,
)
from rec.simulate.arms import Setting, regrets

HOME = ("new", "home")
RULES = BanditRules(half_life_s=100.0, floor=0.1)
DAY = 86_400.0


def taught(rewards: dict[str, tuple[float, float]], at: float = 0.0) -> Bandit:
    """strategy → (lists, reward)."""
    return Bandit({HOME: {name: Arm(lists, reward, reward, at) for name, (lists, reward) in rewards.items()}})


def shares(bandit: Bandit, now: float, count: int = 4_000, rules: BanditRules = RULES) -> dict[str, float]:
    rng = Random(5)
    chosen = [choose(bandit, HOME, ["a", "b"], now=now, rng=rng, rules=rules) for _ in range(count)]
    return {name: chosen.count(name) / count for name in ("a", "b")}


def test_the_better_strategy_gets_almost_all_and_the_worse_its_floor() -> None:
    found = shares(taught({"a": (1_000, 200), "b": (1_000, 100)}), 0.0)
    assert found["a"] == pytest.approx(0.9, abs=0.02)
    assert found["b"] == pytest.approx(0.1, abs=0.02)


def test_of_strategies_nobody_knows_each_gets_its_part() -> None:
    assert shares(Bandit(), 0.0)["a"] == pytest.approx(0.5, abs=0.03)


def test_what_was_learned_long_ago_is_believed_no_more() -> None:
    bandit = taught({"a": (1_000, 200), "b": (1_000, 100)})
    assert shares(bandit, 3_000.0)["a"] == pytest.approx(0.5, abs=0.03)


def test_groups_do_not_learn_from_each_other() -> None:
    bandit = taught({"a": (1_000, 200), "b": (1_000, 100)})
    assert (
        believed(bandit, ("new", "cart"), ["a"], now=0.0, rules=RULES)["a"]
        == believed(Bandit(), HOME, ["a"], now=0.0, rules=RULES)["a"]
    )
    assert means(bandit, HOME, now=0.0, rules=RULES)["a"] == pytest.approx((0.2, 1_000))


def test_a_reward_that_is_revised_takes_the_place_of_the_earlier_one() -> None:
    once = rewarded(Bandit(), HOME, "a", 5.0, now=0.0, rules=RULES)
    twice = rewarded(Bandit(), HOME, "a", 1.0, now=0.0, rules=RULES)
    assert rewarded(twice, HOME, "a", 5.0, now=0.0, rules=RULES, counted=1.0) == once


def test_the_belief_is_that_of_the_rewards_and_narrows_with_the_root_of_their_number() -> None:
    rng = Random(2)
    rewards = [rng.gauss(2.0, 3.0) for _ in range(4_000)]
    bandit = Bandit()
    for reward in rewards:
        bandit = rewarded(bandit, HOME, "a", reward, now=0.0, rules=RULES)
    mean, sd = believed(bandit, HOME, ["a"], now=0.0, rules=RULES)["a"]
    assert mean == pytest.approx(sum(rewards) / 4_000, abs=0.01)
    assert sd == pytest.approx(3.0 / 4_000**0.5, rel=0.05)


def test_large_rewards_of_a_few_lists_do_not_make_sure() -> None:
    """Ten purchases in a hundred lists beside 400 clicks in as many: the same mean, a wider belief."""
    dear = Bandit({HOME: {"a": Arm(100, 400, 16_000, 0.0), "b": Arm(100, 400, 1_600, 0.0)}})
    belief = believed(dear, HOME, ["a", "b"], now=0.0, rules=RULES)
    assert belief["a"][1] > 3 * belief["b"][1]


@given(st.lists(st.tuples(st.floats(0, 1_000), st.floats(-5, 5)), min_size=1, max_size=12), st.randoms())
def test_the_order_in_which_rewards_arrive_does_not_matter(rewards: list[tuple[float, float]], rng: Random) -> None:
    def belief(of: list[tuple[float, float]]) -> tuple[float, float]:
        bandit = Bandit()
        for at, reward in of:
            bandit = rewarded(bandit, HOME, "a", reward, now=at, rules=RULES)
        return believed(bandit, HOME, ["a"], now=1_000.0, rules=RULES)["a"]

    shuffled = list(rewards)
    rng.shuffle(shuffled)
    assert belief(shuffled) == pytest.approx(belief(rewards), abs=1e-6)


def test_the_propensities_are_how_often_each_is_chosen() -> None:
    bandit = taught({"a": (100, 14), "b": (100, 11)})
    found = propensities(bandit, HOME, ["a", "b"], now=0.0, rng=Random(1), rules=RULES, draws=20_000)
    assert sum(found.values()) == pytest.approx(1.0)
    assert found == pytest.approx(shares(bandit, 0.0, 20_000), abs=0.015)


def test_the_same_rng_chooses_the_same() -> None:
    picks = [choose(Bandit(), HOME, ["a", "b", "c"], now=0.0, rng=Random(7), rules=RULES) for _ in range(2)]
    assert picks[0] == picks[1]


@given(st.integers(1, 200), st.floats(0, 0.5))
def test_a_floor_that_fits_is_kept_and_one_that_does_not_is_the_largest_that_does(count: int, floor: float) -> None:
    fits = fitting_floor(count, floor)
    assert fits == floor or (fits < floor and fits * count == pytest.approx(1.0))
    assert fits * count <= 1 + 1e-12


def test_with_more_strategies_than_have_the_floor_each_gets_an_equal_part_and_a_list_is_made() -> None:
    names, rules, rng = list("abc"), BanditRules(floor=0.4), Random(3)
    bandit = taught({"a": (1_000, 500), "b": (1_000, 1)})
    chosen = [choose(bandit, HOME, names, now=0.0, rng=rng, rules=rules) for _ in range(3_000)]
    assert [chosen.count(name) / 3_000 for name in names] == pytest.approx([1 / 3] * 3, abs=0.03)
    found = propensities(bandit, HOME, names, now=0.0, rng=rng, rules=rules)
    assert list(found.values()) == pytest.approx([1 / 3] * 3)


def test_nothing_to_choose_from_and_rewards_that_are_none_are_refused() -> None:
    with pytest.raises(BadInput, match="no strategy"):
        choose(Bandit(), HOME, [], now=0.0, rng=Random(1), rules=RULES)
    for wrong in (float("nan"), float("inf")):
        with pytest.raises(BadInput, match="finite number"):
            rewarded(Bandit(), HOME, "a", wrong, now=0.0, rules=RULES)


def test_as_many_groups_are_kept_as_have_room() -> None:
    bandit = Bandit()
    for at in range(MAX_GROUPS + 3):
        bandit = rewarded(bandit, ("s", str(at)), "a", 1.0, now=float(at), rules=RULES)
    assert len(bandit.arms) == MAX_GROUPS
    assert ("s", "0") not in bandit.arms


def test_when_the_best_strategy_changes_half_way_forgetting_costs_less_than_not_forgetting_and_than_chance() -> None:
    """Three strategies, 6,000 lists in 12 days, and after six days the worst is the best."""
    setting = Setting(before=(0.10, 0.06, 0.03), after=(0.03, 0.06, 0.10), lists=6_000, seconds=12 * DAY)
    rules = BanditRules(half_life_s=DAY, floor=0.02, prior_reward=0.06)
    found = [regrets(setting, rules, seed=seed) for seed in range(3)]
    forgetting, keeping, uniform = (sum(one[name] for one in found) for name in ("forgetting", "keeping", "uniform"))
    assert forgetting < 0.75 * keeping
    assert forgetting < 0.6 * uniform
