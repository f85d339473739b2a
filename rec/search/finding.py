"""query → reading → candidates → fusion → the shopper → **matches**. One search, from the words to the order.

    read        words, spellings, synonyms, a price or an order named in them rec.search.reading
    permit      rules that exclude, age, region                               rec.search.permission
    retrieve    BM25 from the index, likeness from the vectors, exact ids     rec.search.lexical
    find        what has at least half of the query, is near, or was clicked; the rest follows, and is not counted
    filter      category, brand, price, stock                                 rec.search.filters
    count       all that was found, in stock or not; each facet without its own filter   rec.search.facets
    fuse        reciprocal ranks, clicks, learned weights                     rec.search.fusion
    person      what the shopper's state says of them, within a bound         rec.search.personal
    order       exact matches first whatever else; or the sort asked for      rec.search.ordering

Pure but for caches; safe while another thread changes the catalog, not the index. Invariants: an item is there at most
once, is permitted, and passes the filters that are not ignored; what was found is before what was not; taste moves an
item by at most `TASTE`, and never above an exact match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.protocol import Sort
from rec.search.asides import Asides
from rec.search.facets import Facets, facets_of
from rec.search.filters import NO_FILTERS, SAID, Filters, Passing, passing, stocked, unflagged
from rec.search.fusion import FUSED, Fusion, reciprocal
from rec.search.lexical import LexicalIndex
from rec.search.ordering import HALF, NAMED, SAME, calling, filled, ordered, shown, titled
from rec.search.permission import Permission
from rec.search.places import Places
from rec.search.reading import Reader, Reading
from rec.shelf import Shelf, top

DEPTH = 400  # candidates that BM25 names
DENSE = 200  # ... and the vectors
MEANT = 0.35  # cosine from which a product without any of the words may be what was meant
TASTE = 0.5  # of a score: about twelve places among what has all words, and less than one word that is missing
NEAR = 0.5  # cosine from which a product was found, without any of the words
# ... where no product at all has any of them. Nonsense and other languages have neighbours, too: of 127 such queries
# one in a hundred has one at 0.5 and none has at 0.525, in a shop of 2,400 products (docs/search.md).
ALONE = 0.525

Taste = Callable[[Ints], Floats]  # rows [m] → [m] in [-1, 1]
UNTAUGHT = Fusion()


class Matches(NamedTuple):
    """The candidates, best first: those that were found, and behind them those that have less of the query."""

    reading: Reading
    rows: Ints  # [m]
    features: Floats  # [m, len(FUSED)]
    scores: Floats  # [m] in (0, 1], falling in the order of relevance
    facets: Facets
    hybrid: bool  # whether vectors took part
    exact: Mask  # [m]
    found: Mask  # [m]
    total: int  # how many were found, whether they are candidates or not
    allowed: Mask  # [size] what could have been found: permitted, and let through by the filters
    sort: Sort  # as asked for, by the parameter or in the query
    filters: Filters  # likewise; without those that are ignored
    ignored: tuple[str, ...] = ()  # filters that let nothing through, and were left out
    sold_out: bool = False  # what was found is not in stock, as the filters ask: these are what is near instead

    @property
    def understood(self) -> str | None:
        """How the query was read, where that is not as it was typed; what is no more than typed needs no word."""
        return None if self.exact.any() else self.reading.understood(price=SAID not in self.ignored)

    @property
    def corrected(self) -> bool:
        """Whether words were taken for others."""
        return self.reading.corrected is not None and not self.exact.any()


def find(
    query: str,
    reader: Reader,
    index: LexicalIndex,
    shelf: Shelf,
    *,
    vector: Floats | None = None,
    dense: Floats | None = None,
    filters: Filters = NO_FILTERS,
    sort: Sort = "relevance",
    fusion: Fusion = UNTAUGHT,
    clicks: Mapping[str, float] | None = None,
    taste: Taste | None = None,
    may: Permission | None = None,
) -> Matches:
    """All matches of a query. `vector` [dim] is the query's, of the catalog's encoder; `dense` [size] its cosines,
    if they are known (rec.search.nearness); `may` what this shopper may be shown. Raises BadInput."""
    view, reading = shelf.view, reader.read(query)
    places = index.places(view)
    filters, sort = _with_aside(filters, sort, reading.aside)
    permitted = view.known.copy() if may is None else may.allowed.copy()
    for word in reading.without:
        permitted[places.known(index.postings.keys(word, named=True), permitted)] = False
    allowed = permitted & stocked(view, filters)
    if dense is None or len(dense) != view.size:
        known = None if vector is None or len(vector) != view.vectors.shape[1] else vector
        dense = None if known is None else view.vectors @ known
    exactly = _rows([*index.named(reading.query)], view)
    named = np.concatenate([_rows(clicks or {}, view), exactly])
    covered = index.coverage(reading.terms)
    bar = MEANT if any(term.groups for term in reading.terms) else ALONE
    near = np.zeros(view.size, np.bool_) if dense is None else dense >= max(NEAR, bar)
    near[named] = True
    found = _found(near, covered, places, allowed)
    nothing = not found.any()
    missing = unflagged(_found(near, covered, places, permitted & ~allowed, most=nothing), view)
    if nothing and dense is not None:  # what may have been meant
        found = allowed & (dense >= bar)
    through = Passing({})
    if filters.narrowing:
        through = passing(view, filters, found, missing if may is None or may.pinned is None else missing | may.pinned)
    facets = facets_of(found, missing, through, view)
    let = through.but(view.size)
    allowed &= let
    found &= let
    worded, bm25 = _best(index, reading, covered, places, allowed, bool(through.masks))
    meant = _nearest(dense, allowed, worded, bar) if dense is not None else np.zeros(0, np.int32)
    candidates = np.zeros(view.size, np.bool_)
    for some in (worded, meant, named[allowed[named]]):
        candidates[some] = True
    rows = np.flatnonzero(candidates).astype(np.int32)
    called = None if sort == "relevance" else calling(index, reading)
    rows = filled(rows, found, called, places, index, shelf, sort)
    keys = places.keys(rows, index.postings.there())
    features = _features(rows, keys, worded, bm25, meant, dense, covered, index, reading, clicks or {}, view)
    scores = fusion.score(features)
    if may is not None and may.orders.lift is not None:
        scores = scores + may.orders.lift[rows]  # scores are logits, and a factor of the odds adds its logarithm
    if taste is not None and len(rows):
        scores = scores + np.float32(TASTE) * np.clip(taste(rows), -1, 1)
    exact = _among(rows, exactly, view.size) | _among(keys, titled(index, reading), index.postings.size + 1)
    was_found = found[rows] | exact
    so_called = None if called is None else np.where(exact, NAMED, called[keys]).astype(np.int32)
    order = ordered(rows, scores, exact, was_found, so_called, shelf, sort)
    sold_out = nothing and bool(missing.any())
    return Matches(
        reading, rows[order], features[order], shown(scores[order], exact[order]), facets, dense is not None,
        exact[order], was_found[order], int(found.sum()), allowed, sort,
        filters.without(through.ignored), through.ignored, sold_out,
    )  # fmt: skip


def _with_aside(filters: Filters, sort: Sort, aside: Asides) -> tuple[Filters, Sort]:
    """What the query says of price and order, beside what the parameters say."""
    return filters._replace(price_said=aside.price_max), "price_asc" if aside.cheapest and sort == "relevance" else sort


def _found(near: Mask, covered: Floats, places: Places, among: Mask, *, most: bool = True) -> Mask:
    """[size] those `among` that are `near` or have at least `HALF` of the query; where none has that, and `most`: those
    that have as much as any. `covered`: by document."""
    found = near & among
    rows = places.known(np.flatnonzero(covered >= HALF - SAME).astype(np.int32), among)
    if not len(rows) and most:
        keys = np.flatnonzero(covered > 0).astype(np.int32)
        rows = places.rows(keys)
        there = (rows >= 0) & among[rows]
        rows, had = rows[there], covered[keys[there]]
        rows = rows[had >= had.max(initial=0.0) - SAME]
    found[rows] = True
    return found


def _best(
    index: LexicalIndex, reading: Reading, covered: Floats, places: Places, allowed: Mask, narrowed: bool
) -> tuple[Ints, Floats]:
    """The `DEPTH` best rows by BM25 that are allowed and have any word that tells something, and their scores."""
    if not any(term.groups for term in reading.terms):
        return np.zeros(0, np.int32), np.zeros(0, np.float32)
    for limit in ([] if narrowed else [DEPTH]) + [len(index)]:
        keys, scores = index.best(reading.terms, limit)
        rows = places.rows(keys)
        kept = (covered[keys] > 0) & (rows >= 0) & allowed[rows]
        worded, bm25 = rows[kept], scores[kept]
        if len(keys) < limit or len(worded) >= DEPTH // 2:  # else: half of the best may not be shown
            break
    return worded[:DEPTH], bm25[:DEPTH]


def _rows(item_ids: Iterable[str], view: View) -> Ints:
    """The rows of those that the view knows."""
    return np.array([row for item_id in item_ids if (row := view.row(item_id)) is not None], np.int32)


def _among(which: Ints, those: Ints, size: int) -> Mask:
    """[m] whether each of `which` [m], places below `size` (-1: the last one, which none of `those` is), is among them.
    By a mask: numpy's isin sorts or hashes, which takes ten times as long."""
    mask = np.zeros(size, np.bool_)
    mask[those] = True
    return mask[which]


