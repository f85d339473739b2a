"""catalog → **cosines of items with the whole catalog**, kept → candidates.

A list goes by the last ten items of its shopper, and nine of them it went by the last time. What an item is like does
not change while the list changes, and likeness to a mean of items is the mean of their likenesses; so the product of a
vector with all others, the dearest step of a list, is made for the newest item alone, and where the whole catalog fits
soon for none.

A row keeps its vector for as long as the catalog keeps the row (rec.catalog), so what is kept stays right: only columns
are added. For one thread at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, View

BUDGET_BYTES = 64 * 2**20
FEWEST = 64  # rows: where so few fit, too few would be found again
_FILLED = 2  # of what one list misses, the most recent are kept; the others come by themselves, later
_ALONG = (
    7  # where all rows fit, so many more are kept with one that was missed: the catalog is read once for all of them
)
_ADDED = 64  # columns added to what is kept; of more at once, as with an import, it is begun anew
_SPARE = 1.25  # of the columns there are now


class Mean(NamedTuple):
    """A weighted sum of items: rows of the view that have vectors, the most recent first, and their weights."""

    rows: Sequence[int]
    weights: Sequence[float]


class ItemLikeness:
    """Cosines [size] of items, the least recently used given up when `budget_bytes` are full; of 0, none is kept."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget = budget_bytes
        self._view: View | None = None
        self._slots: dict[int, int] = {}  # row → slot, the least recently used first
        self._free: list[int] = []
        self._kept = np.zeros((0, 0), np.float32)  # [slots, columns]
        self._next = 0  # the row to be taken along next

    def __len__(self) -> int:
        """How many items are kept."""
        return len(self._slots)

    def of(self, view: View, means: Sequence[Mean]) -> list[Floats]:
        """[size] for each mean: the weighted sum of the cosines of its items; 0 for rows without a vector."""
        self._follow(view)
        sums, wanted, queries = [], [], list[Floats]()
        for mean in means:
            known = [(self._slots[row], weight) for row, weight in zip(*mean, strict=True) if row in self._slots]
            missing = [(row, weight) for row, weight in zip(*mean, strict=True) if row not in self._slots]
            self._touch(row for row in mean.rows if row in self._slots)
            sums.append(self._sum(known, view.size))
            kept, rest = (missing[:_FILLED], missing[_FILLED:]) if len(self._kept) else ([], missing)
            for row, weight in kept:
                wanted.append((len(sums) - 1, row, weight))
                queries.append(view.vectors[row])
            if rest:
                rows, weights = zip(*rest, strict=True)
                wanted.append((len(sums) - 1, -1, 1.0))
                queries.append(np.array(weights, np.float32) @ view.vectors[list(rows)])
        if queries:
            along = self._along(view)
            found = np.stack([*queries, *(view.vectors[row] for row in along)]) @ view.vectors.T
            found *= view.has_vector  # a vector may be on its way into the array just now
            for cosines, (at, row, weight) in zip(found, wanted, strict=False):
                sums[at] += np.float32(weight) * cosines
                if row >= 0:
                    self._keep(row, cosines)
            for cosines, row in zip(found[len(wanted) :], along, strict=True):
                self._keep(row, cosines)
        return sums

    def _along(self, view: View) -> list[int]:
        """Rows that are not kept yet and will be sooner or later: with each miss some, until all are."""
        along: list[int] = []
        while len(along) < _ALONG and self._next < view.size <= len(self._kept):
            if self._next not in self._slots and view.has_vector[self._next]:
                along.append(self._next)
            self._next += 1
        return along

    def _sum(self, known: Sequence[tuple[int, float]], size: int) -> Floats:
        if not known:
            return np.zeros(size, np.float32)
        slots, weights = zip(*known, strict=True)
        total: Floats = np.array(weights, np.float32) @ self._kept[list(slots), :size]
        return total

    def _touch(self, rows: Iterable[int]) -> None:
        for row in rows:
            self._slots[row] = self._slots.pop(row)

    def _keep(self, row: int, cosines: Floats) -> None:
        if row in self._slots:  # two lists of one batch missed it
            return
        if not self._free:
            oldest = next(iter(self._slots))
            self._free.append(self._slots.pop(oldest))
        slot = self._slots[row] = self._free.pop()
        self._kept[slot, : len(cosines)] = cosines
        self._kept[slot, len(cosines) :] = 0.0

    def _follow(self, view: View) -> None:
        """Add the columns of rows that have got a vector since; begin anew where that would not do."""
        before = self._view
        if view is before:
            return
        self._view = view
        if before is None or before.ids is not view.ids or view.size > self._kept.shape[1]:
            self._begin(view)
            return
        fresh = view.has_vector.copy()
        fresh[: before.size] &= ~before.has_vector
        added: Ints = np.flatnonzero(fresh).astype(np.int32)
        if len(added) > _ADDED:
            self._begin(view)
        elif len(added) and self._slots:
            rows, slots = list(self._slots), np.array(list(self._slots.values()))
            self._kept[slots[:, None], added] = view.vectors[rows] @ view.vectors[added].T

    def _begin(self, view: View) -> None:
        columns = int(view.size * _SPARE)
        fit = min(view.size, self._budget // (4 * max(1, columns)))
        if fit < min(FEWEST, view.size):
            fit = columns = 0
        self._slots.clear()
        self._next = 0
        self._free = list(range(fit))
        self._kept = np.empty((fit, columns), np.float32)
