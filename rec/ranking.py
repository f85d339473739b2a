"""candidates → **ranking** → policy. One number per candidate: a fixed mix of what the sources say. Pure.

The weights were chosen by test-then-learn on the first fifth of public streams (clicks, ratings, orders), where every
column was divided by its largest value among the candidates of the list. Invariants: scores lie in [0, 1]; a candidate
of which every source says more ranks higher; the order of the candidates does not matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rec.candidates import SOURCES
from rec.catalog import Floats, Ints


class Mix(NamedTuple):
    """How much each source has to say, in the order of `SOURCES`."""

    rules: float = 0.22
    knn: float = 0.37
    history: float = 0.33
    content: float = 0.15
    interest: float = 0.08
    popular: float = 0.10


HOME = Mix()
ITEM = Mix(rules=0.30, knn=0.30, history=0.0, content=0.35, interest=0.02, popular=0.03)
CART = Mix(rules=0.20, knn=0.55, history=0.0, content=0.10, interest=0.10, popular=0.05)
assert Mix._fields == SOURCES


class Ranked(NamedTuple):
    """Scores [m] in [0, 1], and which column [m] of SOURCES gave the most."""

    scores: Floats
    source: Ints


def rank(features: Floats, mix: Mix) -> Ranked:
    """Score candidates by their features [m, sources]."""
    largest = np.abs(features).max(axis=0, initial=0.0)
    weights = np.array(mix, np.float32) / np.float32(sum(mix))
    parts = features * (weights / np.where(largest > 0, largest, np.float32(1.0)))
    return Ranked(np.clip(parts.sum(axis=1), 0.0, 1.0), parts.argmax(axis=1).astype(np.int32))
