"""ranked candidates → **exposure fairness** → ranked candidates. Whoever has merit is seen in proportion to it. Pure.

Exposure by target (in proportion to merit: Singh & Joachims 2018) within one list, reached greedily: each place goes to
the candidate with the best sum of relevance and of what its brand or seller is still owed. Merit of a group: its share
of the candidates' softmax. Exposure of a place: 1 / log2(2 + place), as in DCG. What groups are owed from earlier lists
(rec.policy.exposure) is carried over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints
from rec.policy.diversity import relevance


def share_out(
    logits: Floats,
    groups: Ints,
    n: int,
    strength: float,
    *,
    targets: npt.NDArray[np.float64] | None = None,
    carried: npt.NDArray[np.float64] | None = None,
) -> Ints:
    """Choose n of m candidates, given the group of each (0: none, owed nothing). Strength 0 keeps the order.

    `logits` [m], `groups` [m] codes. Places [n], in the order of choice. `targets` [m]: the share of the candidate's
    group (None: its merit); `carried` [m]: what its group is owed from before, in first places.

    >>> share_out(np.array([1.0, 0.99, 0.98, 0.97]), np.array([1, 1, 2, 2]), 4, 5.0).tolist()
    [0, 2, 3, 1]
    >>> share_out(np.array([1.0, 0.99]), np.array([1, 2]), 2, 5.0, carried=np.array([0.0, 0.4])).tolist()
    [1, 0]
    """
    found = relevance(logits)
    names, first, group = np.unique(groups, return_index=True, return_inverse=True)
    wanted: npt.NDArray[np.float64]
    if targets is None:
        weights = np.exp(logits.astype(np.float64) - float(logits.max()))
        wanted = np.bincount(group, weights=weights / weights.sum(), minlength=len(names)).astype(np.float64)
    else:
        wanted = targets[first]
    owing = names != 0
    given = np.zeros(len(names)) if carried is None else -carried[first]
    left = np.ones(len(logits), np.bool_)
    total = 0.0
    chosen = []
    for place in range(min(n, len(logits))):
        seen = 1.0 / np.log2(2.0 + place)
        total += seen
        owed = np.where(owing, wanted * total - given, 0.0)
        best = int(np.where(left, found + strength * owed[group], -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        given[group[best]] += seen
    return np.array(chosen, np.int32)
