"""ranked candidates → **diversity** → ranked candidates. A list of like things says one thing n times. Pure.

Two ways to trade relevance for variety, both greedy, both on the vectors of the items' texts (unit length; an item
without one is like nothing else): MMR (Carbonell & Goldstein 1998) asks how like the nearest of those chosen a
candidate is, a determinantal point process (Chen, Zhang & Zhou 2018, fast greedy MAP) how much new volume it spans.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints

LEAST_VOLUME = 1e-6  # below it a candidate is a copy of what is there already


def relevance(logits: Floats) -> npt.NDArray[np.float64]:
    """[m] in [0, 1]: logits on the scale of the least and the largest of them; 1 for all if they are equal."""
    low, high = float(logits.min()), float(logits.max())
    if high <= low:
        return np.ones(len(logits))
    scaled: npt.NDArray[np.float64] = (logits.astype(np.float64) - low) / (high - low)
    return scaled


def mmr(logits: Floats, vectors: Floats, n: int, theta: float) -> Ints:
    """Choose n of m candidates: each time the one with the largest theta·relevance - (1-theta)·likeness to the chosen.

    `logits` [m], `vectors` [m, dim]. Places [n], in the order of choice; theta 1 keeps the order.

    >>> vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> mmr(np.array([3.0, 2.9, 2.0], np.float32), vectors, 3, 0.5).tolist()
    [0, 2, 1]
    """
    wanted = theta * relevance(logits)
    nearest = np.zeros(len(logits))
    left = np.ones(len(logits), np.bool_)
    chosen = []
    for _ in range(min(n, len(logits))):
        best = int(np.where(left, wanted - (1.0 - theta) * nearest, -np.inf).argmax())
        chosen.append(best)
        left[best] = False
        np.maximum(nearest, vectors @ vectors[best], out=nearest)
    return np.array(chosen, np.int32)


def dpp(logits: Floats, vectors: Floats, n: int, theta: float) -> Ints:
    """Choose n of m candidates: each time the one that makes the determinant of the kernel of the chosen largest.

    The kernel is diag(q) S diag(q) with S the likenesses and q = exp(α·relevance), α = theta / (2 (1 - theta)). What
    adds no volume any more follows in its old order. Places [n] in the order of choice; theta 1 keeps the order.

    >>> vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    >>> dpp(np.array([3.0, 2.9, 2.0], np.float32), vectors, 3, 0.5).tolist()
    [0, 2, 1]
    """
    m = len(logits)
    n = min(n, m)
    if theta >= 1.0:
        return np.arange(n, dtype=np.int32)
    gains = theta / (1.0 - theta) * relevance(logits)  # log q²
    has = np.einsum("md,md->m", vectors, vectors) > 0
    volume = np.ones(m)  # of a candidate beside the chosen: d² without q²
    parts = np.zeros((n, m))  # rows of the Cholesky factor
    left = np.ones(m, np.bool_)
    chosen: list[int] = []
    for at in range(n):
        worth = np.where(left & (volume > LEAST_VOLUME), gains + np.log(np.maximum(volume, LEAST_VOLUME)), -np.inf)
        best = int(worth.argmax())
        if worth[best] == -np.inf:
            chosen += np.flatnonzero(left)[: n - at].tolist()
            break
        chosen.append(best)
        left[best] = False
        if has[best]:
            like = vectors @ vectors[best]
            parts[at] = (like - parts[:at].T @ parts[:at, best]) / np.sqrt(volume[best])
            volume -= parts[at] ** 2
    return np.array(chosen, np.int32)
