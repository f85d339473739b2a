"""catalog + counts → **shelf** → candidates. The two side by side, and what is popular, for all lists of a moment.

Pure. Invariants: only rows of the view occur; among equals the newest comes first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.cooccurrence import Amounts, Tables
from rec.kin import kin_of
from rec.kinds import AD_KIND, ARTICLE, VIDEO

DEPTH = 200  # candidates taken from each source that has a number for every row
_BLOCK = 64
_TINY = float(np.finfo(np.float32).tiny)


class Shelf(NamedTuple):
    """Catalog and counts side by side: whose row is which code, and what is popular."""

    view: View
    tables: Tables
    row_of_code: Ints  # [codes], -1 where the catalog has no such item
    popularity: Floats  # [size], the most popular listed item at 1
    trend: Floats  # [size], the same for what is popular now
    support: Floats  # [size], how many shoppers came to it
    evidence: Floats  # [3, size], support, popularity and trend on a logarithmic scale
    pull: Floats  # [size], what a popular item gains where its category or brand speaks for it
    seen_at: Amounts  # [size], when somebody last did; 0 if nobody
    kin: Ints  # [size], the category of each row, or of what its text is like where it has none (rec.kin)
    popular_rows: Ints  # the first listed rows by popularity, then by novelty
    hot_rows: Ints  # the first listed rows by what is popular now, and those acted on last


def shelf(view: View, tables: Tables, before: Shelf | None = None, leaders: int = 4 * DEPTH) -> Shelf:
    """Align a catalog and the counts. `before`, an earlier result, saves looking up again what it already knows."""
    n = len(tables)
    same = before is not None and before.tables is tables and before.view.ids is view.ids
    row_of_code = np.full(n, -1, np.int32)
    if same and before is not None:
        known = len(before.row_of_code)
        row_of_code[:known] = before.row_of_code
        for row in range(before.view.size, view.size):
            if (code := tables.code_of.get(view.ids[row], n)) < known:
                row_of_code[code] = row
    else:
        known = 0
    ids, row_of = tables.ids, view.row_of
    row_of_code[known:] = [row_of.get(ids[code], view.size) for code in range(known, n)]
    row_of_code[row_of_code >= view.size] = -1
    there = np.flatnonzero(row_of_code >= 0)
    rows = row_of_code[there]

    def by_row(counts: Amounts) -> Amounts:
        out = np.zeros(view.size)
        out[rows] = counts[there]
        return out

    popularity, trend = _scaled(by_row(tables.popularity), view.listed), _scaled(by_row(tables.trend), view.listed)
    seen_at, support = by_row(tables.seen_at), by_row(tables.support).astype(np.float32)
    return Shelf(
        view,
        tables,
        row_of_code,
        popularity,
        trend,
        support,
        np.stack([log_evidence(support, 1.0) / 2, log_evidence(popularity, 0.001), log_evidence(trend, 0.001)]),
        np.float32(0.5) + np.sqrt(popularity),
        seen_at,
        _kin(view, before),
        leading(popularity, view.born, view.listed, leaders),
        np.concatenate([top(trend, view.listed, DEPTH), top(_lateness(seen_at), view.listed, DEPTH)]),
    )


def _kin(view: View, before: Shelf | None) -> Ints:
    """As before, where nothing that it follows from has changed: a price has not. What is read or sold as an ad has no
    part in it, so that a product is of no category that products are not of."""
    if before is not None and before.view.ids is view.ids and before.view.size == view.size:
        names = ("category", "kind", "known", "has_vector")
        if all(np.array_equal(getattr(before.view, name), getattr(view, name)) for name in names):
            return before.kin
    others = [code for kind, code in view.kinds.items() if kind in (ARTICLE, VIDEO, AD_KIND)]
    there = view.known & view.has_vector
    return kin_of(view.category, there & ~np.isin(view.kind, others) if others else there, view.vectors)


def log_evidence(amounts: Floats, unit: float) -> Floats:
    """0 at 0, about linear below `unit`, logarithmic above it."""
    scaled: Floats = np.log1p(amounts / np.float32(unit)).astype(np.float32)
    return scaled


def _lateness(seen_at: Amounts) -> Floats:
    """1 for what was acted on last, less for what was before, 0 for never."""
    late: Floats = np.where(seen_at > 0, 1 / (1 + seen_at.max(initial=0.0) - seen_at), 0.0).astype(np.float32)
    return late


def _scaled(sums: Amounts, listed: Mask) -> Floats:
    """The largest of the listed ones becomes 1."""
    most = float(sums.max(where=listed, initial=0.0))
    return (np.minimum(sums / most, 1.0) if most > 0 else sums).astype(np.float32)


def leading(popularity: Floats, born: Ints, eligible: Mask, n: int) -> Ints:
    """The first n eligible rows by popularity, and among equals the newest first."""
    rows = np.flatnonzero(eligible)
    if len(rows) > 4 * n:  # sort only those that can be among the first
        bar = np.partition(popularity[rows], len(rows) - n)[len(rows) - n]
        above = rows[popularity[rows] > bar]
        level = rows[popularity[rows] == bar]
        missing = n - len(above)
        if len(level) > missing:
            level = level[np.argpartition(-born[level], missing - 1)[:missing]] if missing else level[:0]
        rows = np.concatenate([above, level])
    return rows[np.lexsort((-born[rows], -popularity[rows]))][:n].astype(np.int32)


def tail(shelf: Shelf, eligible: Mask, n: int) -> Ints:
    """What a list ends with when nothing else speaks: popular, then newest. As many as there are, at most n."""
    rows = shelf.popular_rows[eligible[shelf.popular_rows]]
    return rows[:n] if len(rows) >= n else leading(shelf.popularity, shelf.view.born, eligible, n)


def top(scores: Floats, eligible: Mask, k: int) -> Ints:
    """The eligible rows with the k largest scores above 0, in no order.

    Exact: the k-th largest of the maxima of blocks cannot exceed the k-th largest of all, and leaves few to sort.
    """
    masked = np.where(eligible, scores, np.float32(0.0))
    if (blocks := len(masked) // _BLOCK) > k:
        maxima = masked[: blocks * _BLOCK].reshape(blocks, _BLOCK).max(axis=1)
        bar = max(float(np.partition(maxima, blocks - k)[blocks - k]), _TINY)
        rows = np.flatnonzero(masked >= bar)
    else:
        rows = np.flatnonzero(masked > 0)
    if len(rows) > k:
        rows = rows[np.argpartition(masked[rows], len(rows) - k)[len(rows) - k :]]
    return rows.astype(np.int32)
