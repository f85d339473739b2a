"""From logged rewards to one number a subject: whole windows only, and only lists of the arm's own strategy."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from rec.policy.experiments import Arm, Experiment, assigned
from rec.policy.results import Earned, tally

AB = Experiment(
    name="ab", arms=(Arm(name="a", strategy="s", share=0.5), Arm(name="b", strategy="t", share=0.5)), window_s=100.0
)


def someone(arm: str) -> str:
    return next(f"u{at}" for at in range(99) if (found := assigned(AB, f"u{at}", "home")) and found.name == arm)


A, B = someone("a"), someone("b")


def test_what_a_subject_earns_in_their_window_is_one_number() -> None:
    rows = [
        Earned(A, 10.0, 1.0),
        Earned(A, 60.0, 2.0),
        Earned(A, 110.0, 4.0),
        Earned(A, 111.0, 99.0),
        Earned(B, 0.0, 0.0),
    ]
    found = tally(AB, rows, 0.0, now=1_000.0)
    assert [one.subjects for one in found.earned] == [1, 1]
    assert found.earned[0].total == 7.0
    assert found.earned[0].squares == 49.0


def test_whoever_is_still_within_their_window_waits() -> None:
    found = tally(AB, [Earned(A, 10.0, 1.0), Earned(B, 80.0, 1.0)], 0.0, now=150.0)
    assert [one.subjects for one in found.earned] == [1, 0]
    assert found.waiting == 1


def test_what_happens_after_now_is_not_known_yet() -> None:
    assert tally(AB, [Earned(A, 500.0, 1.0)], 0.0, now=150.0).waiting == 0


def test_lists_of_another_strategy_are_no_exposure() -> None:
    found = tally(AB, [Earned(A, 0.0, 5.0, strategy="default"), Earned(A, 50.0, 1.0, strategy="s")], 0.0, now=1_000.0)
    assert found.earned[0].total == 1.0
    assert found.otherwise == 1


def test_order_does_not_matter_and_a_stopped_experiment_is_still_read() -> None:
    rng = Random(1)
    rows = [Earned(f"u{rng.randrange(50)}", rng.uniform(0, 300), rng.random()) for _ in range(400)]
    shuffled = rng.sample(rows, len(rows))
    stopped = msgspec.structs.replace(AB, running=False)
    one, other = tally(AB, rows, 0.0, now=350.0), tally(stopped, shuffled, 0.0, now=350.0)
    for mine, theirs in zip(one.earned, other.earned, strict=True):
        assert mine == pytest.approx(theirs)


def test_other_placements_than_the_experiments_are_left_out() -> None:
    cart = msgspec.structs.replace(AB, placements=("cart",))
    assert tally(cart, [Earned(A, 0.0, 1.0)], 0.0, now=1_000.0).earned[0].subjects == 0


def test_lists_of_before_the_arms_were_these_are_nobodys() -> None:
    """What people earned of one and the same strategy beforehand says nothing about the arms they would be in."""
    rows = [Earned(A, 10.0, 1.0), Earned(A, 60.0, 2.0), Earned(B, 49.9, 8.0), Earned(B, 50.0, 4.0)]
    found = tally(AB, rows, 50.0, now=1_000.0)
    assert [one.total for one in found.earned] == [2.0, 4.0]
    assert found.before == 2


def test_only_lists_that_the_experiment_decided_are_exposures_though_another_had_the_same_strategy() -> None:
    """Of two experiments that a subject is in the older one decides; with one strategy in both no name would tell."""
    rows = [
        Earned(A, 10.0, 1.0, strategy="s", decided=("older", "a")),
        Earned(A, 20.0, 2.0, strategy="s", decided=("", "")),
        Earned(B, 10.0, 8.0, strategy="t", decided=("ab", "b")),
        Earned(B, 20.0, 4.0, strategy="t", decided=("ab", "a")),  # of the visitor they were: another subject
    ]
    found = tally(AB, rows, 0.0, now=1_000.0)
    assert [(one.subjects, one.total) for one in found.earned] == [(0, 0.0), (1, 8.0)]
    assert found.exposed == (0, 1)
    assert found.otherwise == 3


def test_whoever_has_looked_is_exposed_though_their_window_is_not_over() -> None:
    found = tally(AB, [Earned(A, 10.0, 1.0), Earned(B, 80.0, 1.0)], 0.0, now=150.0)
    assert found.exposed == (1, 1)
    assert [one.subjects for one in found.earned] == [1, 0]


def test_a_list_that_was_made_before_the_arms_were_these_is_nobodys_whenever_it_is_looked_at() -> None:
    found = tally(AB, [Earned(A, 60.0, 2.0, made=40.0), Earned(A, 70.0, 1.0, made=55.0)], 50.0, now=1_000.0)
    assert found.earned[0].total == 1.0
    assert found.before == 1
