"""chain → **note** → feedback. What a list was drawn from, for those who learn from it later.

Nothing of it is on the wire. A `Note` is told of the steps as they happen (`rec.policy.chain.Watch`) and keeps
references alone, so that it costs the list next to nothing; what the record needs is worked out when the record is
made. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import msgspec
import numpy as np

from rec.catalog import View
from rec.policy.chain import Draft
from rec.policy.exposure import KINDS, groups_of
from rec.policy.refresh import Decision

MERIT_DEPTH = 60  # candidates whose merit is counted: as many as fairness lays out (Strategy.diversity_depth)


class Draw(msgspec.Struct, frozen=True, array_like=True):
    """What the drawn places of a list were drawn from: `places` of the candidates, best first, at a temperature.

    `logits`: of the candidates, float32, little-endian. At temperature 0 they are those that are on the list.
    """

    temperature: float
    places: int
    item_ids: tuple[str, ...]
    logits: bytes

    def values(self) -> np.ndarray:
        """[candidates] logits."""
        return np.frombuffer(self.logits, "<f4").astype(np.float64)


class Seen(NamedTuple):
    """Some candidates, best first: their rows of a view and their logits."""

    view: View
    rows: np.ndarray
    logits: np.ndarray


class Note:
    """What is noted of one list as it is made. `decision`: how it took the place of the one before it."""

    def __init__(self, view: View, rows: np.ndarray, temperature: float, decision: Decision | None = None) -> None:
        self._view, self._rows, self._temperature = view, rows, temperature
        self.decision = decision
        self._drawn: Seen | None = None
        self._weighed: Seen | None = None

    def __call__(self, step: str, draft: Draft, head: int) -> None:
        """A step of the chain, see `lay_out`."""
        if step == "weigh":
            self._weighed = self._of(draft, max(head, MERIT_DEPTH))
        elif step == "cold":
            self._drawn = self._of(draft, head)

    def _of(self, draft: Draft, head: int) -> Seen:
        return Seen(self._view, self._rows[draft.order[:head]], draft.logits[:head])

    def draw(self, listed: Collection[str]) -> Draw | None:
        """Given the items of the list; None of one without candidates."""
        if self._drawn is None or not len(self._drawn.rows):
            return None
        view, rows, logits = self._drawn
        ids = tuple(view.ids[row] for row in rows.tolist())
        places = sum(item_id in listed for item_id in ids)
        return Draw(self._temperature, places, ids, logits.astype("<f4").tobytes())

    def merit(self) -> dict[str, dict[str, float]]:
        """Brand or seller → group → its share of the scores of the first candidates; without those that have none."""
        if self._weighed is None or not len(self._weighed.rows):
            return {}
        view, rows, logits = self._weighed
        weights = np.exp(logits.astype(np.float64) - float(logits.max()))
        shares = (weights / weights.sum()).tolist()
        found: dict[str, dict[str, float]] = {}
        for row, share in zip(rows.tolist(), shares, strict=True):
            for kind, group in zip(KINDS, groups_of(view.items[row]), strict=True):
                if group:
                    kept = found.setdefault(kind, {})
                    kept[group] = kept.get(group, 0.0) + share
        return {kind: {group: rounded(share) for group, share in kept.items()} for kind, kept in found.items()}


def rounded(share: float) -> float:
    """To six places: it travels with every list.

    >>> rounded(1 / 3)
    0.333333
    """
    return math.floor(share * 1e6 + 0.5) / 1e6
