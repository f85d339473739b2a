"""BM25 ranks, vector ranks, words, clicks → **fusion** → one relevance. Weights that clicks go on teaching.

    rrf     = Σ over the lists of 1 / (60 + rank)                           Cormack, Clarke & Büttcher, SIGIR 2009
    score   = weights · features; the weights begin at `PRIOR`
    learned = AdaGrad (Duchi et al. 2011) on -log softmax(score)[clicked]   listwise, Cao et al. 2007 (ListNet, top one)

Pure: `Fusion` is a value, `FusionLearner` holds sums. Every feature lies in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from rec.catalog import Floats, Ints
from rec.errors import ModelError

K = 60  # RRF's constant
FUSED = ("rrf", "lexical", "dense", "covered", "clicks")
RECIPROCAL = (10.0, 0.0, 0.0, 0.0, 3.0)  # ranks alone, and clicks
# Where every fusion begins: what `FusionLearner` made of RECIPROCAL in three passes over one half of a public set of
# judged queries, rounded; on the other half it is better than RECIPROCAL in all measures (docs/search.md). Clicks were
# not in that set.
PRIOR = (3.0, 1.0, 0.5, 6.0, 3.0)
RATE = 0.3
PULL = 1e-4  # towards the prior, for each lesson
FARTHEST = 15.0  # from the prior: no flood of clicks makes another thing of search


class Fusion(msgspec.Struct, frozen=True):
    """Weights of FUSED, and how many clicks they were learned from."""

    weights: tuple[float, ...] = PRIOR
    learned: int = 0

    def score(self, features: Floats) -> Floats:
        """[m] from [m, len(FUSED)]."""
        scores: Floats = features @ np.array(self.weights, np.float32)
        return scores


def reciprocal(ranks: Sequence[Ints], size: int) -> Floats:
    """RRF [size] of lists of places, each best first; 1 is the first of every list, 0 is on none.

    >>> reciprocal([np.array([1, 0], np.int32), np.array([1], np.int32)], 3).tolist()[1:]
    [1.0, 0.0]
    """
    sums = np.zeros(size)
    for places in ranks:
        sums[places] += 1 / (K + 1 + np.arange(len(places)))
    scaled: Floats = (sums * (K + 1) / max(1, len(ranks))).astype(np.float32)
    return scaled


class FusionLearner:
    """A fusion that learns from what was clicked among what was shown."""

    def __init__(self, start: Fusion | None = None, rate: float = RATE) -> None:
        begun = start or Fusion()
        if len(begun.weights) != len(FUSED):
            raise ModelError(f"a fusion of {len(begun.weights)} weights, this version has {len(FUSED)}; delete it")
        self._weights, self._rate = np.array(begun.weights), rate
        self._squares = np.full(len(FUSED), 1e-2)
        self._learned = begun.learned

    @property
    def fusion(self) -> Fusion:
        return Fusion(tuple(float(weight) for weight in self._weights), self._learned)

    def learn(self, features: Floats, clicked: Sequence[int]) -> float:
        """One list [m, len(FUSED)] with the places that were clicked; the loss (nats) before the step.

        What was not shown must not be in it: nobody left it alone.
        """
        if not clicked or len(features) < 2:
            return 0.0
        wide = features.astype(np.float64)
        logits = wide @ self._weights
        shares = np.exp(logits - logits.max())
        shares /= shares.sum()
        wanted = np.zeros(len(wide))
        wanted[list(clicked)] = 1 / len(clicked)
        gradient = (shares - wanted) @ wide
        self._squares += gradient**2
        self._weights -= self._rate * gradient / np.sqrt(self._squares)
        self._weights += PULL * (np.array(PRIOR) - self._weights)
        np.clip(self._weights, np.array(PRIOR) - FARTHEST, np.array(PRIOR) + FARTHEST, out=self._weights)
        self._learned += 1
        return float(-(wanted * np.log(np.maximum(shares, 1e-12))).sum())
