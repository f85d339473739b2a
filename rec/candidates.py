"""state + counts + catalog → **candidates** → ranking. Where the items of a list can come from.

Each source answers the same question, "what speaks for which row?", in one of two shapes: a `Found` names some rows
and what speaks for them; an array [size] has a number for every row of the catalog. `gather` joins them into a `Pool`,
a table of candidates × sources that the ranking reads. Everything here is pure and changes none of its arguments.
Invariants: numbers are finite, larger is better, 0 says nothing; only rows of the view occur.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Floats, Ints, Mask, View
from rec.counters import STEPS, Tables
from rec.events import ACTIONS, POSITIVE
from rec.state import FoldRules, Interest, UserState

SOURCES = ("rules", "knn", "history", "content", "interest", "popular")  # the columns of a pool
DEPTH = 200  # candidates taken from each source that has a number for every row
RULES_FROM = 5  # last items whose rules speak
RULES_DAMPING = 3.0
_EMPTY = np.zeros(0, np.int32)


# ---------------------------------------------------------------- what a list is made from
class Anchor(NamedTuple):
    """An item of which something follows for others: one the shopper acted on, or the one on the page."""

    item_id: str
    at: float  # when last
    times: int
    action: str  # the strongest of the actions on it


def anchors_of(state: UserState) -> list[Anchor]:
    """The items acted on with a positive action, each once, the most recent first. Hidden ones are no anchors."""
    kept: dict[str, Anchor] = {}
    for at, item_id, action in reversed(state.history):
        if action not in POSITIVE:
            continue
        known = kept.get(item_id)
        if known is None:
            if state.hidden.get(item_id, -1.0) < at:
                kept[item_id] = Anchor(item_id, at, 1, action)
        else:
            stronger = action if ACTIONS[action].gain > ACTIONS[known.action].gain else known.action
            kept[item_id] = Anchor(item_id, known.at, known.times + 1, stronger)
    return list(kept.values())


class Shelf(NamedTuple):
    """Catalog and counts side by side: whose row is which code, and what is popular."""

    view: View
    tables: Tables
    row_of_code: Ints  # [codes], -1 where the catalog has no such item
    popularity: Floats  # [size], the most popular listed item at 1
    popular_rows: Ints  # the first listed rows by popularity, then by novelty


def shelf(view: View, tables: Tables, before: Shelf | None = None, top: int = 4 * DEPTH) -> Shelf:
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
    ids, rows = tables.ids, view.row_of
    row_of_code[known:] = [rows.get(ids[code], view.size) for code in range(known, n)]
    row_of_code[row_of_code >= view.size] = -1
    there = np.flatnonzero(row_of_code >= 0)
    popularity = np.zeros(view.size)
    popularity[row_of_code[there]] = tables.popularity[there]
    most = float(popularity.max(where=view.listed, initial=0.0))
    scaled = (np.minimum(popularity / most, 1.0) if most > 0 else popularity).astype(np.float32)
    return Shelf(view, tables, row_of_code, scaled, _leaders(scaled, view.born, view.listed, top))


def _leaders(popularity: Floats, born: Ints, eligible: Mask, n: int) -> Ints:
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
    return rows[:n] if len(rows) >= n else _leaders(shelf.popularity, shelf.view.born, eligible, n)


# ---------------------------------------------------------------- sources
class Found(NamedTuple):
    """What a source names: rows, how much speaks for each (equal rows add up), and the anchor it follows from."""

    rows: Ints
    scores: Floats
    anchors: Ints  # index into the list of anchors


def _joined(parts: Sequence[tuple[Ints, npt.NDArray[np.floating], int]]) -> Found:
    if not parts:
        return Found(_EMPTY, np.zeros(0, np.float32), _EMPTY)
    return Found(
        np.concatenate([rows for rows, _, _ in parts]).astype(np.int32),
        np.concatenate([scores for _, scores, _ in parts]).astype(np.float32),
        np.concatenate([np.full(len(rows), anchor, np.int32) for rows, _, anchor in parts]),
    )


def by_rules(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What followed the last items, by streaming sequential rules (Ludewig & Jannach 2018, "SR").

    Shares of what followed, damped: an item that was followed only once or twice has little to say.
    """
    parts = []
    for place, anchor in enumerate(anchors[:RULES_FROM]):
        codes, counts = shelf.tables.rules_from(anchor.item_id)
        shares = counts / ((counts.sum() + RULES_DAMPING) * (1 + place))
        rows = _rows(shelf, codes)
        parts.append((rows[rows >= 0], shares[rows >= 0], place))
    return _joined(parts)


