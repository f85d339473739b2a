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
from rec.cooccurrence import STEPS, Amounts, Linked
from rec.events import ACTIONS, POSITIVE
from rec.interest import Interest
from rec.likeness import ItemLikeness, Mean
from rec.shelf import DEPTH, Shelf, top
from rec.state import FoldRules, UserState

SOURCES = ("rules", "knn", "history", "content", "interest", "sequence", "popular")  # the columns of a pool
RULES_FROM = 5  # last items whose rules speak
RULES_DAMPING = 10.0
TASTE_FROM = 50  # last items whose neighbours make up what a shopper likes in the long run
TASTE_RECENCY = 0.9
RECENCY = 0.75  # each item further back says this much less about what the shopper is after
_FADING = 1 / np.arange(1.0, STEPS + 1)  # the second newest says half as much as the newest
_TASTE_FADING = TASTE_RECENCY ** np.arange(TASTE_FROM, dtype=np.float64)


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


# ---------------------------------------------------------------- sources
class Found(NamedTuple):
    """What a source names: rows, how much speaks for each (equal rows add up), and the anchor it follows from."""

    rows: Ints
    scores: Floats
    anchors: Ints  # index into the list of anchors, ascending


def by_rules(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What followed the last items, by streaming sequential rules (Ludewig & Jannach 2018, "SR").

    Shares of what followed, damped: an item that was followed only once or twice has little to say.
    """
    linked = shelf.tables.rules_from([anchor.item_id for anchor in anchors[:RULES_FROM]])
    totals = np.bincount(linked.origins, weights=linked.amounts, minlength=1) + RULES_DAMPING
    return _faded(*_placed(shelf, linked._replace(amounts=linked.amounts / totals[linked.origins])))


def by_neighbours(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What came together with the last items: item-kNN over the last 10."""
    linked = shelf.tables.neighbours_of([anchor.item_id for anchor in anchors[:STEPS]])
    return _faded(*_placed(shelf, linked))


def by_taste(shelf: Shelf, anchors: Sequence[Anchor]) -> Found:
    """What came together with any of the last 50 items. They fade slowly: a taste, not what is being looked for now.

    Who rates films or buys for a shop has a long history, and the last ten items of it say less than all of them.
    """
    return by_neighbours_and_taste(shelf, anchors)[1]


def by_neighbours_and_taste(shelf: Shelf, anchors: Sequence[Anchor]) -> tuple[Found, Found]:
    """Both, which look up the same counts."""
    linked = shelf.tables.neighbours_of([anchor.item_id for anchor in anchors[:TASTE_FROM]])
    rows, amounts, origins = _placed(shelf, linked)
    first = int(np.searchsorted(origins, STEPS))
    return _faded(rows[:first], amounts[:first], origins[:first]), _faded(rows, amounts, origins, _TASTE_FADING)


def _faded(rows: Ints, amounts: Amounts, origins: Ints, fading: Amounts = _FADING) -> Found:
    """The more recent the anchor, the more it counts. `fading` [anchors or more]."""
    return Found(rows, (amounts * fading[origins]).astype(np.float32), origins)


def _placed(shelf: Shelf, linked: Linked) -> Linked:
    """Codes become rows, where the catalog has the item."""
    if int(linked.codes.max(initial=-1)) >= len(shelf.row_of_code):  # first counted after the shelf was made
        linked = _where(linked, linked.codes < len(shelf.row_of_code))
    placed = linked._replace(codes=shelf.row_of_code[linked.codes])
    return placed if int(placed.codes.min(initial=0)) >= 0 else _where(placed, placed.codes >= 0)


def _where(linked: Linked, mask: Mask) -> Linked:
    return Linked(linked.codes[mask], linked.amounts[mask], linked.origins[mask])


def by_history(view: View, anchors: Sequence[Anchor]) -> Found:
    """The shopper's own items, the most recent first: people come back to what they looked at."""
    rows = np.array([-1 if (row := view.row(anchor.item_id)) is None else row for anchor in anchors], np.int32)
    there = np.flatnonzero(rows >= 0).astype(np.int32)
    return Found(rows[there], np.float32(1.0) / (1 + there).astype(np.float32), there)


def by_content(view: View, users: Sequence[Sequence[Anchor]], kept: ItemLikeness | None = None) -> list[Floats | None]:
    """Likeness [size] to the recency-weighted mean of each user's last items.

    None for a user without a vector to go by. Exact, with what is `kept` of earlier lists as without it, but for
    rounding: at this size a matrix product beats any index.
    """
    means = [_weighed(view, anchors) for anchors in users]
    some = [mean for mean in means if mean is not None]
    scores = (ItemLikeness(0) if kept is None else kept).of(view, some)
    for each in scores:
        np.maximum(each, 0.0, out=each)
    rows = iter(scores)
    return [None if mean is None else next(rows) for mean in means]


def profile(view: View, anchors: Sequence[Anchor]) -> Floats | None:
    """Unit vector [dim] of what the last items are about; None if none of them has a vector."""
    mean = _weighed(view, anchors)
    return None if mean is None else _vector(view, mean)


def _vector(view: View, mean: Mean) -> Floats:
    vector: Floats = np.array(mean.weights, np.float32) @ view.vectors[list(mean.rows)]
    return vector


def _weighed(view: View, anchors: Sequence[Anchor]) -> Mean | None:
    """The last items with a vector, weighed so that their mean has unit length; None if there are none."""
    weights, rows = [], []
    for place, anchor in enumerate(anchors[:STEPS]):
        row = view.row(anchor.item_id)
        if row is not None and view.has_vector[row]:
            weights.append(RECENCY**place * ACTIONS[anchor.action].gain ** 0.5)
            rows.append(row)
    if not rows:
        return None
    length = float(np.linalg.norm(_vector(view, Mean(rows, weights))))
    return Mean(rows, [weight / length for weight in weights]) if length > 0 else None


def by_interest(
    shelf: Shelf, state: UserState, anchors: Sequence[Anchor], now: float, rules: FoldRules
) -> Floats | None:
    """[size]: the categories and brands this shopper keeps returning to, popular items of them first.

    Works from the first event on and without vectors; with them, an item without a category is of its kin's (rec.kin).
    Below 0 where they said no. None without any interest.
    """
    view = shelf.view
    last = [row for anchor in anchors[:STEPS] if (row := view.row(anchor.item_id)) is not None]
    if rules.sensitive:
        sensitive = {view.categories.get(name, -1) for name in rules.sensitive}
        last = [row for row in last if int(shelf.kin[row]) not in sensitive]
    by_category = _leanings(state.categories, view.categories, shelf.kin[last], now, rules)
    by_brand = _leanings(state.brands, view.brands, view.brand[last], now, rules)
    if by_category is None and by_brand is None:
        return None
    leaning = np.zeros(view.size, np.float32)
    if by_category is not None:
        leaning += by_category[shelf.kin]
    if by_brand is not None:
        leaning += np.float32(0.3) * by_brand[view.brand]
    leaning *= shelf.pull
    return leaning


def _leanings(
    kept: Mapping[str, Interest], codes: Mapping[str, int], last: Ints, now: float, rules: FoldRules
) -> Floats | None:
    """[codes]: leanings in (-1, 1) from three clocks: the last clicks (`last`, newest first), the hour, the months.

    The first makes a list follow a shopper who turns to something else, long before the hour has forgotten.
    """
    out = np.zeros(len(codes), np.float32)
    for name, interest in kept.items():
        if code := codes.get(name):
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
    place: Ints  # [size], where each row of the catalog is among `rows`, counted from 1; 0 where it is not

    def sums(self, rows: Ints, scores: Floats) -> Amounts:
        """[m]: `scores` added up by candidate, given the row of each; those of other rows are left out."""
        sums = np.bincount(self.place[rows], weights=scores, minlength=len(self.rows) + 1)
        return sums[1:].astype(np.float64, copy=False)


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
    place = np.zeros(shelf.view.size, np.int32)
    place[rows] = np.arange(1, len(rows) + 1, dtype=np.int32)
    pool = Pool(rows, np.zeros((len(SOURCES), len(rows)), np.float32).T, place)  # a source's numbers side by side
    for column, source in enumerate(SOURCES):
        if source == "popular":
            pool.features[:, column] = shelf.popularity[rows]
        elif source in dense:
            pool.features[:, column] = dense[source][rows]
        elif (f := found.get(source)) is not None and len(f.rows):
            pool.features[:, column] = pool.sums(f.rows, f.scores)
    return pool
