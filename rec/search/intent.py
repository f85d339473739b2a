"""state's newest search → **intent** → the home list. A query is behavior: it moves the list at once.

A click on a result moves the list through its category, as any click does. Before the click there is the query alone:
its vector says which products it is about. It counts for about as long as a visit lasts, beside what the gate says, and
is no feature of the gate, which never sees a query. Pure.
"""

from __future__ import annotations

import numpy as np

from rec.catalog import Floats, View
from rec.search.meaning import Meaning
from rec.state import FoldRules, UserState

WEIGHT = 3.0  # logits of a perfect likeness: about what a click gives to its category
NEAR = 0.25  # cosine below which a product has nothing to do with the query
SPOKE = 0.5  # logits from which it is the reason for an item
HALF_LIVES = 4.0  # of the fold's short clock; after that nothing is left


def sought(view: View, state: UserState | None, meaning: Meaning, now: float, rules: FoldRules) -> Floats | None:
    """[size] logits that the newest search adds to each item; None if there is none, or nobody has read it."""
    if state is None or not state.searches:
        return None
    at, term = state.searches[-1]
    age = max(0.0, now - at) / rules.short_half_life_s
    if age > HALF_LIVES or (cosines := meaning.of(view, term)) is None:
        return None
    likeness = (cosines - np.float32(NEAR)) / np.float32(1 - NEAR)
    said: Floats = np.maximum(likeness, 0) * np.float32(WEIGHT * 0.5**age)
    return said
