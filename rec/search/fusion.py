"""BM25 ranks, vector ranks, words, clicks → **fusion** → one relevance. Weights that clicks go on teaching.

    rrf      = Σ over the lists of 1 / (60 + rank)                          Cormack, Clarke & Büttcher, SIGIR 2009
    lexical  = BM25, of the best; dense = cosine; covered = how much of the query an item has   rec.search.lexical
    clicks   = what was clicked for this query                              rec.search.clicks
    head     = the item is what the query names: its noun is the title's    rec.search.words
    category = how many items with the query's words are of its category    rec.search.lexical
    score   = weights · features; the weights begin at `PRIOR`
    learned = AdaGrad (Duchi et al. 2011) on -log softmax(score)[clicked]   listwise, Cao et al. 2007 (ListNet, top one)

Pure: `Fusion` is a value, `FusionLearner` holds sums. Every feature lies in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints
from rec.errors import ModelError

Amounts = npt.NDArray[np.float64]

K = 60  # RRF's constant
FUSED = ("rrf", "lexical", "dense", "covered", "clicks", "head", "category")
RECIPROCAL = (10.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0)  # ranks alone, and clicks
# Where every fusion begins: near what `FusionLearner` makes of RECIPROCAL on a public set of judged queries, with the
# cosine, coverage and head as they were best on every second query of it (docs/search.md). Clicks and categories are
# not in that set: a category outweighs the rarer of two words (`blue lamp`), a dozen clicks outweigh a category.
PRIOR = (3.0, 1.0, 1.0, 8.0, 4.5, 0.7, 3.0)
RATE = 0.1
PULL = 1e-2  # towards the prior, for each lesson
SPAN = 0.5  # of a weight of the prior, up or down: no flood of clicks makes another thing of search


class Fusion(msgspec.Struct, frozen=True):
    """Weights of FUSED, and how many clicks they were learned from."""

    weights: tuple[float, ...] = PRIOR
    learned: int = 0

    def score(self, features: Floats) -> Floats:
        """[m] from [m, len(FUSED)]."""
        scores: Floats = features @ np.array(self.weights, np.float32)
        return scores

    def surprise(self, features: Floats, clicked: Sequence[int]) -> float:
        """-log softmax(score) of the places `clicked` of a list, their mean; nats."""
        shares, wanted = _shares(features, np.array(self.weights), clicked)
        return float(-(wanted * np.log(np.maximum(shares, 1e-12))).sum())


def _shares(features: Floats, weights: Amounts, clicked: Sequence[int]) -> tuple[Amounts, Amounts]:
    """[m] softmax of the scores, and what it should have been."""
    logits = features.astype(np.float64) @ weights
    shares = np.exp(logits - logits.max())
    wanted = np.zeros(len(features))
    wanted[list(clicked)] = 1 / len(set(clicked))
    return shares / shares.sum(), wanted


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
    """A fusion that learns from what was clicked among what was looked at. `span`: how far from the prior a weight may
    go, as a share of it; None: anywhere, and nothing pulls it back, for one who learns from judgments."""

    def __init__(self, start: Fusion | None = None, rate: float = RATE, span: float | None = SPAN) -> None:
        begun = start or Fusion()
        if len(begun.weights) != len(FUSED):
            raise ModelError(f"a fusion of {len(begun.weights)} weights, this version has {len(FUSED)}; delete it")
        self._prior = np.array(PRIOR)
        self._room = np.full(len(FUSED), np.inf) if span is None else span * self._prior
        self._weights, self._rate = self._near(np.array(begun.weights)), rate
        self._squares, self._pull = np.full(len(FUSED), 1e-2), 0.0 if span is None else PULL
        self._learned = begun.learned

    @property
    def fusion(self) -> Fusion:
        return Fusion(tuple(float(weight) for weight in self._weights), self._learned)

    def learn(self, features: Floats, clicked: Sequence[int]) -> float:
        """One list [m, len(FUSED)] with the places that were clicked; the loss (nats) before the step.

        What was not looked at must not be in it: nobody left it alone.
        """
        if not clicked or len(features) < 2:
            return 0.0
        shares, wanted = _shares(features, self._weights, clicked)
        gradient = (shares - wanted) @ features.astype(np.float64)
        self._squares += gradient**2
        self._weights -= self._rate * gradient / np.sqrt(self._squares)
        self._weights = self._near(self._weights + self._pull * (self._prior - self._weights))
        self._learned += 1
        return float(-(wanted * np.log(np.maximum(shares, 1e-12))).sum())

    def _near(self, weights: Amounts) -> Amounts:
        return np.clip(weights, self._prior - self._room, self._prior + self._room)
