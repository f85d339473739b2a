"""what was earned → **bootstrap intervals** over shoppers, for a whole run, its parts, and differences. Pure.

What one shopper does is not independent, so whole shoppers are drawn (pairs cluster bootstrap, Cameron, Gelbach &
Miller 2008). All parts share the draws: a part's mean is taken again in every draw among the targets of the shoppers
drawn, so a part with few shoppers has a wide interval however many targets it has.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rec.evaluation.metrics import METRICS, Ranks, gains

DRAWS = 1_000
_AT_ONCE = 2_000_000  # numbers drawn at a time: 16 MB
Interval = tuple[float, float]
Subjects = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


def bootstrap(
    earned: Ranks, subjects: Subjects, parts: Sequence[Mask], rng: np.random.Generator, share: float = 0.95
) -> list[list[Interval] | None]:
    """For each part, the interval of the mean of each column of `earned` [n, columns]; None for an empty part.

    `subjects` [n] numbers the shoppers from 0; a part is a mask [n]. A draw that holds nobody of a part says nothing
    about it.
    """
    if not len(earned) or not parts:
        return [None for _ in parts]
    count, columns = int(subjects.max()) + 1, earned.shape[1]
    sums, sizes = np.zeros((count, len(parts) * columns)), np.zeros((count, len(parts)))
    for at, part in enumerate(parts):
        mine = subjects[part]
        sizes[:, at] = np.bincount(mine, minlength=count)
        for column in range(columns):
            sums[:, at * columns + column] = np.bincount(mine, weights=earned[part, column], minlength=count)
    values = np.full((DRAWS, len(parts), columns), np.nan)
    step = max(1, _AT_ONCE // count)
    for start in range(0, DRAWS, step):
        rows = range(start, min(DRAWS, start + step))
        times = np.stack([np.bincount(rng.integers(0, count, count), minlength=count) for _ in rows]).astype(float)
        held = (times @ sizes)[:, :, None]
        total = (times @ sums).reshape(len(rows), len(parts), columns)
        np.divide(total, held, out=values[start : start + len(rows)], where=held > 0)
    edges = [(1 - share) / 2, (1 + share) / 2]
    return [_interval(values[:, at], edges) if part.any() else None for at, part in enumerate(parts)]


def intervals(ranks: Ranks, subjects: Subjects, rng: np.random.Generator) -> dict[str, Interval]:
    """Of the means of each metric over `ranks` [n]; {} if there are none."""
    earned = np.stack(list(gains(np.asarray(ranks, float)).values()), axis=1)
    (found,) = bootstrap(earned, subjects, [np.ones(len(ranks), bool)], rng)
    return named(found)


def difference(ours: Ranks, theirs: Ranks, subjects: Subjects, rng: np.random.Generator) -> dict[str, Interval]:
    """Of the mean of `ours` - `theirs`, both [n, metrics] for the same targets: paired, so much narrower than the two
    intervals beside each other would suggest."""
    (found,) = bootstrap(ours - theirs, subjects, [np.ones(len(ours), bool)], rng)
    return named(found)


def named(found: Sequence[Interval] | None) -> dict[str, Interval]:
    """By the name of the metric."""
    return dict(zip(METRICS, found, strict=True)) if found is not None else {}


def _interval(values: Ranks, edges: list[float]) -> list[Interval]:
    """[draws, columns] → (low, high) of each column, over the draws that say something."""
    kept = values[~np.isnan(values[:, 0])]
    low, high = np.quantile(kept, edges, axis=0) if len(kept) else np.full((2, values.shape[1]), np.nan)
    return [(round(float(a), 5), round(float(b), 5)) for a, b in zip(low, high, strict=True)]
