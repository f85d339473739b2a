"""state + counters + network → **taste** → search. What the home list's own gate says of the products found.

The same features and the same weights as on the home list, for the rows of the search alone. Pure, as `rec.recommend`.
Who has no state, or has not consented, is nobody in particular: what is popular speaks, the same for all of them.
"""

from __future__ import annotations

import numpy as np

from rec.candidates import (
    Anchor,
    Found,
    Pool,
    anchors_of,
    by_history,
    by_interest,
    by_neighbours,
    by_rules,
    by_taste,
    pooled,
    profile,
)
from rec.catalog import Floats, Ints
from rec.features import features_of
from rec.gate import bucket_of, weigh
from rec.recommend import Brain, World, may_use
from rec.shelf import Shelf
from rec.state import UserState
from rec.value import hear


def taste(rows: Ints, state: UserState | None, shelf: Shelf, world: World, now: float) -> Floats:
    """[m] in [-1, 1]: how much the shopper would like each row [m] (ascending), compared with the others."""
    brain = world.brain or Brain.untaught()
    used = state if state is not None and may_use(state, world.rules) else None
    own = anchors_of(used) if used else []
    found: dict[str, Found] = {
        "rules": by_rules(shelf, own),
        "knn": by_neighbours(shelf, own),
        "history": by_history(shelf.view, own),
        "taste": by_taste(shelf, own),
    }
    dense, said = _dense(rows, own, used, shelf, world, brain, now)
    pool: Pool = pooled(shelf, found, dense, rows)
    logits = weigh(features_of(pool, shelf, found, own, said, now), brain.gate, bucket_of(len(own))).logits
    spread = float(logits.std())
    if spread < 1e-6:
        return np.zeros(len(rows), np.float32)
    liking: Floats = np.tanh((logits - logits.mean()) / (2 * spread)).astype(np.float32)
    return liking


def _dense(
    rows: Ints, own: list[Anchor], state: UserState | None, shelf: Shelf, world: World, brain: Brain, now: float
) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """What has a number for every row, and of that the network's log-probabilities. Likeness is of `rows` alone."""
    dense: dict[str, Floats] = {}
    view = shelf.view
    if (about := profile(view, own)) is not None:
        dense["content"] = np.zeros(view.size, np.float32)
        dense["content"][rows] = np.maximum(view.vectors[rows] @ about, 0)
    if state is not None and (leaning := by_interest(shelf, state, own, now, world.rules)) is not None:
        dense["interest"] = leaning
    if not own or brain.network is None:
        return dense, {}
    heard = hear(brain.network, shelf.view, [state], [now])[0]
    if heard is None:
        return dense, {}
    dense["sequence"] = np.exp(heard.log_p)
    return dense, {"sequence": heard.log_p}
