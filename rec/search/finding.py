"""query → reading → candidates → fusion → the shopper → **matches**. One search, from the words to the order.

    read        words, spellings, synonyms                                    rec.search.reading
    permit      rules that exclude, age, region                               rec.search.permission
    retrieve    BM25 from the index, likeness from the vectors, exact ids     rec.search.lexical
    filter      category, brand, price, stock; what is left is counted        rec.search.filters
    fuse        reciprocal ranks, clicks, learned weights                     rec.search.fusion
    person      what the shopper's state says of them, within a bound         rec.search.personal
    order       exact matches first whatever else; or the sort asked for

Pure but for caches; safe in any one thread while another changes catalog and index. Invariants: an item is there at
most once, is permitted, and passes the filters that are not ignored; taste moves an item by at most `TASTE`, and never
above an exact match.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.protocol import Sort
from rec.search.filters import NO_FILTERS, Filters, passing, stocked
from rec.search.fusion import FUSED, Fusion, reciprocal
from rec.search.lexical import Hits, LexicalIndex
from rec.search.permission import Permission
from rec.search.reading import Reader, Reading
from rec.shelf import Shelf, top

DEPTH = 400  # candidates that BM25 names
DENSE = 200  # ... and the vectors
MEANT = 0.35  # cosine from which a product without any of the words may be what was meant
TASTE = 0.5  # of a score: about twelve places among what has all words, and less than one word that is missing
FACETS = 10  # values of a facet that are counted

Taste = Callable[[Ints], Floats]  # rows [m] → [m] in [-1, 1]
UNTAUGHT = Fusion()


class Facets(NamedTuple):
    """Of everything that was found: how many there are of each category and brand, and the range of prices."""

    category: dict[str, int]
    brand: dict[str, int]
    price: tuple[float, float] | None


class Matches(NamedTuple):
    """What was found, best first."""

    reading: Reading
    rows: Ints  # [m]
    features: Floats  # [m, len(FUSED)]
    scores: Floats  # [m] in (0, 1], falling in the order of relevance
    facets: Facets
    hybrid: bool  # whether vectors took part
    exact: Mask  # [m]
    allowed: Mask  # [size] what could have been found: permitted, and let through by the filters
    ignored: tuple[str, ...] = ()  # filters that let nothing through, and were left out


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
    """All matches of a query. `vector` [dim] is the query's, of the catalog's encoder; `dense` [size] what
    `likeness` makes of it, if that is known; `may` what this shopper may be shown. Raises BadInput."""
    view, reading = shelf.view, reader.read(query)
    allowed = stocked(view, filters)
    if may is not None:
        allowed &= may.allowed
    hits = index.search(reading.terms, len(index) if filters.narrowing else DEPTH)
    worded, bm25 = _rows_of(hits, view, allowed)
    if len(hits.item_ids) == DEPTH and len(worded) < DEPTH // 2:  # half of the best may not be shown: look further down
        worded, bm25 = _rows_of(index.search(reading.terms, len(index)), view, allowed)
        worded, bm25 = worded[:DEPTH], bm25[:DEPTH]
    if dense is None or len(dense) != view.size:
        [dense] = likeness(view, [vector])
    exactly = _rows([*index.named(reading.query)], view)
    named = np.concatenate([_rows(clicks or {}, view), exactly])
    ignored: tuple[str, ...] = ()
    if filters.narrowing:
        could_be = allowed & _could_be(worded, named, dense, view.size)
        through, ignored = passing(view, filters, could_be, None if may is None else may.pinned)
        allowed &= through
        worded, bm25 = worded[allowed[worded]], bm25[allowed[worded]]
    meant = _nearest(dense, allowed, worded) if dense is not None else np.zeros(0, np.int32)
    rows = np.unique(np.concatenate([worded, meant, named[allowed[named]]])).astype(np.int32)
    features = _features(rows, worded, bm25, meant, dense, index, reading, clicks or {}, view)
    scores = fusion.score(features)
    if may is not None and may.orders.lift is not None:
        scores = scores + may.orders.lift[rows]  # scores are logits, and a factor of the odds adds its logarithm
    if taste is not None and len(rows):
        scores = scores + np.float32(TASTE) * np.clip(taste(rows), -1, 1)
    exact = np.isin(rows, exactly) | _titled(rows, view, index, reading)
    order = _ordered(rows, scores, exact, features, shelf, sort)
    facets = _facets(rows, view)
    return Matches(
        reading, rows[order], features[order], _shown(scores[order], exact[order]), facets, dense is not None,
        exact[order], allowed, ignored,
    )  # fmt: skip


def _rows(item_ids: Iterable[str], view: View) -> Ints:
    """The rows of those that the view knows."""
    return np.array([row for item_id in item_ids if (row := view.row(item_id)) is not None], np.int32)


def _could_be(worded: Ints, named: Ints, dense: Floats | None, size: int) -> Mask:
    """[size] whatever speaks for a row."""
    mask = np.zeros(size, np.bool_) if dense is None else dense >= MEANT
    mask[worded] = mask[named] = True
    return mask


def _rows_of(hits: Hits, view: View, allowed: Mask) -> tuple[Ints, Floats]:
    """Hits as rows of the view, in their order; what the view does not know or let through is dropped."""
    rows = np.array([-1 if (row := view.row(item_id)) is None else row for item_id in hits.item_ids], np.int32)
    if not len(rows):
        return rows, hits.scores
    there = (rows >= 0) & allowed[rows]
    return rows[there], hits.scores[there]


def likeness(view: View, vectors: Sequence[Floats | None]) -> list[Floats | None]:
    """Cosines [size] of each query with every item; None without a vector that can be compared with theirs.

    For all of them at once: what takes the time is to read the items' vectors from memory.
    """
    there = [at for at, vector in enumerate(vectors) if vector is not None and len(vector) == view.vectors.shape[1]]
    out: list[Floats | None] = [None] * len(vectors)
    if there:
        stacked = np.stack([vector for at in there if (vector := vectors[at]) is not None])
        for at, row in zip(there, stacked @ view.vectors.T, strict=True):
            out[at] = row
    return out


def _nearest(dense: Floats, allowed: Mask, worded: Ints) -> Ints:
    """The nearest rows, best first. One that has none of the words must be near in earnest."""
    rows = top(dense, allowed, DENSE)
    near = dense[rows] >= MEANT
    if len(worded):
        near |= np.isin(rows, worded)
    rows = rows[near]
    return rows[np.argsort(-dense[rows], kind="stable")]


def _features(
    rows: Ints,
    worded: Ints,
    bm25: Floats,
    meant: Ints,
    dense: Floats | None,
    index: LexicalIndex,
    reading: Reading,
    clicks: Mapping[str, float],
    view: View,
) -> Floats:
    """[m, len(FUSED)]."""
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
    out[:, 3] = index.covered([view.ids[row] for row in rows.tolist()], reading.terms)
    for item_id, share in clicks.items():
        row = view.row(item_id)
        at = -1 if row is None else int(np.searchsorted(rows, row))
        if 0 <= at < len(rows) and rows[at] == row:
            out[at, 4] = share
    return out


def _titled(rows: Ints, view: View, index: LexicalIndex, reading: Reading) -> Mask:
    """[m]: whose title is the query, word for word."""
    wanted, ids = " ".join(index.words(reading.query)), view.ids
    return np.array([bool(wanted) and index.title(ids[row]) == wanted for row in rows.tolist()], np.bool_)


def _ordered(rows: Ints, scores: Floats, exact: Mask, features: Floats, shelf: Shelf, sort: Sort) -> Ints:
    """Places, first to last; of equals the newer first. A sort is of those that have the most of the query in them."""
    born = shelf.view.born[rows]
    relevance = np.lexsort((-born, -scores, ~exact))
    if sort == "relevance" or not len(rows):
        return relevance.astype(np.int32)
    covered = features[:, 3]
    best = covered >= covered.max() - 1e-6 if covered.max() > 0 else np.ones(len(rows), np.bool_)
    best |= exact
    if sort == "newest":
        key = -born.astype(np.float64)
    elif sort == "popular":
        key = -shelf.popularity[rows].astype(np.float64)
    else:
        prices = [shelf.view.items[row].price for row in rows.tolist()]
        key = np.array([np.inf if price is None else price * (1 if sort == "price_asc" else -1) for price in prices])
    return np.lexsort((-born, -scores, key, ~best)).astype(np.int32)


def _shown(scores: Floats, exact: Mask) -> Floats:
    """Scores as a list shows them, in (0, 1]; what is exact has 1."""
    if not len(scores):
        return scores
    squashed: Floats = np.where(exact, 1.0, np.clip(scores / (abs(scores).max() + 1e-6), 0.001, 1)).astype(np.float32)
    return squashed


def _facets(rows: Ints, view: View) -> Facets:
    prices = [price for row in rows.tolist() if (price := view.items[row].price) is not None]
    return Facets(
        _counted(view.category[rows], view.categories),
        _counted(view.brand[rows], view.brands),
        (min(prices), max(prices)) if prices else None,
    )


def _counted(codes: Ints, names: Mapping[str, int]) -> dict[str, int]:
    """The most frequent values, and how many there are of each; 0, no value, is not counted."""
    if not len(codes):
        return {}
    counts = np.bincount(codes)
    counts[0] = 0
    best = [code for code in np.argsort(-counts, kind="stable")[:FACETS].tolist() if counts[code]]
    if not best:
        return {}
    wanted = set(best)
    named = {code: name for name, code in list(names.items()) if code in wanted}
    return {named[code]: int(counts[code]) for code in best if code in named}
