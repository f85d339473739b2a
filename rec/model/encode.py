"""state + event → **plain arrays** → network. Histories and targets as numbers; no torch.

This is the one place where a history becomes numbers, so what is served cannot differ from what is learned. Steps are
right-aligned: column -1 is the newest; a row of 0 is padding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.events import POSITIVE, Event
from rec.impressions import MAX_LEFT, left_alone
from rec.state import UserState

HEADS = ("click", "cart", "purchase", "dislike")
ACTIONS = ("", "view_item", "select_item", "add_to_cart", "add_to_wishlist", "purchase", "search", "share", "dwell",
           "remove_from_cart", "not_interested")  # fmt: skip
ACTION_CODES = {name: code for code, name in enumerate(ACTIONS)}
WANTED = np.array([name in POSITIVE for name in ACTIONS])  # by code: whether whoever did it turned to the item
GAPS = 24  # buckets of the time between two steps: powers of two of seconds, the last one from 48 days on
MAX_TARGETS = 8  # of one event: an order of a hundred products does not weigh more than a hundred clicks
_HAPPENED = {"add_to_cart": "cart", "purchase": "purchase", "not_interested": "dislike"}

RowOf = Callable[[str], int]  # item_id → row of the item table, 0 if unknown
Codes = npt.NDArray[np.int64]


class Batch(NamedTuple):
    """B examples with L steps each."""

    rows: Codes  # [B, L]
    actions: Codes  # [B, L] indexes into ACTIONS
    gaps: Codes  # [B, L] in [0, GAPS): the time until the next step, at the last one until the example's moment
    targets: Codes  # [B] row of the item acted on
    happened: npt.NDArray[np.float32]  # [B, len(HEADS)]
    wanted: npt.NDArray[np.bool_]  # [B] false where the action says no
    left: Codes  # [B, MAX_LEFT] rows of items that were shown and left alone; 0: none
    bridge: (
        Codes  # [B] in [0, GAPS): the time from the last step but one until the moment, as if the last were not there
    )


def gap_bucket(seconds: float) -> int:
    """
    >>> [gap_bucket(s) for s in (-1, 0, 1, 60, 86_400, 1e9)]
    [1, 1, 2, 6, 17, 23]
    """
    return min(GAPS - 1, int(math.log2(1 + max(0.0, seconds)) + 1))


def empty(count: int, steps: int) -> Batch:
    """Nothing but padding."""
    rows, actions, gaps = (np.zeros((count, steps), np.int64) for _ in range(3))
    happened, wanted = np.zeros((count, len(HEADS)), np.float32), np.ones(count, np.bool_)
    left, targets, bridge = np.zeros((count, MAX_LEFT), np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64)
    return Batch(rows, actions, gaps, targets, happened, wanted, left, bridge)


def write_history(batch: Batch, at: int, state: UserState | None, now: float, row_of: RowOf) -> None:
    """Row `at` of the batch becomes the state's newest steps, as of `now`."""
    steps = batch.rows.shape[1]
    touches = state.history[-steps:] if state is not None else ()
    known = [(row, touch) for touch in touches if (row := row_of(touch.item_id))]
    first = steps - len(known)
    for place, (row, touch) in enumerate(known, first):
        then = known[place - first + 1][1].at if place + 1 < steps else now
        batch.rows[at, place], batch.actions[at, place] = row, ACTION_CODES.get(touch.action, 0)
        batch.gaps[at, place] = gap_bucket(then - touch.at)
    if len(known) > 1:
        batch.bridge[at] = gap_bucket(now - known[-2][1].at)


def write_left(batch: Batch, at: int, state: UserState | None, event: Event, row_of: RowOf) -> None:
    """Row `at` of the batch gets what was shown to this shopper and left alone when the event came."""
    if state is not None:
        rows = [row for item_id in left_alone(state, event) if (row := row_of(item_id))]
        batch.left[at, : len(rows)] = rows


def targets_of(event: Event, row_of: RowOf) -> Iterator[tuple[int, list[float], bool]]:
    """(row, what happened by HEADS, whether it was wanted) of the items of an event, at most MAX_TARGETS of them."""
    if event.event not in POSITIVE and event.event != "not_interested":
        return
    head = _HAPPENED.get(event.event, "click")
    happened = [float(name == head or (name == "click" and event.event in POSITIVE)) for name in HEADS]
    items = event.items[:: max(1, math.ceil(len(event.items) / MAX_TARGETS))]
    for item in items:
        if row := row_of(item.item_id):
            yield row, happened, event.event in POSITIVE
