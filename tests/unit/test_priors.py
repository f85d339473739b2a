"""What parts say of one another: intervals hold what they promise, however alike or unlike the parts are."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rec.priors import JEFFREYS, LEAST, STRONGEST, Others
from rec.rates import rate_of


def drawn(rng: random.Random, a: float, b: float, tries: int, parts: int) -> tuple[list[float], list[int]]:
    truths = [rng.betavariate(a, b) for _ in range(parts)]
    return truths, [sum(rng.random() < truth for _ in range(tries)) for truth in truths]


@pytest.mark.parametrize(
    ("a", "b", "parts", "tries"),
    [
        (2, 18, 60, 20),  # alike
        (0.4, 0.4, 60, 20),  # each at an end of its own
        (1, 4, 15, 5),  # hardly known
        (50, 450, 200, 50),  # more alike than the strongest prior says
        (1, 1, 4, 30),  # too few
        (3, 3, 2_000, 3),  # many, each hardly known
    ],
)
def test_the_intervals_of_parts_hold_the_true_rates_about_as_often_as_they_say(
    a: float, b: float, parts: int, tries: int
) -> None:
    rng, inside, count = random.Random(7), 0, 0
    for _ in range(max(1, 1_200 // parts)):
        truths, hits = drawn(rng, a, b, tries, parts)
        others = Others({str(at): (one, tries) for at, one in enumerate(hits)})
        for at in range(min(parts, 400)):
            rate = rate_of(hits[at], tries, others.prior(str(at)))
            inside += rate.low <= truths[at] <= rate.high
            count += 1
    assert 0.92 <= inside / count <= 1


def test_parts_that_are_alike_make_a_strong_prior_and_parts_that_differ_a_weak_one() -> None:
    alike = Others({str(at): (10, 100) for at in range(40)}).prior("new")
    unlike = Others({str(at): (100 * (at % 2), 100) for at in range(40)}).prior("new")
    assert sum(alike) == pytest.approx(STRONGEST)
    assert sum(unlike) < 2


def test_no_part_speaks_for_itself() -> None:
    """The one that has most of the looks is held against the others, not against its own rate."""
    counts = {str(at): (1.0, 100.0) for at in range(LEAST)} | {"large": (90_000.0, 100_000.0)}
    a, b = Others(counts).prior("large")
    assert a / (a + b) < 0.02


def test_below_ten_others_and_where_nothing_was_seen_the_prior_is_jeffreys() -> None:
    assert Others({}).prior("a") == JEFFREYS
    assert Others({str(at): (1, 10) for at in range(LEAST)}).prior("0") == JEFFREYS
    assert Others({str(at): (1, 10) for at in range(LEAST)}).prior("new") != JEFFREYS
    assert Others({str(at): (0, 0) for at in range(50)}).prior("new") == JEFFREYS


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1e6)), max_size=30))
def test_a_prior_is_never_stronger_than_what_the_others_have_seen(parts: list[tuple[float, float]]) -> None:
    counts = {str(at): (share * tries, tries) for at, (share, tries) in enumerate(parts)}
    for name in [*counts, "new"]:
        a, b = Others(counts).prior(name)
        rest = sum(tries for other, (_, tries) in counts.items() if other != name)
        assert a > 0
        assert b > 0
        assert a + b <= max(1.0, min(STRONGEST, rest) * (1 + 1e-6))
