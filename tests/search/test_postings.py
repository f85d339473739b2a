"""Keys of dropped documents are used again: nothing grows for ever, and nothing is found otherwise than before."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.recommend import World
from rec.search import postings
from rec.search.finding import find
from rec.search.lexical import LexicalIndex, Term
from rec.search.postings import Postings
from rec.search.reading import Reader
from rec.search.words import Words
from tests.search.shop import NOW
from tests.search.test_places import holds

WORDS = ("tent", "lamp", "family", "red", "pegs", "desk")
IDS = tuple("abcdefgh")
Step = dict[str, tuple[str, ...] | None]  # item_id → the words of its title, then of its description; None: deleted


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sweeps begin at once and go on one list at a time."""
    monkeypatch.setattr(postings, "_SWEEP", 2)
    monkeypatch.setattr(postings, "_A_LITTLE", 3)


def thing(item_id: str, words: tuple[str, ...]) -> Item:
    return Item(item_id=item_id, title=" ".join(words[:3]), description=" ".join(words[3:]), category=words[0])


steps = st.lists(
    st.dictionaries(
        st.sampled_from(IDS),
        st.none() | st.lists(st.sampled_from(WORDS), min_size=3, max_size=5).map(tuple),
        min_size=1,
        max_size=5,
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=15, deadline=None)
@given(steps)
def test_an_index_with_a_past_finds_what_a_new_one_finds(past: list[Step]) -> None:
    catalog, index = Catalog(), LexicalIndex(Words("en"))
    there: dict[str, Item] = {}
    for step in past:
        items = [thing(item_id, words) for item_id, words in step.items() if words is not None]
        gone = [item_id for item_id, words in step.items() if words is None]
        there |= {item.item_id: item for item in items}
        there = {item_id: item for item_id, item in there.items() if item_id not in gone}
        catalog.upsert(items)
        catalog.delete(gone)
        index.change(items, gone)
        holds(index, catalog)
    new = LexicalIndex(Words("en"))
    new.change(there.values())
    for query in (*WORDS, "red tent", "family tent lamp", "desk lamp red pegs"):
        assert found(index, catalog, query) == found(new, catalog, query)


def test_what_was_written_anew_or_deleted_is_found_by_no_word_that_it_has_no_more() -> None:
    index = LexicalIndex(Words("en"))
    index.change([thing("a", ("tent", "red", "pegs")), thing("b", ("tent", "red", "lamp"))])
    index.change([thing("a", ("desk", "red", "lamp"))], ["b"])
    assert index.search([Term("tent")], 10).item_ids == []
    assert index.search([Term("red")], 10).item_ids == ["a"]


def found(index: LexicalIndex, catalog: Catalog, query: str) -> object:
    """What there is of a query, as far as it does not hang on what tantivy counts of documents that are gone."""
    view = catalog.view()
    terms = [Term(stem, groups=(at,)) for at, stem in enumerate(index.words(query))]
    matches = find(query, Reader(index), index, World(catalog, Counters()).shelf(NOW))
    rows = np.argsort(matches.rows)
    return (
        sorted(index.search(terms, 100).item_ids),
        [view.ids[row] for row in matches.rows[rows].tolist()],
        np.delete(matches.features[rows], (0, 1), axis=1).tolist(),  # without ranks and scores of BM25
        matches.exact[rows].tolist(),
        matches.found[rows].tolist(),
        (matches.total, matches.facets.category),
        [index.beside(one, other) for one in index.words(query) for other in index.words(query)],
    )


def test_keys_are_few_however_often_everything_is_written_anew() -> None:
    there, rng = Postings(), random.Random(1)
    keys = [there.add(rng.sample(WORDS, 3), (), "camping") for _ in range(40)]
    for _ in range(2_000):
        at = rng.randrange(len(keys))
        there.drop(keys[at])
        keys[at] = there.add(rng.sample(WORDS, 3), (), "camping")
    assert there.size < 2.5 * len(keys)
    assert there.there().sum() == len(set(keys)) == len(keys)


def test_the_documents_of_a_word_are_in_the_order_in_which_they_were_added() -> None:
    there = Postings()
    keys = [there.add(("tent",), (), "") for _ in range(6)]
    for key in keys[:5]:
        there.drop(key)
    again = [there.add(("tent",), (), "") for _ in range(3)]
    assert set(again) < set(keys)
    listed = there.keys("tent", named=True)
    assert listed[there.there()[listed]].tolist() == [keys[5], *again]
