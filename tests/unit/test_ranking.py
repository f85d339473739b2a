"""The mix: scores between 0 and 1, louder evidence never ranks lower, and the order of candidates does not matter."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rec.candidates import SOURCES
from rec.ranking import HOME, Mix, rank

Features = npt.NDArray[np.float32]
tables = hnp.arrays(
    np.float32, st.tuples(st.integers(1, 30), st.just(len(SOURCES))), elements=st.floats(0, 5, width=16)
)


def only(**weights: float) -> Mix:
    return Mix(**{**dict.fromkeys(SOURCES, 0.0), **weights})


@settings(max_examples=60, deadline=None)
@given(tables)
def test_scores_lie_between_nought_and_one(features: Features) -> None:
    scores = rank(features, HOME).scores
    assert ((scores >= 0) & (scores <= 1)).all()


@settings(max_examples=60, deadline=None)
@given(tables, st.randoms(use_true_random=False))
def test_the_order_of_the_candidates_does_not_matter(features: Features, rng: object) -> None:
    order = np.arange(len(features))
    rng.shuffle(order)  # type: ignore[attr-defined]
    straight, shuffled = rank(features, HOME), rank(features[order], HOME)
    np.testing.assert_array_equal(straight.scores[order], shuffled.scores)
    np.testing.assert_array_equal(straight.said.argmax(axis=0)[order], shuffled.said.argmax(axis=0))


@settings(max_examples=60, deadline=None)
@given(tables)
def test_who_has_more_of_something_and_less_of_nothing_does_not_rank_lower(features: Features) -> None:
    scores = rank(features, HOME).scores
    for a in range(len(features)):
        above = (features >= features[a]).all(axis=1)
        assert (scores[above] >= scores[a] - 1e-6).all()


def test_a_source_without_weight_has_nothing_to_say() -> None:
    features = np.zeros((2, len(SOURCES)), np.float32)
    features[0, SOURCES.index("content")] = 1.0
    features[1, SOURCES.index("history")] = 0.1
    ranked = rank(features, only(history=1.0))
    assert ranked.scores.tolist() == [0.0, 1.0]
    assert SOURCES[ranked.said.argmax(axis=0)[1]] == "history"


def test_the_named_source_is_the_one_that_gave_the_most() -> None:
    features = np.zeros((2, len(SOURCES)), np.float32)
    features[0] = 0.2
    features[:, SOURCES.index("popular")] = [1.0, 0.5]
    features[1, SOURCES.index("knn")] = 0.9
    assert [SOURCES[column] for column in rank(features, only(popular=0.5, knn=0.5)).said.argmax(axis=0)] == [
        "popular",
        "knn",
    ]


def test_one_chance_meeting_does_not_speak_as_loudly_as_many() -> None:
    weak, strong = np.zeros((1, len(SOURCES)), np.float32), np.zeros((1, len(SOURCES)), np.float32)
    weak[0, SOURCES.index("knn")], strong[0, SOURCES.index("knn")] = 0.01, 0.4
    mix = only(knn=0.5, content=0.5)
    assert rank(weak, mix).scores[0] < 0.1 * rank(strong, mix).scores[0]


def test_no_candidates_give_no_scores() -> None:
    assert rank(np.zeros((0, len(SOURCES)), np.float32), HOME).scores.shape == (0,)


@pytest.mark.parametrize("kind", [-3.0, 0.0])
def test_what_speaks_against_an_item_never_raises_it(kind: float) -> None:
    features = np.zeros((2, len(SOURCES)), np.float32)
    features[:, SOURCES.index("content")] = 0.5
    features[0, SOURCES.index("interest")] = kind
    scores = rank(features, HOME).scores
    assert scores[0] <= scores[1]
