"""event + state before it → **lesson**. Where on the list of a moment before was what somebody turned to?

What `rec evaluate` tests with and what the trainer learns from is made here, through the code that serves
(`rec.recommend.judge`). Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, View
from rec.events import POSITIVE, Event
from rec.features import UNLIKELY
from rec.gate import Gate, bucket_of
from rec.recommend import Ask, Brain, Judged, World, judge
from rec.slates import Cause
from rec.state import UserState
from rec.value import Heard

_CAUSE = Cause("request")


class ReadAhead:
    """A network that has read already: what it said of one shopper, in one go with others."""

    version = "read ahead"

    def __init__(self, said: Heard | None = None) -> None:
        self.said = said

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        return [None if one is None else one.log_p for one in self.hear(view, users, now)]

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        if self.said is None:
            return [None] * len(users)
        log_p = np.full(view.size, UNLIKELY, np.float32)  # items that came in since are unknown to it
        log_p[: len(self.said.log_p)] = self.said.log_p
        grown = self.said._replace(log_p=log_p)
        if (places := self.said.places) is not None:
            grown = grown._replace(places=np.concatenate([places, np.zeros(view.size - len(places), places.dtype)]))
        return [grown for _ in users]


class Judgement(NamedTuple):
    """The candidates of one shopper at one moment, and where among them (places in the pool) the targets are."""

    judged: Judged
    features: Floats  # [m, len(FEATURES)] of the candidates
    places: list[int]

    @property
    def bucket(self) -> int:
        """Of the gate: how much is known of the shopper."""
        return bucket_of(len(self.judged.plan.own))


def judgement(event: Event, state: UserState | None, world: World, gate: Gate, said: Heard | None) -> Judgement | None:
    """What would have been on the list for this event's shopper just before it; None if it names no known item.

    `said` is what the network says of them, or None without a network.
    """
    view = world.catalog.view()
    rows = dict.fromkeys(row for item in event.items if (row := view.row(item.item_id)) is not None)
    if not rows:
        return None
    ask = Ask(event.subject, "home", 10, None, _CAUSE, state)
    (judged,) = judge([ask], world, Brain(gate, ReadAhead(said)), event.at)
    if judged.features is None:  # nobody's list: their consent is not there
        return None
    return Judgement(judged, judged.features, [at for row in rows if (at := place_of(judged, row)) is not None])


def place_of(judged: Judged, row: int) -> int | None:
    """Where a row of the catalog is among the candidates."""
    rows = judged.pool.rows
    at = int(np.searchsorted(rows, row))
    return at if at < len(rows) and rows[at] == row else None


def is_target(event: Event) -> bool:
    """Whether a list should have held the items of this event: something was wanted, and it names items."""
    return event.event in POSITIVE and bool(event.items)
