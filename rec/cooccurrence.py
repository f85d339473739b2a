"""counters → **counts of pairs and items** → candidates. What followed what, what came together, what is popular.

`rec.counters` alone writes here; any thread may read, see `Tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

STEPS = 10  # how far back a rule reaches, and how many last items count as "together"
WHOLE = 2520  # the weight of a rule at distance 1; divisible by 1..10, so sums are whole and exact in any order
DAMPING = 5.0  # co-occurrences below this say little
MOST_MADE = 4_096  # rows that are kept as arrays, of some kB each
TREND = 20  # the half-life of what is popular now, as a part of that of popularity: hours instead of days

Codes = npt.NDArray[np.int32]
Amounts = npt.NDArray[np.float64]


class Linked(NamedTuple):
    """Items linked to some given ones: their codes, how strongly, and which of the given ones each is linked to."""

    codes: Codes
    amounts: Amounts
    origins: Codes  # index into the given ones, ascending


class Row(NamedTuple):
    """What one item is linked to, as arrays of one length, and as of which change of it."""

    version: int
    codes: Codes
    amounts: Amounts


class Links:
    """code → {code: count}. The learner writes the dicts and says so; readers get arrays, made anew after a change."""

    __slots__ = ("_made", "_versions", "rows")

    def __init__(self, rows: list[dict[int, int]] | None = None) -> None:
        self.rows = rows or []
        self._versions = [0] * len(self.rows)
        self._made: dict[int, Row] = {}

    def append(self) -> None:
        """Another item, linked to none."""
        self._versions.append(0)
        self.rows.append({})

    def changed(self, code: int) -> None:
        """To be called after every change of `rows[code]`."""
        self._versions[code] += 1

    def row(self, code: int) -> Row:
        """What an item is linked to. The version is read before the dict: a change in between makes the row anew."""
        version = self._versions[code]
        row = self._made.get(code)
        if row is None or row.version != version:
            counts = self.rows[code].copy()
            row = Row(
                version,
                np.fromiter(counts, np.int32, len(counts)),
                np.fromiter(counts.values(), np.float64, len(counts)),
            )
            if len(self._made) >= MOST_MADE:
                self._made.clear()
            self._made[code] = row
        return row


_NOTHING = Row(0, np.zeros(0, np.int32), np.zeros(0))


class Tables:
    """The counts, by an item's `code`: a dense number of the counters' own, given at its first positive event.

    Reading from another thread than the one that learns is safe without a lock, by three facts: codes are only ever
    appended; `d.copy()` of a dict of ints is one C call that never lets the GIL go, so it sees the dict between two
    updates; arrays that grow or are rescaled are replaced, and single elements are written whole.
    What a reader gets is a moment in the recent past, item by item.

    Pruning keeps an item's strongest SUCCESSORS whenever twice as many have gathered. Counts of pruned pairs start
    anew, so beyond that size the order of events may decide between weak pairs.
    """

    __slots__ = ("code_of", "ids", "neighbours", "popularity", "rules", "seen_at", "support", "trend")

    def __init__(self) -> None:
        self.code_of: dict[str, int] = {}
        self.ids: list[str] = []
        self.rules = Links()  # code → {next code: sum of WHOLE / distance}
        self.neighbours = Links()  # code → {code: trails that held both within STEPS}
        self.support: Amounts = np.zeros(256)  # [codes] trails that an item came into
        self.popularity: Amounts = np.zeros(256)  # [codes] sum of gains, each times 2^(its time in half-lives)
        self.trend: Amounts = np.zeros(256)  # [codes] the same with a half-life TREND times shorter
        self.seen_at: Amounts = np.zeros(256)  # [codes] time of the newest positive action, seconds since 1970

    def __len__(self) -> int:
        return len(self.ids)

    def code(self, item_id: str) -> int:
        """The item's code, a new one if it has none yet. For the learning thread alone; readers use `code_of`."""
        code = self.code_of.get(item_id)
        if code is None:
            code = len(self.ids)
            if code == len(self.support):
                for name in ("support", "popularity", "trend", "seen_at"):
                    setattr(self, name, np.concatenate([getattr(self, name), np.zeros(code)]))
            self.rules.append()
            self.neighbours.append()
            self.ids.append(item_id)  # readers go by the length of `ids`: the rest is there first
            self.code_of[item_id] = code
        return code

    def traffic_of(self, item_id: str) -> float:
        """How much was done with an item, decayed; in units of its own."""
        code = self.code_of.get(item_id)
        return 0.0 if code is None else float(self.popularity[code])

    def rules_from(self, item_ids: Sequence[str]) -> Linked:
        """What followed these items: sums of 1/distance."""
        linked = self._linked(self.rules, item_ids)
        return linked._replace(amounts=linked.amounts / WHOLE)

    def neighbours_of(self, item_ids: Sequence[str]) -> Linked:
        """What came together with these items: a damped cosine in [0, 1]."""
        codes, counts, origins = self._linked(self.neighbours, item_ids)
        own = np.array([self.support[self.code_of[i]] if i in self.code_of else 0.0 for i in item_ids])
        cosine = counts / np.sqrt(np.maximum(1.0, own[origins] * self.support[codes]))
        return Linked(codes, np.minimum(1.0, cosine) * counts / (counts + DAMPING), origins)

    def _linked(self, links: Links, item_ids: Sequence[str]) -> Linked:
        rows = [links.row(code) if (code := self.code_of.get(i)) is not None else _NOTHING for i in item_ids]
        rows = rows or [_NOTHING]
        return Linked(
            np.concatenate([row.codes for row in rows]),
            np.concatenate([row.amounts for row in rows]),
            np.repeat(np.arange(len(rows), dtype=np.int32), [len(row.codes) for row in rows]),
        )
