"""counters + state → **baselines**. The counting lines that a model has to leave behind, each from one source alone.

They read the very counters and candidates that the model is made from, so a difference is the model's doing. Where a
line says the same of two items (mostly nothing), the more popular one comes first.
"""

from __future__ import annotations

import numpy as np

from rec.candidates import SOURCES
from rec.catalog import Floats
from rec.evaluation.metrics import MISS
from rec.ranking import HOME, rank
from rec.recommend import Judged

NAMES = ("popularity", "decayed_popularity", "own_history", "rules", "knn", "mix")
_COLUMNS = {"own_history": "history", "rules": "rules", "knn": "knn"}


def ranks_of(judged: Judged, row: int) -> dict[str, float]:
    """The rank of the catalog's `row`, among all items that may be listed, by each baseline."""
    shelf, pool, allowed = judged.shelf, judged.pool, judged.plan.allowed
    if not allowed[row]:
        return dict.fromkeys(NAMES, MISS)
    popular = shelf.popularity
    ranks = {
        "popularity": _rank(shelf.support, popular, allowed, row),
        "decayed_popularity": _rank(popular, popular, allowed, row),
    }
    for name, scores in (
        *((name, pool.features[:, SOURCES.index(source)]) for name, source in _COLUMNS.items()),
        ("mix", rank(pool.features, HOME).scores),
    ):
        spread = np.zeros(shelf.view.size, np.float32)
        spread[pool.rows] = scores
        ranks[name] = _rank(spread, popular, allowed, row)
    return ranks


def _rank(scores: Floats, then: Floats, allowed: np.ndarray, row: int) -> float:
    """By `scores`, then by `then`, ties half."""
    level = allowed & (scores == scores[row])
    ahead = int((allowed & (scores > scores[row])).sum()) + int((level & (then > then[row])).sum())
    return ahead + (int((level & (then == then[row])).sum()) - 1) / 2
