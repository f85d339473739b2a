"""rules + audience + shopper → **permission** → matches. What a search may show at all, and what the shop wants where.

The same orders as on lists (rec.policy.rules, rec.policy.audience). An exclusion, an age or a region holds for every
search and for suggestions. What boosts and buries moves what was found, for who sorts by relevance. A pin of a rule
that names the placement `search` stands in every search; one of a rule for all placements where it was found. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.policy.chain import free_place
from rec.policy.rules import NOTHING, Orders, Pin
from rec.recommend import World, may_use, permit
from rec.state import UserState

PLACEMENT = "search"


class Permission(NamedTuple):
    """What holds for one shopper at one moment, by the rows of a catalog."""

    allowed: Mask  # [size] known, excluded by no rule, and for people like them; in stock or not
    orders: Orders = NOTHING

    @property
    def pinned(self) -> Mask | None:
        """[size] what may stand in a search that did not find it; None if nothing may."""
        named = [pin.rows for pin in self.orders.pins if pin.named]
        if not named:
            return None
        mask = np.zeros(len(self.allowed), np.bool_)
        mask[np.concatenate(named)] = True
        return mask

    def policy(self, row: int) -> tuple[str, ...]:
        """The rules that lift this row."""
        return tuple(f"boost:{rule_id}" for rule_id, mask in self.orders.lifting if mask[row])


class Seat(NamedTuple):
    """One place of a list: where the item was found (None: it was not), its row, and the rule that pins it there."""

    at: int | None
    row: int
    rule_id: str | None = None


def permission(view: View, state: UserState | None, world: World, now: float) -> Permission:
    """Without state or consent that of a stranger, who has not said how old they are, or where."""
    allowed = world.scenes.keep(view.known.copy(), view, PLACEMENT)
    known = state if state is not None and may_use(state, world.rules) else None
    return Permission(allowed, permit(allowed, view, PLACEMENT, known, world, now))


def seated(rows: Ints, pins: Sequence[Pin], allowed: Mask, popularity: Floats) -> list[Seat]:
    """The rows found [m], best first, with what is pinned at its place or the next one that is free; a place behind
    the end is the end. Of each pin the row that was found best, else the most popular one that is `allowed`."""
    found = [Seat(at, row) for at, row in enumerate(rows.tolist())]
    if not pins:
        return found
    rank = np.full(len(allowed), len(rows), np.int32)
    rank[rows] = np.arange(len(rows))
    fixed: dict[int, Seat] = {}
    for pin in pins:
        open_to = pin.rows[allowed[pin.rows]]
        open_to = open_to[~np.isin(open_to, [seat.row for seat in fixed.values()])]
        if not pin.named:
            open_to = open_to[rank[open_to] < len(rows)]
        if not len(open_to):
            continue
        row = int(open_to[np.lexsort((open_to, -popularity[open_to], rank[open_to]))[0]])
        fixed[free_place(pin.place, fixed)] = Seat(int(rank[row]) if rank[row] < len(rows) else None, row, pin.rule_id)
    taken = {seat.row for seat in fixed.values()}
    out = [seat for seat in found if seat.row not in taken]
    for place in sorted(fixed):
        out.insert(place, fixed[place])
    return out
