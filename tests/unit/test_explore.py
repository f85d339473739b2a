"""Plackett-Luce: who is drawn how often, and that the propensities say so."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from rec.policy.dice import Dice
from rec.policy.explore import draw, inclusion

DRAWS = 100_000
MARKS = np.arange(1_000, dtype=np.uint64)


def thrown(seed: int, m: int) -> Callable[[], np.ndarray]:
    return partial(Dice(seed).uniform, MARKS[:m])


def drawn(scaled: np.ndarray, k: int, rng: np.random.Generator, times: int = DRAWS) -> np.ndarray:
    """How often each was among the first k of so many draws, one place after the other as the model is defined."""
    noisy = scaled + rng.gumbel(size=(times, len(scaled)))
    first = np.argpartition(-noisy, k - 1, axis=1)[:, :k]
    return np.bincount(first.ravel(), minlength=len(scaled)) / times


@pytest.mark.parametrize("seed", range(20))
def test_the_logged_probabilities_are_the_frequencies(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, spread = int(rng.integers(3, 30)), rng.choice([0.2, 1.0, 3.0, 10.0])
    k = int(rng.integers(1, m))
    scaled = rng.normal(size=m) * spread
    logged = inclusion(scaled, k)
    error = 5 * np.sqrt(logged * (1 - logged) / DRAWS) + 5e-4
    assert (np.abs(drawn(scaled, k, rng) - logged) < error).all()
    assert logged.sum() == pytest.approx(k, abs=1e-3)


@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-9, 0.3, 10.0])
@pytest.mark.parametrize(
    "logits",
    [[3e38, -3e38, 0.0, 1.0], [np.nan, 1.0, 2.0, 3.0], [np.inf, np.inf, -np.inf, 0.0], [np.nan] * 4, [1e30] * 4],
)
def test_whatever_the_numbers_are_a_draw_has_propensities(logits: list[float], temperature: float) -> None:
    found = draw(np.array(logits, np.float32), 2, temperature, thrown(1, 4))
    assert len(set(found.order.tolist())) == 2
    assert np.isfinite(found.propensities).all()
    assert ((found.propensities >= 0) & (found.propensities <= 1)).all()


def test_of_one_place_the_probabilities_are_the_softmax() -> None:
    scaled = np.array([2.0, 0.5, -1.0, 0.0])
    share = np.exp(scaled) / np.exp(scaled).sum()
    assert inclusion(scaled, 1) == pytest.approx(share, abs=1e-4)


def test_of_three_the_probability_of_two_is_what_is_counted_by_hand() -> None:
    w = np.array([3.0, 2.0, 1.0])
    out = [  # not among the first two: the other two came first, in either order
        (w[b] / 6) * (w[c] / (6 - w[b])) + (w[c] / 6) * (w[b] / (6 - w[c])) for b, c in ((1, 2), (0, 2), (0, 1))
    ]
    assert inclusion(np.log(w), 2) == pytest.approx(1 - np.array(out), abs=1e-4)


def test_equals_are_equally_likely_and_a_shift_changes_nothing() -> None:
    assert inclusion(np.zeros(40), 20) == pytest.approx(np.full(40, 0.5), abs=1e-3)
    scaled = np.random.default_rng(1).normal(size=30)
    assert inclusion(scaled + 1_000, 7) == pytest.approx(inclusion(scaled, 7), abs=1e-9)


@pytest.mark.parametrize("spread", [1e-6, 1e3, 1e6])
def test_extremes_are_still_probabilities(spread: float) -> None:
    chances = inclusion(np.linspace(1, 0, 25) * spread, 10)
    assert np.isfinite(chances).all()
    assert ((chances >= 0) & (chances <= 1)).all()
    assert chances.sum() == pytest.approx(10, abs=0.01)
    assert (np.diff(chances) <= 1e-4).all(), "who has more is not less likely"


def test_temperature_nought_is_greedy_and_certain() -> None:
    order, chances = draw(np.array([0.1, 0.9, 0.5], np.float32), 2, 0.0, thrown(1, 3))
    assert order.tolist() == [1, 2]
    assert chances.tolist() == [1.0, 1.0]


def test_a_draw_is_the_seeds() -> None:
    logits = np.random.default_rng(2).normal(size=40).astype(np.float32)
    one, same, other = (draw(logits, 20, 0.5, thrown(seed, 40)) for seed in (7, 7, 8))
    assert one.order.tolist() == same.order.tolist() != other.order.tolist()
    assert one.propensities.tolist() == same.propensities.tolist()


def test_the_draw_draws_what_its_propensities_say() -> None:
    logits, times = np.array([1.0, 0.8, 0.3, 0.0, -0.5], np.float32), 4_000
    counts, logged = np.zeros(5), np.zeros(5)
    for seed in range(times):
        order, chances = draw(logits, 2, 0.5, thrown(seed, 5))
        counts[order] += 1
        logged[order] = chances
    assert counts / times == pytest.approx(logged, abs=0.03)


def test_whoever_is_few_is_there_for_certain() -> None:
    assert draw(np.array([1.0, 2.0], np.float32), 5, 1.0, thrown(1, 2)).propensities.tolist() == [1.0, 1.0]
    assert draw(np.zeros(0, np.float32), 5, 1.0, thrown(1, 0)).order.tolist() == []


def test_the_noise_is_even_independent_from_row_to_row_and_from_seed_to_seed() -> None:
    thrown_ = np.array([Dice(seed).uniform(MARKS) for seed in range(200)])
    assert ((thrown_ > 0) & (thrown_ <= 1)).all()
    counts, _ = np.histogram(thrown_, bins=50, range=(0, 1))
    expected = thrown_.size / 50
    assert ((counts - expected) ** 2 / expected).sum() < 100  # chi-square, 49 degrees of freedom: p about 2e-5
    assert max(abs(np.corrcoef(one, other)[0, 1]) for one, other in pairwise(thrown_)) < 0.15
    assert abs(np.corrcoef(Dice(5).uniform(MARKS), Dice(5).uniform(MARKS, 1))[0, 1]) < 0.15


def test_a_shoppers_dice_stay_for_as_long_as_the_strategy_says_and_are_thrown_anew_without() -> None:
    rng = random.Random(1)
    assert Dice.thrown(rng, "mia", 1_800, 3_600.0) == Dice.thrown(rng, "mia", 1_800, 5_399.0)
    assert Dice.thrown(rng, "mia", 1_800, 3_600.0) != Dice.thrown(rng, "mia", 1_800, 5_400.0)
    assert Dice.thrown(rng, "mia", 1_800, 3_600.0) != Dice.thrown(rng, "ben", 1_800, 3_600.0)
    assert Dice.thrown(rng, "mia", 0, 3_600.0) != Dice.thrown(rng, "mia", 0, 3_600.0)
