"""The gate: it starts at weights that work, learns which column tells the truth, and says which source spoke."""

from __future__ import annotations

import numpy as np
import pytest

from rec.errors import ModelError
from rec.features import FEATURES, SPEAKS_FOR
from rec.gate import BUCKETS, PRIOR, Gate, GateLearner, bucket_of, weigh

M = 30


def table(rng: np.random.Generator, m: int = M) -> np.ndarray:
    return rng.random((m, len(FEATURES))).astype(np.float32)


def test_every_feature_has_a_weight_to_begin_with_and_a_source_it_speaks_for() -> None:
    assert tuple(PRIOR) == FEATURES == tuple(SPEAKS_FOR)


def test_it_learns_which_column_tells_the_truth() -> None:
    rng, learner = np.random.default_rng(1), GateLearner(rate=0.3)
    truth = FEATURES.index("knn")
    losses = []
    for _ in range(300):
        features = table(rng)
        losses.append(learner.learn(features, 5, [int(features[:, truth].argmax())]))
    assert np.mean(losses[-50:]) < 0.5 * losses[0]
    weights = np.array(learner.gate().weights)
    assert (weights[0] + weights[6]).argmax() == truth


def test_a_step_follows_the_gradient_of_the_softmax() -> None:
    """Against differences: a step of a tiny rate lowers the loss as much as the slope says."""
    rng = np.random.default_rng(2)
    features, target = table(rng), 4

    def loss(weights: np.ndarray) -> float:
        logits = (features @ weights).astype(np.float64)
        return float(np.log(np.exp(logits).sum()) - logits[target])

    start = np.array([PRIOR[name] for name in FEATURES])
    slope = np.array([(loss(start + 1e-4 * e) - loss(start - 1e-4 * e)) / 2e-4 for e in np.eye(len(start))])
    learner = GateLearner(rate=1e-6)
    assert learner.learn(features, 0, [target]) == pytest.approx(loss(start), rel=1e-5)
    moved = np.array(learner.gate().weights)[0] - start
    np.testing.assert_allclose(moved, -1e-6 * slope / np.sqrt(1e-2 + slope**2), rtol=1e-2, atol=1e-9)


def test_of_features_that_are_no_numbers_nothing_is_learned() -> None:
    learner, features = GateLearner(), table(np.random.default_rng(5))
    before = learner.state()
    features[3, 2] = np.nan
    learner.learn(features, 2, [4])
    features[3, 2] = np.inf
    learner.learn(features, 2, [4])
    assert all(np.array_equal(before[name], after) for name, after in learner.state().items())


def test_several_targets_pull_as_one_example() -> None:
    rng = np.random.default_rng(3)
    features = table(rng)
    one, twice = GateLearner(), GateLearner()
    one.learn(features, 2, [7])
    twice.learn(features, 2, [7, 7])
    np.testing.assert_allclose(one.gate().weights, twice.gate().weights)


def test_buckets_share_what_is_common_and_differ_in_the_rest() -> None:
    rng, learner = np.random.default_rng(4), GateLearner()
    a, b = FEATURES.index("own_rank"), FEATURES.index("popular")
    for _ in range(200):
        features = table(rng)
        learner.learn(features, 0, [int(features[:, b].argmax())])
        learner.learn(features, 5, [int(features[:, a].argmax())])
    gate = learner.gate()
    assert gate.row(0)[b] > gate.row(0)[a]
    assert gate.row(5)[a] > gate.row(5)[b]


def test_the_named_source_is_the_one_that_gave_the_most() -> None:
    features = np.zeros((2, len(FEATURES)), np.float32)
    features[0, FEATURES.index("rules")] = 5.0
    features[1, FEATURES.index("own_times")] = 5.0
    weighed = weigh(features, Gate.prior(), 0)
    assert [weighed.sources[at] for at in weighed.said.argmax(axis=0)] == ["rules", "history"]


def test_a_learner_goes_on_where_another_ended() -> None:
    rng = np.random.default_rng(5)
    first, second = GateLearner(), GateLearner()
    for _ in range(20):
        first.learn(table(rng), 1, [3])
    second.load(first.state())
    features = table(rng)
    first.learn(features, 1, [2])
    second.learn(features, 1, [2])
    assert first.gate() == second.gate()


def test_a_state_of_other_features_is_refused() -> None:
    with pytest.raises(ModelError, match="features|weights"):
        GateLearner().load({"weights": np.zeros((2, 2)), "squares": np.zeros((2, 2))})


def test_no_candidates_are_no_scores() -> None:
    assert weigh(np.zeros((0, len(FEATURES)), np.float32), Gate.prior(), 0).logits.shape == (0,)


@pytest.mark.parametrize(("known", "bucket"), [(0, 0), (1, 1), (9, 4), (10, 5), (200, 5)])
def test_a_bucket_is_found_for_any_history(known: int, bucket: int) -> None:
    assert bucket_of(known) == bucket < len(BUCKETS)
