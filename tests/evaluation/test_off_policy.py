"""Off-policy estimates beside a world whose truth is known: right on average, honest intervals, refusals in words."""

from __future__ import annotations

import numpy as np
import pytest

from rec.errors import BadInput
from rec.evaluation.off_policy import OffPolicy, off_policy, reward_model
from rec.evaluation.policy_log import (
    PolicyLog,
    Shot,
    against_column,
    against_table,
    against_uniform,
    table_of,
)

ACTIONS, POSITIONS = 8, 3
CLICKS = np.linspace(0.05, 0.5, ACTIONS)[None] * np.array([1.0, 0.7, 0.5])[:, None]  # [positions, actions]
LOGGING = np.tile(np.linspace(1, 4, ACTIONS) / np.linspace(1, 4, ACTIONS).sum(), (POSITIONS, 1))
TARGET = np.tile(LOGGING[0, ::-1], (POSITIONS, 1))


def logged(seed: int, rows: int = 3_000, wrong: float = 1.0) -> PolicyLog:
    """What the logging policy would have logged; propensities are `wrong` times the true ones."""
    rng = np.random.default_rng(seed)
    position = rng.integers(0, POSITIONS, rows)
    action = rng.choice(ACTIONS, size=rows, p=LOGGING[0])
    reward = (rng.random(rows) < CLICKS[position, action]).astype(float)
    return PolicyLog(
        action,
        position,
        np.arange(rows),
        reward,
        LOGGING[position, action] * wrong,
        TARGET[position, action],
        TARGET,
    )


TRUTH = float((TARGET * CLICKS).sum(axis=1).mean())


def evaluated(log: PolicyLog, cap: float | None = None, draws: int = 300) -> OffPolicy:
    return off_policy(log, np.random.default_rng(0), cap=cap, draws=draws)


def test_the_estimates_are_those_of_the_textbook_loop() -> None:
    log = logged(1, 400)
    found = evaluated(log)
    predicted, expected = reward_model(log, np.random.default_rng(0))
    ips = snips_over = snips_under = dr = 0.0
    for at in range(400):
        weight = log.target[at] / log.propensity[at]
        ips += weight * log.reward[at] / 400
        snips_over, snips_under = snips_over + weight * log.reward[at], snips_under + weight
        dr += (expected[at] + weight * (log.reward[at] - predicted[at])) / 400
    assert found.ips.value == pytest.approx(ips)
    assert found.snips.value == pytest.approx(snips_over / snips_under)
    assert found.dr.value == pytest.approx(dr)


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    runs = [evaluated(logged(seed, 1_500), draws=200) for seed in range(60)]
    for name in ("ips", "snips", "dr"):
        estimates = [getattr(run, name) for run in runs]
        held = sum(one.low <= TRUTH <= one.high for one in estimates)
        assert held >= 52, name  # 95 % of 60 is 57; below 52 with a chance of 1 in 250
        assert np.mean([one.value for one in estimates]) == pytest.approx(TRUTH, abs=0.01)


def test_a_reward_model_makes_the_interval_narrower() -> None:
    found = evaluated(logged(3))
    assert found.dr.high - found.dr.low < found.ips.high - found.ips.low


def test_each_fold_is_predicted_from_the_others_alone() -> None:
    log = logged(4, 200)
    loud = log._replace(reward=np.where(np.arange(200) == 7, 1e6, log.reward))
    for log in (loud, loud._replace(policy=None)):
        predicted, _ = reward_model(log, np.random.default_rng(0))
        folds = np.random.default_rng(0).permutation(200) % 5
        mine = folds == folds[7]
        assert np.abs(predicted[mine]).max() < 10  # row 7 is not in what predicts it
        assert np.abs(predicted[~mine]).max() > 100


def test_with_the_targets_probability_of_the_logged_action_alone_dr_is_still_right() -> None:
    found = evaluated(logged(5, 4_000)._replace(policy=None))
    assert found.model == "position"
    assert found.dr.low <= TRUTH <= found.dr.high


def test_a_target_that_is_the_log_itself_earns_what_was_logged() -> None:
    log = logged(6)._replace(target=logged(6).propensity, policy=LOGGING)
    found = evaluated(log)
    assert found.ips == found.snips == found.logged
    assert found.ess == pytest.approx(found.rows)
    assert found.max_weight == 1
    assert found.conclusive
    assert found.verdict.startswith("No difference")


