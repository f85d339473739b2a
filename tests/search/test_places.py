"""Rows and documents, and vectors of bytes: what search looks things up in, against the obvious ways."""

from __future__ import annotations

import numpy as np

from rec.catalog import Catalog, Item
from rec.model.texts import Texts
from rec.search.lexical import LexicalIndex
from rec.search.nearness import Nearness, ReadQuery
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
        assert nearness.of(view, None) is None
        said = nearness.of(view, ReadQuery(view.encoder, query))
        assert said is not None
        assert np.abs(said - view.vectors @ query).max() < 0.004
        catalog.set_vectors({"n7": rng.normal(size=384), "n250": query})  # the one moves, the other comes
    assert nearness.of(catalog.view(), ReadQuery("another", query)) is None
    assert nearness.of(catalog.view(), ReadQuery(catalog.encoder, query[:3])) is None


def test_a_query_of_a_tuned_encoder_meets_the_vectors_of_that_one_alone() -> None:
    rng, catalog, nearness, texts = np.random.default_rng(1), Catalog("base"), Nearness(), Texts("base+tuned")
    ids = [f"n{at}" for at in range(100)]
    catalog.upsert(things(*ids))
    catalog.set_vectors({item_id: rng.normal(size=48) for item_id in ids})
    texts.change({item_id: rng.normal(size=48).astype(np.float32) for item_id in ids[:60]})
    query = np.zeros(48, np.float32)
    query[3] = 1.0

    def holds(encoder: str) -> None:
        view = catalog.view()
        said = nearness.of(view, ReadQuery(encoder, query), texts)
        assert said is not None
        expected = view.vectors if encoder == "base" else texts.matrix(view, 48)
        assert np.abs(said - expected @ query).max() < 0.01

    for encoder in ("base", "base+tuned", "base"):
        holds(encoder)
    assert nearness.of(catalog.view(), ReadQuery("base+other", query), texts) is None
    assert nearness.of(catalog.view(), ReadQuery("base+tuned", query)) is None
    catalog.upsert(things("new"))
    holds("base+tuned")
    texts.change({"n1": query, "n70": query, "new": query}, deleted=["n2"])  # it moves, two come, one goes
    holds("base+tuned")
    view = catalog.view()
    said = nearness.of(view, ReadQuery("base+tuned", query), texts)
    assert said is not None
    assert [round(float(said[view.row_of[item_id]]), 2) for item_id in ("n1", "n70", "new", "n2")] == [1, 1, 1, 0]
