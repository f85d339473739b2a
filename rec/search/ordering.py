"""matches → **ordering** → pages. What is first: by relevance, or by the sort asked for and how a thing is called.

A sort is of what was found, by how it is called before anything else: the cheapest tent is no lamp for tents. The cut
goes by that, too: where more was found than pages reach, they leave out what would be shown last. Pure.
"""

from __future__ import annotations

import numpy as np

from rec.catalog import Floats, Ints, Mask, Prices
from rec.protocol import Sort
from rec.search.lexical import LexicalIndex
from rec.search.places import Places
from rec.search.reading import Reading
from rec.shelf import Shelf

RANKED = 1_000  # places of a search that pages can reach
HALF = 0.5  # of a query: what has less of it was not found, but for who is near or was clicked
SAME = 1e-6
NAMED, HAS, MENTIONS = 0, 1, 2  # how a document is called, for a query


def titled(index: LexicalIndex, reading: Reading) -> Ints:
    """The documents whose title is the query, word for word."""
    wanted = " ".join(index.words(reading.query))
    return index.postings.titled(wanted) if wanted else np.zeros(0, np.int32)


def calling(index: LexicalIndex, reading: Reading) -> Ints:
    """[documents + 1] how each is called: `NAMED`, it is what the query names; `HAS`, at least `HALF` of the query is
    in its names; `MENTIONS`. The last one is that of no document (-1)."""
    size = index.postings.size
    named = np.zeros(size + 1, np.bool_)
    named[:size] = index.coverage(reading.terms, named=True) >= HALF - SAME
    called = np.where(named, HAS, MENTIONS).astype(np.int32)
    called[named & index.postings.headed(reading.heads)] = NAMED
    called[titled(index, reading)] = NAMED
    called[size] = MENTIONS
    return called


def filled(
    rows: Ints, found: Mask, called: Ints | None, places: Places, index: LexicalIndex, shelf: Shelf, sort: Sort
) -> Ints:
    """The candidates [m], ascending, and what else was found, as far as pages reach: the first by the sort. `called`:
    see `calling`; None for relevance."""
    others = found.copy()
    others[rows] = False
    more = np.flatnonzero(others).astype(np.int32)
    room = max(0, RANKED - len(rows)) if called is None else RANKED
    if not len(more) or not room:
        return rows
    by = np.zeros(len(more), np.int32) if called is None else called[places.keys(more, index.postings.there())]
    best = more[np.lexsort((-shelf.view.born[more], key(more, shelf, sort), by))][:room]
    return np.sort(np.concatenate([rows, best])).astype(np.int32)


def ordered(
    rows: Ints, scores: Floats, exact: Mask, found: Mask, called: Ints | None, shelf: Shelf, sort: Sort
) -> Ints:
    """Places [m], first to last; of equals the newer first. `called` [m]: of the rows; None for relevance."""
    born = shelf.view.born[rows]
    if called is None:
        return np.lexsort((-born, -scores, ~found, ~exact)).astype(np.int32)
    return np.lexsort((-born, -scores, key(rows, shelf, sort), called, ~found)).astype(np.int32)


def key(rows: Ints, shelf: Shelf, sort: Sort) -> Prices:
    """[m] what a sort goes by, ascending; relevance, which needs more than the rows, by popularity."""
    if sort == "newest":
        return -shelf.view.born[rows].astype(np.float64)
    if sort in ("popular", "relevance"):
        return -shelf.popularity[rows].astype(np.float64)
    prices = shelf.view.price[rows]
    return np.where(np.isnan(prices), np.inf, prices if sort == "price_asc" else -prices)


def shown(scores: Floats, exact: Mask) -> Floats:
    """Scores as a list shows them, in (0, 1]; what is exact has 1."""
    if not len(scores):
        return scores
    squashed: Floats = np.where(exact, 1.0, np.clip(scores / (abs(scores).max() + 1e-6), 0.001, 1)).astype(np.float32)
    return squashed
