"""lessons → **replay** → batches. A ring of the newest examples, as compact arrays, against forgetting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rec.impressions import MAX_LEFT
from rec.model.encode import HEADS, Batch

_TYPES = (np.int32, np.int8, np.int8, np.int32, np.float32, np.bool_, np.int32, np.int8)

_TARGETS, _WANTED = Batch._fields.index("targets"), Batch._fields.index("wanted")
_ROWS = tuple(Batch._fields.index(name) for name in ("rows", "targets", "left"))


class Replay:
    """At most `capacity` examples with `steps` steps each, the oldest overwritten first."""

    def __init__(self, capacity: int, steps: int) -> None:
        shapes: tuple[tuple[int, ...], ...] = (
            (steps,), (steps,), (steps,), (), (len(HEADS),), (), (MAX_LEFT,), (),
        )  # fmt: skip
        self._arrays: list[npt.NDArray[Any]] = [
            np.zeros((capacity, *s), t) for s, t in zip(shapes, _TYPES, strict=True)
        ]
        self._pushed = 0
        self._capacity = capacity

    def __len__(self) -> int:
        return min(self._pushed, self._capacity)

    def push(self, batch: Batch) -> None:
        """Take all examples of a batch in, in their order."""
        places = (self._pushed + np.arange(len(batch.targets))) % self._capacity
        for kept, new in zip(self._arrays, batch, strict=True):
            kept[places] = new
        self._pushed += len(batch.targets)

    def newest(self, count: int) -> npt.NDArray[np.int64]:
        """Places of the last `count` examples."""
        return (self._pushed - 1 - np.arange(min(count, len(self)))) % self._capacity

    def take(self, places: npt.NDArray[np.int64]) -> Batch:
        rows, actions, gaps, targets, happened, wanted, left, bridge = (array[places] for array in self._arrays)
        whole = (array.astype(np.int64) for array in (rows, actions, gaps, targets, left, bridge))
        rows, actions, gaps, targets, left, bridge = whole
        return Batch(rows, actions, gaps, targets, happened, wanted, left, bridge)

    def renumber(self, rows: npt.NDArray[np.int64]) -> None:
        """Row `r` is `rows[r]` from now on. 0: gone; an example whose target is gone teaches nothing any more."""
        for at in _ROWS:
            self._arrays[at][:] = rows[self._arrays[at]]
        self._arrays[_WANTED] &= self._arrays[_TARGETS] > 0

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint has to hold."""
        kept = {str(at): array[: len(self)].copy() for at, array in enumerate(self._arrays)}
        return {**kept, "pushed": np.array(self._pushed)}

    def load(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Go on from `state()`."""
        self._pushed = int(state["pushed"])
        for at, array in enumerate(self._arrays):
            array[: len(state[str(at)])] = state[str(at)]