def by_neighbours(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What came together with the last items, the more recent the more: item-kNN over the last 10."""
    parts = []
    for place, anchor in enumerate(anchors[:STEPS]):
        codes, likeness = shelf.tables.neighbours_of(anchor.item_id)
        rows = _rows(shelf, codes)
        parts.append((rows[rows >= 0], likeness[rows >= 0] / (1 + place), place))
    return _joined(parts)


def by_history(view: View, anchors: Sequence[Anchor]) -> Found:
    """The shopper's own items, the most recent first: people come back to what they looked at."""
    parts = []
    for place, anchor in enumerate(anchors):
        if (row := view.row(anchor.item_id)) is not None:
            parts.append((np.array([row], np.int32), np.array([1.0 / (1 + place)]), place))
    return _joined(parts)


def by_content(view: View, users: Sequence[Sequence[Anchor]]) -> list[Floats | None]:
    """Likeness [size] to the recency-weighted mean of each user's last items, in one matrix product for all users.

    None for a user without a vector to go by. Exact: at this size a matrix product beats any index.
    """
    profiles = [profile(view, anchors) for anchors in users]
    some = [p for p in profiles if p is not None]
    if not some:
        return [None] * len(profiles)
    scores = np.stack(some) @ view.vectors.T
    np.maximum(scores, 0.0, out=scores)
    scores[:, ~view.has_vector] = 0.0
    rows = iter(scores)
    return [None if p is None else next(rows) for p in profiles]


def profile(view: View, anchors: Sequence[Anchor]) -> Floats | None:
    """Unit vector [dim] of what the last items are about; None if none of them has a vector."""
    weights, rows = [], []
    for place, anchor in enumerate(anchors[:STEPS]):
        row = view.row(anchor.item_id)
        if row is not None and view.has_vector[row]:
            weights.append(0.8**place * ACTIONS[anchor.action].gain ** 0.5)
            rows.append(row)
    if not rows:
        return None
    mean: Floats = np.array(weights, np.float32) @ view.vectors[rows]
    length = float(np.linalg.norm(mean))
    return mean / np.float32(length) if length > 0 else None


def by_interest(shelf: Shelf, state: UserState, now: float, rules: FoldRules) -> Floats | None:
    """[size]: the categories and brands this shopper keeps returning to, popular items of them first.

    Works from the first event on and without vectors. Below 0 where they said no. None without any interest.
    """
    view = shelf.view
    by_category = _leanings(state.categories, view.categories, now, rules)
    by_brand = _leanings(state.brands, view.brands, now, rules)
    if by_category is None and by_brand is None:
        return None
    leaning = np.zeros(view.size, np.float32)
    if by_category is not None:
        leaning += by_category[view.category]
    if by_brand is not None:
        leaning += np.float32(0.3) * by_brand[view.brand]
    return leaning * (np.float32(0.5) + np.sqrt(shelf.popularity))


def _leanings(kept: Mapping[str, Interest], codes: Mapping[str, int], now: float, rules: FoldRules) -> Floats | None:
    """[codes]: interests as of now, squeezed into (-1, 1): what matters now counts for more than what once did."""
    out = np.zeros(len(codes), np.float32)
    for name, interest in kept.items():
        code = codes.get(name)
        if code:
            short, long = interest.as_of(now, rules)
            out[code] = 0.7 * short / (2.0 + abs(short)) + 0.3 * long / (2.0 + abs(long))
    return out if out.any() else None


def _rows(shelf: Shelf, codes: Ints) -> Ints:
    rows = np.full(len(codes), -1, np.int32)
    old = codes < len(shelf.row_of_code)  # a code may be younger than the shelf
    rows[old] = shelf.row_of_code[codes[old]]
    return rows


# ---------------------------------------------------------------- the pool
class Pool(NamedTuple):
    """The candidates of one list: row by row, what each source says. Eligible rows only, each once."""

    rows: Ints  # [m], ascending
    features: Floats  # [m, len(SOURCES)], raw scores


def gather(found: Mapping[str, Found], dense: Mapping[str, Floats], eligible: Mask, depth: int = DEPTH) -> Pool:
    """Join the sources: all that was named, and the first `depth` of those that have a number for every row."""
    parts = [f.rows for f in found.values()] + [top(scores, eligible, depth) for scores in dense.values()]
    rows = np.unique(np.concatenate(parts)) if parts else _EMPTY
    rows = rows[eligible[rows]]
    features = np.zeros((len(rows), len(SOURCES)), np.float32)
    for column, source in enumerate(SOURCES):
        if source in dense:
            features[:, column] = dense[source][rows]
        elif (f := found.get(source)) is not None and len(f.rows) and len(rows):
            place = np.minimum(np.searchsorted(rows, f.rows), len(rows) - 1)
            here = rows[place] == f.rows
            features[:, column] = np.bincount(place[here], weights=f.scores[here], minlength=len(rows))
    return Pool(rows.astype(np.int32), features)


def top(scores: Floats, eligible: Mask, k: int) -> Ints:
    """The eligible rows with the k largest scores above 0, in no order."""
    masked = np.where(eligible, scores, np.float32(0.0))
    if len(masked) > k:
        rows = np.argpartition(masked, len(masked) - k)[len(masked) - k :]
        return rows[masked[rows] > 0].astype(np.int32)
    return np.flatnonzero(masked > 0).astype(np.int32)