def test_a_large_sample_concludes_and_names_the_direction() -> None:
    found = evaluated(logged(7, 6_000))
    assert found.conclusive, found.verdict
    assert found.verdict.startswith("The target policy earns less")
    assert found.gain.high < 0


def test_a_small_sample_is_refused() -> None:
    found = evaluated(logged(8, 60))
    assert not found.conclusive
    assert found.verdict.startswith("No conclusion: ")


def test_a_row_that_carries_the_sample_is_refused_by_its_share() -> None:
    log = logged(9, 2_000)
    propensity = log.propensity.copy()
    propensity[0] = 1e-5
    found = evaluated(log._replace(propensity=propensity))
    assert "one row carries" in found.verdict


def test_propensities_that_are_not_those_of_the_log_are_noticed() -> None:
    assert "the weights average 1.99 instead of 1" in evaluated(logged(10, wrong=0.5)).verdict


def test_what_was_never_logged_cannot_be_concluded_on() -> None:
    log = logged(11)
    kept = log.action != 0  # TARGET likes action 0 best
    found = evaluated(picked(log, np.flatnonzero(kept))._replace(cluster=np.arange(int(kept.sum()))))
    assert found.unseen == pytest.approx(TARGET[0, 0])
    assert "never logged at their position" in found.verdict


def test_a_cap_is_named_and_one_that_takes_much_away_is_refused() -> None:
    gentle, hard = evaluated(logged(12), cap=3.5), evaluated(logged(12), cap=0.5)
    assert gentle.cap == 3.5
    assert gentle.conclusive
    assert "Weights are capped at 3.5" in gentle.verdict
    assert gentle.max_weight == evaluated(logged(12)).max_weight == pytest.approx(4.0)
    assert gentle.ess > evaluated(logged(12)).ess
    assert "the cap takes" in hard.verdict
    with pytest.raises(BadInput, match="above 0"):
        evaluated(logged(12), cap=0.0)


def test_rows_of_a_slate_are_drawn_together() -> None:
    """Ten rows that say the same are one piece of evidence."""
    log = logged(13, 300)
    tenfold = picked(log, np.repeat(np.arange(300), 10))
    alone, together = evaluated(tenfold._replace(cluster=np.arange(3_000))), evaluated(tenfold)
    width = together.snips.high - together.snips.low
    assert width > 2 * (alone.snips.high - alone.snips.low)
    assert width == pytest.approx(evaluated(log).snips.high - evaluated(log).snips.low, rel=0.15)


def test_rewards_may_be_amounts_of_either_sign() -> None:
    log = logged(14)
    found = evaluated(log._replace(reward=log.reward * 20 - 3))
    assert found.snips.value == pytest.approx(20 * evaluated(log).snips.value - 3)


def picked(log: PolicyLog, rows: np.ndarray) -> PolicyLog:
    return PolicyLog(
        log.action[rows], log.position[rows], log.cluster[rows], log.reward[rows], log.propensity[rows],
        log.target[rows], log.policy,
    )  # fmt: skip


def shot(action: str, position: str = "1", target: float | None = None) -> Shot:
    return Shot(action, 1.0, 0.5, position, target, None)


def test_the_uniform_policy_shows_all_of_the_log_equally_often() -> None:
    log = against_uniform([shot("a"), shot("b"), shot("b", "2"), shot("c", "2")])
    assert log.target.tolist() == pytest.approx([1 / 3] * 4)


def test_another_policys_log_says_how_often_it_shows_what() -> None:
    shares = table_of([shot("a"), shot("a"), shot("b"), shot("z", "2")])
    assert shares == {("1", "a"): 2 / 3, ("1", "b"): 1 / 3, ("2", "z"): 1.0}
    log = against_table([shot("a"), shot("c")], shares)
    assert log.target.tolist() == pytest.approx([2 / 3, 0.0])
    with pytest.raises(BadInput, match="nothing at position 3"):
        against_table([shot("a", "3")], shares)


def test_rows_without_the_targets_probability_need_a_named_target() -> None:
    assert against_column([shot("a", target=0.25)]).target.tolist() == [0.25]
    with pytest.raises(BadInput, match="1 of 2 rows have no target probability"):
        against_column([shot("a", target=0.25), shot("b")])


def test_no_rows_are_no_sample() -> None:
    with pytest.raises(BadInput, match="no rows"):
        off_policy(picked(logged(1, 10), np.zeros(0, int)), np.random.default_rng(0))
