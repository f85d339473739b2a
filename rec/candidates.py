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

from rec.catalog import Floats, Ints, Mask, View
from rec.cooccurrence import STEPS, Amounts, Linked, Tables
from rec.events import ACTIONS, POSITIVE
from rec.state import FoldRules, Interest, UserState

SOURCES = ("rules", "knn", "history", "content", "interest", "sequence", "popular")  # the columns of a pool
DEPTH = 200  # candidates taken from each source that has a number for every row
RULES_FROM = 5  # last items whose rules speak
RULES_DAMPING = 10.0
TASTE_FROM = 50  # last items whose neighbours make up what a shopper likes in the long run
TASTE_RECENCY = 0.9
RECENCY = 0.75  # each item further back says this much less about what the shopper is after
_BLOCK = 64
_FADING = 1 / np.arange(1.0, STEPS + 1)  # the second newest says half as much as the newest
_TINY = float(np.finfo(np.float32).tiny)


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
    trend: Floats  # [size], the same for what is popular now
    support: Floats  # [size], how many shoppers came to it
    seen_at: Amounts  # [size], when somebody last did; 0 if nobody
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
    seen_at = by_row(tables.seen_at)
    return Shelf(
        view,
        tables,
        row_of_code,
        popularity,
        trend,
        by_row(tables.support).astype(np.float32),
        seen_at,
        _leaders(popularity, view.born, view.listed, leaders),
        np.concatenate([top(trend, view.listed, DEPTH), top(_lateness(seen_at), view.listed, DEPTH)]),
    )


def _lateness(seen_at: Amounts) -> Floats:
    """1 for what was acted on last, less for what was before, 0 for never."""
    late: Floats = np.where(seen_at > 0, 1 / (1 + seen_at.max(initial=0.0) - seen_at), 0.0).astype(np.float32)
    return late


def _scaled(sums: Amounts, listed: Mask) -> Floats:
    """The largest of the listed ones becomes 1."""
    most = float(sums.max(where=listed, initial=0.0))
    return (np.minimum(sums / most, 1.0) if most > 0 else sums).astype(np.float32)


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


