"""tested targets → **report**. The numbers of a run as one value: for JSON, and for a table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rec.evaluation.metrics import intervals, means
from rec.evaluation.prequential import Target

COLD = 5  # an item with at most so many events before is cold
WINDOWS = 10
SLICES: Mapping[str, Callable[[Target], bool]] = {
    "first action of a shopper": lambda one: one.known == 0,
    "shopper with 1 to 4 items": lambda one: 1 <= one.known <= 4,
    "shopper with 5 items or more": lambda one: one.known >= 5,
    "item never seen before": lambda one: one.support == 0,
    f"cold item, 1 to {COLD} events": lambda one: 1 <= one.support <= COLD,
    "repeat of the shopper's own": lambda one: one.repeat,
    "new to the shopper": lambda one: not one.repeat and one.support > 0,
}


def report(tested: Sequence[Target], seed: int) -> dict[str, Any]:
    """`scored`, `model`, `intervals`, `baselines`, `slices`, `windows` of one run."""
    ranks = np.array([one.rank for one in tested])
    subjects = np.unique([one.subject for one in tested], return_inverse=True)[1] if tested else np.zeros(0, np.int64)
    names = list(tested[0].lines) if tested else []
    return {
        "scored": len(tested),
        "model": means(ranks),
        "intervals": intervals(ranks, subjects, np.random.default_rng(seed)),
        "baselines": {name: means([one.lines[name] for one in tested]) for name in names},
        "slices": {name: _slice([one for one in tested if belongs(one)]) for name, belongs in SLICES.items()},
        "windows": [
            {"from": part[0].at, "to": part[-1].at, **means([one.rank for one in part])} for part in _parts(tested)
        ],
    }


def _slice(tested: Sequence[Target]) -> dict[str, Any]:
    """The model's numbers on a part, and the best baseline's hit rate there."""
    if not tested:
        return {"scored": 0}
    lines = {name: means([one.lines[name] for one in tested])["hr@10"] for name in tested[0].lines}
    best = max(lines, key=lines.__getitem__, default=None)
    ours = {"scored": len(tested), **means([one.rank for one in tested])}
    return ours if best is None else {**ours, "best_baseline": best, "best_baseline_hr@10": lines[best]}


def _parts(tested: Sequence[Target]) -> list[Sequence[Target]]:
    edges = np.linspace(0, len(tested), WINDOWS + 1).astype(int)
    return [tested[a:b] for a, b in zip(edges, edges[1:], strict=False) if b > a]
