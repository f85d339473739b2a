"""logits → **how probable each candidate is at each place** of a Plackett-Luce draw → off-policy weights. Pure.

The race of rec.policy.explore: with T_i ~ Exp(w_i) candidate i stands at place k if just k of the others have arrived
by T_i. How many have is Poisson-binomial, so the probability is one integral over log time, exact up to its step.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rec.policy.explore import COLDEST

Doubles = npt.NDArray[np.float64]

STEP = 0.3  # of the integral, as there
_BEFORE, _BEHIND = 6.0, 3.5
_FURTHEST = 40.0  # between two neighbours: e^-40 of the draws are the other way round


def at_places(logits: Doubles, k: int, temperature: float) -> Doubles:
    """[m, min(k, m)] the probability of each of the candidates [m] to stand at each of the first k places.

    Temperature 0: the order of the logits, of equals the first. Columns sum to 1, rows to the inclusion probability.

    >>> at_places(np.array([2.0, 1.0]), 2, 0.0).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    >>> at_places(np.array([0.0, 0.0]), 1, 0.5).round(3).tolist()
    [[0.5], [0.5]]
    """
    m = len(logits)
    k = min(k, m)
    order = np.argsort(-logits, kind="stable")
    found = np.zeros((m, k))
    if temperature <= 0:
        found[order[:k], np.arange(k)] = 1.0
        return found
    if not k:
        return found
    gaps = np.diff(logits[order].astype(np.float64)) / max(temperature, COLDEST)
    logs = np.concatenate([[0.0], np.cumsum(np.maximum(gaps, -_FURTHEST))])
    times = np.arange(-np.log(m) - _BEFORE, _BEHIND + STEP - float(logs[k - 1]), STEP)
    spent = np.exp(np.minimum(logs[:, None] + times, 60.0))  # [m, t] what has gone by of each one's clock
    waiting = np.exp(-spent)
    arrived = 1.0 - waiting
    others = np.zeros((m, k, len(times)))  # [i, c]: c of those that are not i have arrived
    others[:, 0] = 1.0
    for j in range(m):
        mine = others[j].copy()
        moved = others * waiting[j]
        moved[:, 1:] += others[:, :-1] * arrived[j]
        others = moved
        others[j] = mine
    chances = STEP * np.einsum("mt,mkt->mk", spent * waiting, others)
    found[order] = chances / np.maximum(chances.sum(axis=0), np.finfo(np.float64).tiny)
    return found
