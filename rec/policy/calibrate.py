"""interests + ranked candidates → **calibration** → ranked candidates. Who likes two things in three gets both. Pure.

Steck 2018: choose the list that maximises (1-λ)·relevance - λ·KL(p, q), p the distribution of the shopper's interests
over categories, q that of the list. Greedy, one item at a time; the objective is submodular.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints, View
from rec.policy.diversity import relevance
from rec.state import FoldRules, UserState

SMOOTHING = 0.01  # of q by p, so that a category that is not on the list yet costs much and not everything


def interests(state: UserState, view: View, now: float, rules: FoldRules) -> npt.NDArray[np.float64] | None:
    """[categories] p: the shares of the shopper's interests, what they are after now and what they are like added up.

    None where there is none. Sums to 1.
    """
    out = np.zeros(len(view.categories))
    for name, interest in state.categories.items():
        if code := view.categories.get(name):
            out[code] = sum(max(0.0, part) for part in interest.as_of(now, rules))
    total = out.sum()
    return out / total if total > 0 else None


def calibrate(logits: Floats, categories: Ints, wanted: npt.NDArray[np.float64], n: int, strength: float) -> Ints:
    """Choose n of m candidates by relevance and by how near the list's categories then are to the `wanted` ones.

    `logits` [m], `categories` [m] codes, `wanted` [codes] shares, strength λ in [0, 1]. Places [n], in the order of
    choice; 0 keeps the order.

    >>> shares = np.array([0.0, 0.5, 0.5])
    >>> calibrate(np.array([4.0, 3.9, 3.8, 3.0]), np.array([1, 1, 1, 2]), shares, 2, 0.5).tolist()
    [0, 3]
    """
    found = relevance(logits)
    here = np.flatnonzero(wanted > 0)
    place_of = np.full(len(wanted), len(here), np.int32)  # the last place: what nobody asked for
    place_of[here] = np.arange(len(here))
    group, p = place_of[categories], wanted[here]
    counts = np.zeros(len(here))
    left = np.ones(len(logits), np.bool_)
    chosen = []
    for length in range(1, min(n, len(logits)) + 1):
        as_is = p * np.log(p / ((1 - SMOOTHING) * counts / length + SMOOTHING * p))
        one_more = p * np.log(p / ((1 - SMOOTHING) * (counts + 1) / length + SMOOTHING * p))
        distance = as_is.sum() + np.append(one_more - as_is, 0.0)  # KL if the next one is of this group
        worth = (1 - strength) * found - strength * distance[group]
        best = int(np.where(left, worth, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        if group[best] < len(here):
            counts[group[best]] += 1
    return np.array(chosen, np.int32)
