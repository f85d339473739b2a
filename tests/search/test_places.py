"""Rows and documents, and vectors of bytes: what search looks things up in, against the obvious ways."""

from __future__ import annotations

import numpy as np

from rec.catalog import Catalog, Item
from rec.search.lexical import LexicalIndex
from rec.search.nearness import Nearness
from rec.search.words import Words


def things(*names: str, title: str = "Thing") -> list[Item]:
    return [Item(item_id=name, title=f"{title} {name}") for name in names]


def holds(index: LexicalIndex, catalog: Catalog) -> None:
    """Each item of the catalog that the index has is found either way."""
    view = catalog.view()
    places, there = index.places(view), index.postings.there()
    rows = np.flatnonzero(view.known).astype(np.int32)
    keys = places.keys(rows, there)
    assert places.rows(keys[keys >= 0]).tolist() == rows[keys >= 0].tolist()
    assert index.ids(keys[keys >= 0]) == [view.ids[row] for row in rows[keys >= 0].tolist()]
    assert int((keys >= 0).sum()) == len(index)


def test_rows_and_documents_meet_whatever_came_first_and_whatever_changes() -> None:
    catalog, index = Catalog(), LexicalIndex(Words("en"))
    catalog.upsert(things("a", "b", "c"))
    index.change(things("b", "a"))
    holds(index, catalog)
    index.change(things("c", "d"))  # the catalog has no d yet
    assert index.places(catalog.view()).rows(np.array([3], np.int32)).tolist() == [-1]
    catalog.upsert(things("d"))
    holds(index, catalog)
    index.change(things("a", title="Other"), ["b"])  # a new document, and one less
    catalog.delete(["b"])
    holds(index, catalog)
    catalog.set_vectors({"a": [1, 0], "c": [0, 1]})
    catalog.set_vectors({"a": [0, 1]})  # moves to another row
    holds(index, catalog)
    catalog.upsert(things("b"))
    index.change(things("b"))
    holds(index, catalog)


def test_a_catalog_that_was_packed_anew_is_looked_up_anew() -> None:
    catalog, index = Catalog(), LexicalIndex(Words("en"))
    many = things(*(f"n{at}" for at in range(2_100)))
    catalog.upsert(many)
    index.change(many)
    holds(index, catalog)
    gone = [item.item_id for item in many[:1_500]]
    before = catalog.view().ids
    catalog.delete(gone)
    index.change([], gone)
    catalog.upsert(things("new"))
    index.change(things("new"))
    assert catalog.view().ids is not before
    holds(index, catalog)


def test_cosines_of_bytes_are_those_of_floats_to_a_few_thousandths() -> None:
    rng, catalog, nearness = np.random.default_rng(1), Catalog(), Nearness()
    catalog.upsert(things(*(f"n{at}" for at in range(300))))
    catalog.set_vectors({f"n{at}": rng.normal(size=384) for at in range(200)})
    query = (catalog.view().vectors[7] + catalog.view().vectors[9]).astype(np.float32)
    query /= np.linalg.norm(query)
    for _ in range(2):
        view = catalog.view()
        said, nothing = nearness.of(view, [query, None])
        assert nothing is None
        assert said is not None
        assert np.abs(said - view.vectors @ query).max() < 0.004
        catalog.set_vectors({"n7": rng.normal(size=384), "n250": query})  # the one moves, the other comes
    assert nearness.of(catalog.view(), [query[:3]]) == [None]  # of another encoder