def _nearest(dense: Floats, allowed: Mask, worded: Ints, bar: float) -> Ints:
    """The nearest rows, best first. One that has none of the words must reach the bar."""
    rows = top(dense, allowed, DENSE)
    near = dense[rows] >= bar
    if len(worded):
        near |= _among(rows, worded, len(dense))
    rows = rows[near]
    return rows[np.argsort(-dense[rows], kind="stable")]


def _features(
    rows: Ints,
    keys: Ints,
    worded: Ints,
    bm25: Floats,
    meant: Ints,
    dense: Floats | None,
    covered: Floats,
    index: LexicalIndex,
    reading: Reading,
    clicks: Mapping[str, float],
    view: View,
) -> Floats:
    """[m, len(FUSED)]; `keys` [m] are the documents of the rows."""
    out = np.zeros((len(rows), len(FUSED)), np.float32)
    if not len(rows):
        return out
    by_words, by_meaning = np.searchsorted(rows, worded), np.searchsorted(rows, meant)
    lists = [by_words.astype(np.int32)] + ([by_meaning.astype(np.int32)] if dense is not None else [])
    out[:, 0] = reciprocal(lists, len(rows))
    if len(bm25):
        out[by_words, 1] = bm25 / max(float(bm25.max()), 1e-9)
    if dense is not None:
        out[:, 2] = np.clip(dense[rows], 0, 1)
    there = keys >= 0
    out[there, 3] = covered[keys[there]]
    if reading.heads:
        out[:, 5] = index.postings.headed(reading.heads)[keys]
    out[there, 6] = index.likely(reading.terms)[index.postings.category_of(keys[there])]
    for item_id, share in clicks.items():
        row = view.row(item_id)
        at = -1 if row is None else int(np.searchsorted(rows, row))
        if 0 <= at < len(rows) and rows[at] == row:
            out[at, 4] = share
    return out