def by_rules(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What followed the last items, by streaming sequential rules (Ludewig & Jannach 2018, "SR").

    Shares of what followed, damped: an item that was followed only once or twice has little to say.
    """
    linked = shelf.tables.rules_from([anchor.item_id for anchor in anchors[:RULES_FROM]])
    totals = np.bincount(linked.origins, weights=linked.amounts, minlength=1) + RULES_DAMPING
    return _found(shelf, linked, linked.amounts / totals[linked.origins])


def by_neighbours(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What came together with the last items: item-kNN over the last 10."""
    linked = shelf.tables.neighbours_of([anchor.item_id for anchor in anchors[:STEPS]])
    return _found(shelf, linked, linked.amounts)


def by_taste(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What came together with any of the last 50 items. They fade slowly: a taste, not what is being looked for now.

    Who rates films or buys for a shop has a long history, and the last ten items of it say less than all of them.
    """
    return by_neighbours_and_taste(shelf, anchors)[1]


def by_neighbours_and_taste(shelf: Shelf, anchors: Sequence[Anchor]) -> tuple[Found, Found]:
    """Both, which look up the same counts."""
    linked = shelf.tables.neighbours_of([anchor.item_id for anchor in anchors[:TASTE_FROM]])
    first = int(np.searchsorted(linked.origins, STEPS))
    near = Linked(linked.codes[:first], linked.amounts[:first], linked.origins[:first])
    fading = TASTE_RECENCY ** np.arange(TASTE_FROM, dtype=np.float64)
    return _found(shelf, near, near.amounts), _found(shelf, linked, linked.amounts, fading)


def _found(shelf: Shelf, linked: Linked, amounts: Amounts, fading: Amounts = _FADING) -> Found:
    """Codes become rows; the more recent the anchor, the more it counts. `fading` [anchors or more]."""
    young = linked.codes >= len(shelf.row_of_code)  # first counted after the shelf was made
    rows = shelf.row_of_code[np.where(young, 0, linked.codes)] if len(shelf.row_of_code) else linked.codes
    there = (rows >= 0) & ~young
    scores = (amounts * fading[linked.origins]).astype(np.float32)
    return Found(rows[there], scores[there], linked.origins[there])


def by_history(view: View, anchors: Sequence[Anchor]) -> Found:
    """The shopper's own items, the most recent first: people come back to what they looked at."""
    rows = np.array([-1 if (row := view.row(anchor.item_id)) is None else row for anchor in anchors], np.int32)
    there = np.flatnonzero(rows >= 0).astype(np.int32)
    return Found(rows[there], np.float32(1.0) / (1 + there).astype(np.float32), there)


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
    scores *= view.has_vector  # a vector may be on its way into the array just now
    rows = iter(scores)
    return [None if p is None else next(rows) for p in profiles]


def profile(view: View, anchors: Sequence[Anchor]) -> Floats | None:
    """Unit vector [dim] of what the last items are about; None if none of them has a vector."""
    weights, rows = [], []
    for place, anchor in enumerate(anchors[:STEPS]):
        row = view.row(anchor.item_id)
        if row is not None and view.has_vector[row]:
            weights.append(RECENCY**place * ACTIONS[anchor.action].gain ** 0.5)
            rows.append(row)
    if not rows:
        return None
    mean: Floats = np.array(weights, np.float32) @ view.vectors[rows]
    length = float(np.linalg.norm(mean))
    return mean / np.float32(length) if length > 0 else None


def by_interest(
    shelf: Shelf, state: UserState, anchors: Sequence[Anchor], now: float, rules: FoldRules
) -> Floats | None:
    """[size]: the categories and brands this shopper keeps returning to, popular items of them first.

    Works from the first event on and without vectors. Below 0 where they said no. None without any interest.
    """
    view = shelf.view
    last = [row for anchor in anchors[:STEPS] if (row := view.row(anchor.item_id)) is not None]
    if rules.sensitive:
        last = [row for row in last if view.items[row].category not in rules.sensitive]
    by_category = _leanings(state.categories, view.categories, view.category[last], now, rules)
    by_brand = _leanings(state.brands, view.brands, view.brand[last], now, rules)
    if by_category is None and by_brand is None:
        return None
    leaning = np.zeros(view.size, np.float32)
    if by_category is not None:
        leaning += by_category[view.category]
    if by_brand is not None:
        leaning += np.float32(0.3) * by_brand[view.brand]
    leaning *= np.float32(0.5) + np.sqrt(shelf.popularity)
    return leaning


def _leanings(
    kept: Mapping[str, Interest], codes: Mapping[str, int], last: Ints, now: float, rules: FoldRules
) -> Floats | None:
    """[codes]: leanings in (-1, 1) from three clocks: the last clicks (`last`, newest first), the hour, the months.

    The first makes a list follow a shopper who turns to something else, long before the hour has forgotten.
    """
    out = np.zeros(len(codes), np.float32)
    for name, interest in kept.items():
        code = codes.get(name)
        if code:
            short, long = interest.as_of(now, rules)
            out[code] = 0.2 * short / (2.0 + abs(short)) + 0.2 * long / (2.0 + abs(long))
    if len(last):
        weights = RECENCY ** np.arange(len(last), dtype=np.float64)
        out += 0.6 * np.bincount(last, weights=weights / weights.sum(), minlength=len(codes)).astype(np.float32)
        out[0] = 0.0  # no category is no interest
    return out if out.any() else None


# ---------------------------------------------------------------- the pool
class Pool(NamedTuple):
    """The candidates of one list: row by row, what each source says. Eligible rows only, each once."""

    rows: Ints  # [m], ascending
    features: Floats  # [m, len(SOURCES)], raw scores


def gather(
    shelf: Shelf,
    found: Mapping[str, Found],
    dense: Mapping[str, Floats],
    eligible: Mask,
    depth: int = DEPTH,
) -> Pool:
    """Join the sources: all that was named, the first `depth` of those with a number for every row, and what is
    popular, in days or just now."""
    named = [f.rows for f in found.values()] + [top(scores, eligible, depth) for scores in dense.values()]
    popular = shelf.popular_rows[eligible[shelf.popular_rows]][:depth]
    chosen = np.zeros(len(eligible), np.bool_)  # marking is cheaper than sorting
    for part in (*named, popular):
        chosen[part] = True
    chosen[shelf.hot_rows] = True
    return pooled(shelf, found, dense, np.flatnonzero(chosen & eligible).astype(np.int32))


def pooled(shelf: Shelf, found: Mapping[str, Found], dense: Mapping[str, Floats], rows: Ints) -> Pool:
    """What every source says of these rows [m], ascending, and of no others."""
    place = np.full(shelf.view.size, -1, np.int32)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    features = np.zeros((len(rows), len(SOURCES)), np.float32)
    for column, source in enumerate(SOURCES):
        if source == "popular":
            features[:, column] = shelf.popularity[rows]
        elif source in dense:
            features[:, column] = dense[source][rows]
        elif (f := found.get(source)) is not None and len(f.rows) and len(rows):
            here = place[f.rows] >= 0
            features[:, column] = np.bincount(place[f.rows[here]], weights=f.scores[here], minlength=len(rows))
    return Pool(rows, features)


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
