"""Experiments: who is in which arm, and an interval that may be looked at all the time."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.errors import BadInput
from rec.policy.experiments import (
    Arm,
    Effect,
    Experiment,
    Moments,
    _holder,
    assigned,
    begun,
    boundary,
    effects,
    experiment_of,
    place,
)

USERS = [f"u{at}" for at in range(20_000)]


def split(*shares: float, name: str = "x", salt: str = "", placements: tuple[str, ...] = ()) -> Experiment:
    arms = tuple(Arm(name=f"a{at}", strategy=f"s{at}", share=share) for at, share in enumerate(shares))
    return Experiment(name=name, arms=arms, salt=salt, placements=placements)


def arms_of(experiment: Experiment) -> list[str | None]:
    found = [assigned(experiment, user, "home") for user in USERS]
    return [None if arm is None else arm.name for arm in found]


def test_shares_are_kept_and_whoever_is_left_over_is_in_no_arm() -> None:
    found = arms_of(split(0.5, 0.3))
    assert found.count("a0") / len(USERS) == pytest.approx(0.5, abs=0.015)
    assert found.count("a1") / len(USERS) == pytest.approx(0.3, abs=0.015)
    assert found.count(None) / len(USERS) == pytest.approx(0.2, abs=0.015)


def test_a_subject_stays_in_their_arm() -> None:
    assert arms_of(split(0.5, 0.5)) == arms_of(split(0.5, 0.5))
    assert 0 <= place("home-1", "u1") < 1


def test_another_salt_mixes_subjects_anew() -> None:
    first, second = arms_of(split(0.5, 0.5, salt="one")), arms_of(split(0.5, 0.5, salt="two"))
    assert sum(a == b for a, b in zip(first, second, strict=True)) / len(USERS) == pytest.approx(0.5, abs=0.015)


def test_a_share_that_grows_moves_only_those_it_takes() -> None:
    small, large = arms_of(split(0.5, 0.2)), arms_of(split(0.5, 0.4))
    assert all(a == b for a, b in zip(small, large, strict=True) if a is not None)


def kept(before: list[str | None], after: list[str | None], arm: str) -> bool:
    return all(now == arm for was, now in zip(before, after, strict=True) if was == arm)


def test_a_ramp_from_a_tenth_each_to_a_half_each_moves_nobody_who_is_in_an_arm() -> None:
    before, after = arms_of(split(0.1, 0.1)), arms_of(split(0.5, 0.5))
    assert kept(before, after, "a0")
    assert kept(before, after, "a1")
    assert None not in after


shares_of_two = st.tuples(st.floats(0.001, 1), st.floats(0.001, 1)).map(
    lambda pair: [share / max(1.0, sum(pair)) for share in pair]
)
shares_of_many = st.integers(2, 6).flatmap(
    lambda arms: st.tuples(*[st.lists(st.floats(0.001, 1 / arms), min_size=arms, max_size=arms)] * 2)
)


@given(st.one_of(st.tuples(shares_of_two, shares_of_two), shares_of_many))
def test_whatever_the_others_do_an_arm_that_does_not_shrink_keeps_its_subjects(
    shares: tuple[list[float], list[float]],
) -> None:
    points = [(at + 0.5) / 500 for at in range(500)]
    before, after = ([_holder(each, at) for at in points] for each in shares)
    for arm, (was, now) in enumerate(zip(*shares, strict=True)):
        if now >= was:
            assert all(held == arm for held, once in zip(after, before, strict=True) if once == arm)


@given(st.lists(st.floats(0.001, 1), min_size=2, max_size=20), st.floats(0.1, 1))
def test_each_arm_has_its_share_whatever_the_shares_are(parts: list[float], total: float) -> None:
    shares = [total * part / sum(parts) for part in parts]
    held = [_holder(shares, (at + 0.5) / 4_000) for at in range(4_000)]
    for arm, share in enumerate(shares):
        assert held.count(arm) / 4_000 == pytest.approx(share, abs=0.01)
    if total == 1:
        assert None not in held


def test_a_control_that_has_the_rest_gives_way_to_the_arms_that_grow() -> None:
    before, after = arms_of(split(0.8, 0.1, 0.1)), arms_of(split(0.4, 0.3, 0.3))
    assert kept(before, after, "a1")
    assert kept(before, after, "a2")


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        ({}, False),
        ({"alpha": 0.01, "window_s": 60.0, "horizon": 500}, False),
        ({"running": False}, False),
        ({"arms": split(0.2, 0.2).arms}, True),
        ({"salt": "pepper"}, True),
        ({"placements": ("cart",)}, True),
    ],
)
def test_an_experiment_begins_anew_where_others_are_compared_than_before(change: dict[str, Any], anew: bool) -> None:
    then, now = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    first = begun(None, split(0.5, 0.5), then)
    assert first.since == then
    assert begun(first, msgspec.structs.replace(split(0.5, 0.5), **change), now).since == (now if anew else then)


def test_an_experiment_that_runs_again_begins_anew_and_one_of_an_unknown_age_keeps_it_unknown() -> None:
    then, now = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    running, stopped = split(0.5, 0.5), msgspec.structs.replace(split(0.5, 0.5), running=False)
    assert begun(begun(None, stopped, then), running, now).since == now
    assert begun(begun(None, stopped, then), stopped, now).since == then
    assert begun(running, stopped, now).since is None


def test_an_experiment_that_is_over_or_about_another_placement_assigns_nobody() -> None:
    assert assigned(split(0.5, 0.5, placements=("cart",)), "u1", "home") is None
    assert assigned(split(0.5, 0.5, placements=("cart",)), "u1", "cart") is not None
    over = experiment_of({"name": "x", "running": False, "arms": [
        {"name": "a", "strategy": "s", "share": 0.5}, {"name": "b", "strategy": "t", "share": 0.5}]})  # fmt: skip
    assert assigned(over, "u1", "home") is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"arms": [{"name": "a", "strategy": "s", "share": 0.5}]}, "length >= 2"),
        ({"arms": [{"name": n, "strategy": "s", "share": 0.7} for n in "ab"]}, "sum to 1.4"),
        ({"arms": [{"name": "a", "strategy": "s", "share": 0.5}] * 2}, "there twice"),
        ({"alpha": 0.7}, "alpha"),
        ({"colour": "red"}, "colour"),
        ({"name": "a b"}, "name"),
    ],
)
def test_what_is_no_experiment_is_refused_by_its_field(change: dict[str, object], said: str) -> None:
    arms = [{"name": n, "strategy": "s", "share": 0.5} for n in "ab"]
    with pytest.raises(BadInput, match=said):
        experiment_of({"name": "x", "arms": arms, **change})


def moments(rewards: np.ndarray) -> Moments:
    return Moments(len(rewards), float(rewards.sum()), float((rewards**2).sum()))


def test_moments_are_those_of_numpy() -> None:
    rewards = np.random.default_rng(0).gamma(2.0, 1.0, 50)
    one_by_one = Moments()
    for reward in rewards:
        one_by_one = one_by_one.plus(float(reward))
    assert one_by_one == pytest.approx(moments(rewards))
    assert one_by_one.mean == pytest.approx(rewards.mean())
    assert one_by_one.variance == pytest.approx(rewards.var(ddof=1))


def watched(rng: np.random.Generator, rates: tuple[float, float], subjects: int) -> list[Effect]:
    """Looked at after every 20 subjects, from the first on."""
    experiment = split(0.5, 0.5)
    arm = rng.integers(0, 2, subjects)
    reward = (rng.random(subjects) < np.array(rates)[arm]).astype(float)
    looks = []
    for n in range(20, subjects + 1, 20):
        earned = [moments(reward[:n][arm[:n] == side]) for side in (0, 1)]
        looks.append(effects(experiment, earned)[0])
    return looks


def test_peeking_all_the_time_raises_a_false_alarm_no_more_often_than_alpha() -> None:
    """300 experiments without a difference, 150 looks each. A fixed-time interval would alarm in about half of them."""
    rng = np.random.default_rng(1)
    alarms = sum(any(look.conclusive for look in watched(rng, (0.15, 0.15), 3_000)) for _ in range(300))
    assert alarms <= 0.05 * 300


def test_a_difference_is_found_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(2)
    runs = [watched(rng, (0.10, 0.20), 3_000) for _ in range(20)]
    assert sum(run[-1].low > 0 for run in runs) >= 18
    assert sum(all(look.low <= 0.1 <= look.high for look in run) for run in runs) >= 18
    assert "earns more than a0" in runs[0][-1].verdict


def test_before_there_are_enough_nothing_is_said() -> None:
    early = watched(np.random.default_rng(3), (0.1, 0.9), 100)
    assert all(math.isinf(look.low) and look.verdict.startswith("too early") for look in early)


def test_several_arms_share_the_alpha() -> None:
    rewards = moments((np.random.default_rng(4).random(5_000) < 0.1).astype(float))
    two, three = effects(split(0.5, 0.5), [rewards] * 2)[0], effects(split(0.3, 0.3, 0.3), [rewards] * 3)[0]
    assert three.high > two.high > 0


def test_the_boundary_is_tightest_for_its_horizon_and_shrinks_to_nothing() -> None:
    for horizon in (500, 50_000):
        others = [boundary(horizon, 0.05, other) for other in (horizon // 10, horizon * 10)]
        assert boundary(horizon, 0.05, horizon) < min(others)
    assert boundary(10**9, 0.05, 1_000) < 1e-3
