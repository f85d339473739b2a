"""ranked candidates → **exposure fairness** → ranked candidates. Whoever has merit is seen in proportion to it. Pure.

Exposure in proportion to merit (Singh & Joachims 2018) within one list, reached greedily: each place goes to the
candidate with the best sum of relevance and of what its brand or seller is still owed. Merit of a group: its share of
the candidates' softmax. Exposure of a place: 1 / log2(2 + place), as in DCG.
"""

from __future__ import annotations

import numpy as np

from rec.catalog import Floats, Ints
from rec.policy.diversity import relevance


def share_out(logits: Floats, groups: Ints, n: int, strength: float) -> Ints:
    """Choose n of m candidates, given the group of each (0: none, owed nothing). Strength 0 keeps the order.

    `logits` [m], `groups` [m] codes. Places [n], in the order of choice.

    >>> share_out(np.array([1.0, 0.99, 0.98, 0.97]), np.array([1, 1, 2, 2]), 4, 5.0).tolist()
    [0, 2, 3, 1]
    """
    found = relevance(logits)
    names, group = np.unique(groups, return_inverse=True)
    weights = np.exp(logits.astype(np.float64) - float(logits.max()))
    merit = np.bincount(group, weights=weights / weights.sum(), minlength=len(names))
    owing = names != 0
    given = np.zeros(len(names))
    left = np.ones(len(logits), np.bool_)
    total = 0.0
    chosen = []
    for place in range(min(n, len(logits))):
        seen = 1.0 / np.log2(2.0 + place)
        total += seen
        owed = np.where(owing, merit * total - given, 0.0)
        best = int(np.where(left, found + strength * owed[group], -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        given[group[best]] += seen
    return np.array(chosen, np.int32)
