"""ranks → **metrics**. Hit rate, NDCG and MRR at ten. Pure. How far they can be trusted: `rec.evaluation.intervals`.

A rank is 0 for the first place; of candidates with equal scores each gets the middle of the places they share, so a
constant score earns what chance earns. `MISS` is a target that was no candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

MISS = float("inf")
METRICS = ("hr@10", "ndcg@10", "mrr@10")
Ranks = npt.NDArray[np.float64]


def rank_of(scores: npt.NDArray[np.floating], target: int) -> float:
    """The place of `scores[target]` among all scores, ties half.

    >>> rank_of(np.array([3.0, 1.0, 1.0, 1.0]), 2)
    2.0
    """
    mine = scores[target]
    return float((scores > mine).sum() + ((scores == mine).sum() - 1) / 2)


def gains(ranks: Ranks, k: int = 10) -> dict[str, Ranks]:
    """What each rank earns by each metric at k.

    >>> {name: earned.round(2).tolist() for name, earned in gains(np.array([0.0, 1.0, 10.0])).items()}
    {'hr@10': [1.0, 1.0, 0.0], 'ndcg@10': [1.0, 0.63, 0.0], 'mrr@10': [1.0, 0.5, 0.0]}
    """
    hit = ranks < k
    inside = np.where(hit, ranks, 0.0)
    return {
        f"hr@{k}": hit.astype(float),
        f"ndcg@{k}": hit / np.log2(inside + 2),
        f"mrr@{k}": hit / (inside + 1),
    }


def means(ranks: Sequence[float] | Sequence[Sequence[float]] | Ranks, k: int = 10) -> dict[str, float]:
    """The mean of each metric over all of `ranks`, of any shape; {} if nothing was scored."""
    found = np.asarray(ranks, float)
    return {name: round(float(earned.mean()), 5) for name, earned in gains(found, k).items()} if found.size else {}
