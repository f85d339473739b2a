"""rewarded lists → **rewards** → a term of the loss. A ring of the newest places that earned something, as arrays.

Off-policy, so an old list teaches as well as a new one: what has changed since is in the weight
(`top_k_policy_gradient` of rec.model.loss). Places that earned nothing have no gradient, and are not kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rec.examples import Rewarded
from rec.ids import mark64
from rec.model.encode import Codes, RowOf, empty, write_history


class Places(NamedTuple):
    """B places of lists, each with the history that its list was made from."""

    rows: Codes  # [B, L]
    actions: Codes  # [B, L]
    gaps: Codes  # [B, L]
    items: Codes  # [B] row of the item that stood there
    lengths: Codes  # [B] places of its list
    rewards: npt.NDArray[np.float32]  # [B], of either sign
    propensities: npt.NDArray[np.float32]  # [B] in (0, 1], of being anywhere on its list


_TYPES = (np.int32, np.int8, np.int8, np.int32, np.int32, np.float32, np.float32)
_ITEMS, _REWARDS = Places._fields.index("items"), Places._fields.index("rewards")


class Rewards:
    """At most `capacity` places with `steps` steps each, the oldest overwritten first."""

    def __init__(self, capacity: int, steps: int) -> None:
        shapes: tuple[tuple[int, ...], ...] = ((steps,), (steps,), (steps,), (), (), (), ())
        self._arrays: list[npt.NDArray[Any]] = [
            np.zeros((capacity, *shape), kind) for shape, kind in zip(shapes, _TYPES, strict=True)
        ]
        self._lists = np.zeros(capacity, np.uint64)  # of which list
        self._revisions = np.zeros(capacity, np.int32)
        self._capacity, self._steps, self._pushed = capacity, steps, 0

    def __len__(self) -> int:
        """Places that teach something."""
        return int(np.count_nonzero(self._arrays[_REWARDS]))

    def put(self, told: Rewarded, row_of: RowOf) -> None:
        """Take a list in, in the place of an earlier revision of it; one that is not newer changes nothing."""
        mark = np.uint64(mark64(told.slate_id))
        mine = self._lists == mark
        if mine.any() and self._revisions[mine].max() >= told.revision:
            return
        self._arrays[_REWARDS][mine] = 0.0
        history = empty(1, self._steps)
        write_history(history, 0, told.state, told.at, row_of)
        for item_id, reward, propensity in told.earned:
            if not (row := row_of(item_id)):
                continue
            at = self._pushed % self._capacity
            values = (history.rows[0], history.actions[0], history.gaps[0], row, told.length, reward, propensity)
            for kept, value in zip(self._arrays, values, strict=True):
                kept[at] = value
            self._lists[at], self._revisions[at] = mark, told.revision
            self._pushed += 1

    def draw(self, count: int, rng: np.random.Generator) -> Places | None:
        """`count` different ones, or all if there are no more; None if there is none."""
        there = np.flatnonzero(self._arrays[_REWARDS])
        if not len(there):
            return None
        places = rng.choice(there, min(count, len(there)), replace=False)
        rows, actions, gaps, items, lengths, rewards, propensities = (array[places] for array in self._arrays)
        rows, actions, gaps, items, lengths = (one.astype(np.int64) for one in (rows, actions, gaps, items, lengths))
        return Places(rows, actions, gaps, items, lengths, rewards, propensities)

    def renumber(self, rows: npt.NDArray[np.int64]) -> None:
        """Row `r` is `rows[r]` from now on. 0: gone; a place of an item that is gone teaches nothing any more."""
        for at in (0, _ITEMS):
            self._arrays[at][:] = rows[self._arrays[at]]
        self._arrays[_REWARDS][self._arrays[_ITEMS] == 0] = 0.0

    def state(self) -> dict[str, npt.NDArray[np.generic]]:
        """What a checkpoint has to hold."""
        kept = {str(at): array.copy() for at, array in enumerate(self._arrays)}
        return {
            **kept,
            "lists": self._lists.copy(),
            "revisions": self._revisions.copy(),
            "pushed": np.array(self._pushed),
        }

    def load(self, state: Mapping[str, npt.NDArray[np.generic]]) -> None:
        """Go on from `state()`."""
        for at, array in enumerate(self._arrays):
            array[:] = state[str(at)]
        self._lists[:], self._revisions[:] = state["lists"], state["revisions"]
        self._pushed = int(state["pushed"])
