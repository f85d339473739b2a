"""Replace, swap the tail, or wait: drawn as it is said, learned from rewards, forgotten with time."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from rec.errors import BadInput, ConfigError
from rec.feedback import FeedbackExample, Place
from rec.marks import Shown
from rec.policy.bandit import Bandit, BanditRules, chances, propensities, rewarded
from rec.policy.best import chance_of_best
from rec.policy.refresh import ACTIONS, FEATURES, Belief, Decision, context_of, decide, solve, taught
from rec.policy.refresh import propensities as of_actions
from rec.policy.rewards import Rewards
from rec.policy.strategy import Strategy, strategy_of
from rec.simulate.closed import Setting
from rec.simulate.watched import Thumb, Watched
from rec.state import Touch, UserState

RULES = BanditRules(half_life_s=1e6, floor=0.05, prior_reward=0.5, prior_sd=1.0)
CALM = (1.0, 0.1, 0.1, 0.0, 0.0, 0.0, 0.0)
WILD = (1.0, 0.9, 0.8, 1.0, 1.0, 0.0, 0.0)


@pytest.mark.parametrize(
    "beliefs", [[(0.1, 0.05), (0.12, 0.02), (0.05, 0.2)], [(0.0, 1.0), (3.0, 0.05)], [(1.0, 0.3)] * 5]
)
def test_the_chance_to_be_drawn_best_is_that_of_many_draws(beliefs: list[tuple[float, float]]) -> None:
    rng = np.random.default_rng(1)
    best = np.stack([rng.normal(mean, sd, 200_000) for mean, sd in beliefs]).argmax(axis=0)
    drawn = np.bincount(best, minlength=len(beliefs)) / 200_000
    assert chance_of_best(beliefs) == pytest.approx(drawn.tolist(), abs=0.004)


def test_the_chance_of_a_strategy_is_what_monte_carlo_says() -> None:
    bandit, group = Bandit(), ("new", "home")
    for at in range(60):
        bandit = rewarded(bandit, group, "ab"[at % 2], float(at % 3), now=at, rules=RULES)
    said = chances(bandit, group, ["a", "b", "c"], now=60.0, rules=RULES)
    drawn = propensities(bandit, group, ["a", "b", "c"], now=60.0, rng=Random(1), rules=RULES, draws=100_000)
    assert sum(said.values()) == pytest.approx(1.0)
    assert said == pytest.approx(drawn, abs=0.01)


def learned(count: int) -> dict[str, Belief]:
    """Where much would change the tail earns most, where little does replacing does."""
    rng, beliefs = Random(1), dict[str, Belief]()
    for at in range(count):
        context = rng.choice((CALM, WILD))
        action = rng.choice(ACTIONS)
        mean = {"replace": 1.0 - 0.8 * context[1], "tail": 0.5, "wait": 0.2}[action]
        decision = Decision(action, 1 / 3, context)
        beliefs = taught(beliefs, decision, float(rng.random() < mean), now=float(at), rules=RULES)
    return beliefs


def test_each_context_gets_the_action_that_earns_most_there_and_the_others_their_floor() -> None:
    solved = solve(learned(3_000), now=3_000.0, rules=RULES)
    calm, wild = (of_actions(solved, context, ACTIONS, rules=RULES) for context in (CALM, WILD))
    assert calm["replace"] > 0.85
    assert wild["tail"] > 0.85
    assert min(*calm.values(), *wild.values()) >= RULES.floor - 1e-9


def test_an_action_is_taken_as_often_as_its_propensity_says() -> None:
    solved = solve(learned(30), now=30.0, rules=RULES)
    said = of_actions(solved, WILD, ACTIONS, rules=RULES)
    rng, found = Random(2), dict.fromkeys(ACTIONS, 0)
    for _ in range(5_000):
        decision = decide(solved, WILD, ACTIONS, rng=rng, rules=RULES)
        assert decision.propensity == said[decision.action]
        found[decision.action] += 1
    assert {action: times / 5_000 for action, times in found.items()} == pytest.approx(said, abs=0.025)


def test_what_was_learned_long_ago_is_believed_no_more() -> None:
    beliefs = learned(1_000)
    later = solve(beliefs, now=1_000.0 + 60 * RULES.half_life_s, rules=RULES)
    assert later.weights == pytest.approx(solve({}, now=0.0, rules=RULES).weights, abs=1e-6)


def test_a_revised_reward_takes_the_place_of_what_was_counted() -> None:
    decision = Decision("tail", 0.3, WILD)
    once = taught({}, decision, 5.0, now=10.0, rules=RULES)
    revised = taught(
        taught({}, decision, 1.0, now=10.0, rules=RULES), decision, 5.0, now=10.0, rules=RULES, counted=1.0
    )
    assert revised == once
    with pytest.raises(BadInput, match="finite"):
        taught({}, decision, float("nan"), now=1.0, rules=RULES)
    with pytest.raises(BadInput, match=str(len(FEATURES))):
        taught({}, Decision("tail", 0.3, (1.0,)), 1.0, now=1.0, rules=RULES)


def example(slate_id: str, reward: float, decision: Decision | None, revision: int = 0) -> FeedbackExample:
    place = Place("a", 0.5, "knn", 1.0, "", True, reward, {})
    return FeedbackExample(slate_id, "u", revision, "home", "s", "m", 1.0, 2.0, (place,), decision=decision)


def test_a_list_that_stayed_and_the_one_after_it_earn_for_one_decision_in_whatever_order_they_come() -> None:
    stayed, after = Decision("wait", 0.3, WILD), Decision("wait", 0.3, WILD, root="s1")
    told = [example("s1", 1.0, stayed), example("s2", 3.0, after), example("s2", 5.0, after, 1)]
    found = []
    for order in ((0, 1, 2), (1, 0, 2), (2, 0, 1), (1, 2, 0)):
        rewards = Rewards(RULES)
        for at in order:
            rewards.learn(told[at])
        found.append(Rewards.from_bytes(rewards.to_bytes(), RULES).refreshing["wait"])
    assert {round(belief.lists, 9) for belief in found} == {1.0}
    assert {round(belief.squares, 6) for belief in found} == {36.0}
    assert {round(belief.moment[0], 6) for belief in found} == {6.0}


def test_the_context_says_what_would_change_and_whether_anybody_looks() -> None:
    shown, new = ["a", "b", "c", "d"], ["a", "x", "b", "y"]
    state = UserState(epoch="e", shown={"a": Shown(1, 95.0)}, history=(Touch(99.0, "z", "add_to_cart"),),
                      events_through=99.0)  # fmt: skip
    found = dict(zip(FEATURES, context_of(shown, new, 2, state, shown_at=90.0, now=100.0), strict=True))
    assert found["gone"] == 0.5  # `b` is not among the first two any more
    assert found["moved"] == pytest.approx((0 + 1) / (4 * 2))
    assert found["looking"] == pytest.approx(np.exp(-1 / 30))
    assert found["just_pushed"] == pytest.approx(np.exp(-1))
    assert (found["strong"], found["no_item"]) == (1.0, 0.0)


def test_what_would_mean_nothing_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match="fairness"):
        strategy_of({"fairness_carry": 1.0})
    with pytest.raises(BadInput, match="more than all exposure"):
        strategy_of({"fairness": 1, "fairness_shares": {"A": 0.7, "B": 0.7}})
    assert Strategy(refresh="learned").needs_feedback == "refresh"
    from rec.config import load_settings

    for fields in ({"refresh": "learned"}, {"fairness": 1, "fairness_carry": 1}):
        with pytest.raises(ConfigError, match="REC_FEEDBACK"):
            Strategy.from_settings(load_settings(strategy=fields))
        assert Strategy.from_settings(load_settings(strategy=fields, feedback=True)).needs_feedback


def test_who_watches_a_list_is_seeded_and_each_way_to_refresh_does_what_it_says() -> None:
    small = Setting(shoppers=20, events=80, items=400, past=300)
    for way in ("replace", "tail", "learned"):
        first, again = (Watched(small, way, seed=1, thumb=Thumb(moving=1.0)) for _ in range(2))
        assert first.run() == again.run()
        assert first.decided == again.decided
        assert (first.decided["tail"] > 0) == (way != "replace")
        assert (first.decided["wait"] > 0) == (way == "learned")
