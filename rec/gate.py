"""features → **gate** → ranking. One linear softmax over the candidates: the wide part of the model.

    score = (weights[everyone] + weights[bucket]) · features          bucket: how much is known of the shopper
    P(item) = softmax over the candidates                              McFadden 1974, conditional logit
    learning: AdaGrad (Duchi et al. 2011) on -log P(what was acted on), one example at a time, full softmax

Its columns are what the counters say, so it can always fall back on the best of them; it starts from weights that do
(`PRIOR`) and moves from there. Pure: `Gate` is a value, `GateLearner` holds sums and touches nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np

from rec.catalog import Floats
from rec.errors import ModelError
from rec.features import FEATURES, SPEAKS_FOR

BUCKETS = (0, 1, 2, 3, 5, 10)  # at least this many different items in the shopper's history
_SOURCES = tuple(dict.fromkeys(SPEAKS_FOR.values()))
# [features, sources], 1 where the feature speaks for the source
_SPEAKS = np.array([[source == each for each in _SOURCES] for source in SPEAKS_FOR.values()], np.float32)

# Where every gate begins. Learned by test-then-learn on the first fifth of public streams of clicks, ratings and
# orders, then averaged and rounded; `learned` gates move away from it within some hundreds of events. Text and facets
# were not in those streams: they weigh as much as it takes for a product that nobody has touched yet, and that fits,
# to stand among the popular ones.
PRIOR: Mapping[str, float] = {
    "rules_last": 0.2,
    "rules": 0.2,
    "knn_last": 0.2,
    "knn": 0.3,
    "taste": 0.1,
    "taste_sum": 0.0,
    "own_rank": 0.3,
    "own": 0.3,
    "own_times": 0.6,
    "own_age": 0.5,
    "own_last": 0.5,
    "own_second": -0.3,
    "own_third": -0.2,
    "content": 0.9,
    "interest": 0.6,
    "sequence": 0.2,
    "sequence_p": 0.2,
    "support": 0.1,
    "popular": 0.2,
    "trending": 0.2,
    "seen": 0.5,
}


def bucket_of(known_items: int) -> int:
    """Index into BUCKETS for a shopper with that many different items.

    >>> [bucket_of(n) for n in (0, 1, 2, 4, 7, 80)]
    [0, 1, 2, 3, 4, 5]
    """
    return sum(known_items >= least for least in BUCKETS) - 1


class Gate(msgspec.Struct, frozen=True):
    """Weights of the features, FEATURES × (everyone, then each bucket): [1 + len(BUCKETS)][len(FEATURES)]."""

    weights: tuple[tuple[float, ...], ...]

    @classmethod
    def prior(cls) -> Gate:
        return cls((tuple(PRIOR[name] for name in FEATURES), *((0.0,) * len(FEATURES) for _ in BUCKETS)))

    def row(self, bucket: int) -> Floats:
        """[len(FEATURES)]: the weights that hold for a bucket."""
        return _row(self.weights[0], self.weights[1 + bucket])

    def speaking(self, bucket: int) -> Floats:
        """[len(FEATURES), sources]: the same, each in the column of the source that its feature speaks for."""
        return _speaking(self.weights[0], self.weights[1 + bucket])


def _row(everyone: tuple[float, ...], of_bucket: tuple[float, ...]) -> Floats:
    row: Floats = (np.array(everyone) + np.array(of_bucket)).astype(np.float32)
    return row


@lru_cache(maxsize=4 * len(BUCKETS))  # a gate holds for many lists
def _speaking(everyone: tuple[float, ...], of_bucket: tuple[float, ...]) -> Floats:
    return _row(everyone, of_bucket)[:, None] * _SPEAKS


class Weighed(NamedTuple):
    """Logits [m], any real number, and what each of `sources` gave to them."""

    logits: Floats
    said: Floats  # [sources, m]
    sources: tuple[str, ...] = _SOURCES


def weigh(features: Floats, gate: Gate, bucket: int) -> Weighed:
    """Score candidates by their features [m, len(FEATURES)]."""
    said = gate.speaking(bucket).T @ features.T
    return Weighed(said.sum(axis=0), said)


def softmax(logits: Floats) -> Floats:
    """[m] logits → [m] probabilities."""
    if not len(logits):
        return logits
    grown: Floats = np.exp(logits - logits.max())
    shares: Floats = grown / grown.sum()
    return shares


class GateLearner:
    """A gate that learns. `rate` is AdaGrad's step."""

    def __init__(self, gate: Gate | None = None, rate: float = 0.05) -> None:
        self._weights = np.array((gate or Gate.prior()).weights, np.float64)
        self._squares = np.full(self._weights.shape, 1e-2)
        self.rate = rate

    def gate(self) -> Gate:
        """The gate as it is now."""
        return Gate(tuple(tuple(row) for row in self._weights.tolist()))

    def learn(self, features: Floats, bucket: int, targets: Sequence[int]) -> float:
        """One step towards the candidates `targets` (places in `features` [m, F]); the loss before it, in nats.

        From features that are no numbers nothing is learned, and the loss is NaN: it would stay in the sums for good.
        """
        if not np.isfinite(features).all():
            return float("nan")
        logits = (features @ (self._weights[0] + self._weights[1 + bucket])).astype(np.float64)
        logits -= logits.max()
        log_sum = np.log(np.exp(logits).sum())
        loss = float(log_sum - logits[list(targets)].mean())
        gradient = np.exp(logits - log_sum) @ features - features[list(targets)].mean(axis=0)
        for row in (0, 1 + bucket):
            self._squares[row] += gradient**2
            self._weights[row] -= self.rate * gradient / np.sqrt(self._squares[row])
        return loss

    def state(self) -> dict[str, np.ndarray]:
        """What a checkpoint has to hold."""
        return {"weights": self._weights.copy(), "squares": self._squares.copy()}

    def load(self, state: Mapping[str, np.ndarray]) -> None:
        """Go on from `state()`. Raises ModelError if it is of other features."""
        for name, kept in (("weights", self._weights), ("squares", self._squares)):
            if state[name].shape != kept.shape:
                raise ModelError(f"the gate's {name} are {state[name].shape}, this version has {kept.shape}")
            kept[:] = state[name]
