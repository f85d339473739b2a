"""queries + judgments → **search measures**. How good search is, through the code that serves it. No torch, no I/O.

Every product is a candidate; a query without a relevant product is left out. Recall@k is the share of a query's
relevant products among the first k, MRR@10 the mean of 1 / place of the first one among the first ten (Voorhees 1999),
each a mean over queries. The learned fusion learns from one half of the queries and is measured on the other, beside
the others on that half; so does the tuned encoder (rec.evaluation.tuned), whose vectors come as a second set.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rec.catalog import Catalog, Floats, Item, Mask
from rec.counters import Counters
from rec.search.filters import Filters
from rec.search.finding import DEPTH, find
from rec.search.fusion import RECIPROCAL, Fusion, FusionLearner
from rec.search.lexical import LexicalIndex, Term
from rec.search.nearness import Nearness, ReadQuery
from rec.search.reading import Reader
from rec.search.words import Words
from rec.shelf import Shelf, shelf

SHOWN = 50  # candidates of a query that the fusion learns from
Progress = Callable[[str, int, int], None]


class Judged(NamedTuple):
    """What is searched: products, their vectors and the queries' (may be empty), and query → relevant item_ids.
    `known`: words that are not misspelt, see `rec.search.reading`."""

    items: Sequence[Item]
    vectors: Mapping[str, Floats]
    queries: Mapping[str, Floats]
    relevant: Mapping[str, frozenset[str]]
    known: frozenset[str] = frozenset()


def measures(ranked: Mapping[str, Sequence[str]], relevant: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """
    >>> measures({"q": ["x", "a", "b"]}, {"q": frozenset({"a", "c"})})
    {'recall@10': 0.5, 'recall@100': 0.5, 'mrr@10': 0.5}
    """
    sums = {"recall@10": 0.0, "recall@100": 0.0, "mrr@10": 0.0}
    for query, item_ids in ranked.items():
        wanted = relevant[query]
        places = [place for place, item_id in enumerate(item_ids[:100]) if item_id in wanted]
        sums["recall@10"] += sum(place < 10 for place in places) / len(wanted)
        sums["recall@100"] += len(places) / len(wanted)
        sums["mrr@10"] += 1 / (places[0] + 1) if places and places[0] < 10 else 0.0
    return {name: total / max(1, len(ranked)) for name, total in sums.items()}


class _Bench:
    """A catalog as a worker has it."""

    def __init__(self, judged: Judged, language: str) -> None:
        catalog = Catalog()
        catalog.upsert(judged.items)
        if judged.vectors:
            catalog.set_vectors(judged.vectors)
        self.index = LexicalIndex(Words(language))
        self.index.change(judged.items)
        self.reader = Reader(self.index, known=judged.known)
        self.shelf: Shelf = shelf(catalog.view(), Counters().tables)
        self.judged, self.nearness = judged, Nearness()

    def plain(self, query: str) -> list[str]:
        """BM25 of the words as they are: no typos, nothing apart or together."""
        words = dict.fromkeys(self.index.words(query))
        return self.index.search([Term(word) for word in words], 100).item_ids

    def words(self, query: str) -> list[str]:
        return self.index.search(self.reader.read(query).terms, DEPTH).item_ids[:100]

    def dense(self, query: str) -> list[str]:
        view = self.shelf.view
        likeness = view.vectors @ self.judged.queries[query]
        first = np.argpartition(-likeness, min(100, view.size - 1))[:100]
        return [view.ids[row] for row in first[np.argsort(-likeness[first], kind="stable")].tolist()]

    def features(self, query: str) -> tuple[list[str], Floats, Mask]:
        """The candidates of a query, what the fusion reads of them, and which are found."""
        vector, view = self.judged.queries.get(query), self.shelf.view
        dense = self.nearness.of(view, None if vector is None else ReadQuery(view.encoder, vector))
        found = find(
            query, self.reader, self.index, self.shelf, dense=dense,
            filters=Filters(in_stock=False),
        )  # fmt: skip
        ids = self.shelf.view.ids
        return [ids[row] for row in found.rows.tolist()], found.features, found.found


class Halves(NamedTuple):
    """Queries to learn from, and the others, which are measured."""

    taught: list[str]
    tested: list[str]


def halves(queries: Iterable[str], seed: int) -> Halves:
    """
    >>> [len(half) for half in halves("abcde", 0)]
    [2, 3]
    """
    every = sorted(queries)
    shuffled = random.Random(seed).sample(every, len(every))
    return Halves(shuffled[: len(every) // 2], sorted(shuffled[len(every) // 2 :]))


def evaluate_search(
    judged: Judged, language: str, seed: int, progress: Progress, tuned: Judged | None = None
) -> dict[str, Any]:
    """All ways of searching, on all queries; and on one half of them, with the fusion that the other half taught.
    `tuned`: the same with the vectors of an encoder that the other half has tuned; measured on that half alone."""
    bench, queries = _Bench(judged, language), sorted(judged.relevant)
    ways: dict[str, Callable[[str], list[str]]] = {"bm25, words as typed": bench.plain, "bm25": bench.words}
    if judged.queries:
        ways["dense"] = bench.dense
    ranked: dict[str, dict[str, list[str]]] = {name: {} for name in (*ways, "reciprocal ranks", "fused")}
    read: dict[str, tuple[list[str], Floats, Mask]] = {}
    for at, query in enumerate(queries):
        for name, way in ways.items():
            ranked[name][query] = way(query)
        read[query] = bench.features(query)
        ranked["reciprocal ranks"][query] = ordered(*read[query], Fusion(RECIPROCAL))
        ranked["fused"][query] = ordered(*read[query], Fusion())
        progress("searching", at + 1, len(queries))
    taught, tested = halves(queries, seed)
    fusion = learned([(*read[query], judged.relevant[query]) for query in taught])
    half = {name: {query: lists[query] for query in tested} for name, lists in ranked.items()}
    half["learned from reciprocal ranks"] = {query: ordered(*read[query], fusion) for query in tested}
    if tuned is not None:
        half |= _tuned(_Bench(tuned, language), taught, tested, progress)
    return {
        "queries": len(queries),
        "products": len(judged.items),
        "all": {name: measures(lists, judged.relevant) for name, lists in ranked.items()},
        "half": {"queries": len(tested)} | {name: measures(lists, judged.relevant) for name, lists in half.items()},
        "fusion": {"weights": list(fusion.weights), "learned": fusion.learned},
    }


def _tuned(
    bench: _Bench, taught: Sequence[str], tested: Sequence[str], progress: Progress
) -> dict[str, dict[str, list[str]]]:
    """The ways that read vectors, with those of the tuned encoder, and the fusion taught beside it."""
    read: dict[str, tuple[list[str], Floats, Mask]] = {}
    for at, query in enumerate([*taught, *tested]):
        read[query] = bench.features(query)
        progress("searching, tuned", at + 1, len(taught) + len(tested))
    fusion = learned([(*read[query], bench.judged.relevant[query]) for query in taught])
    return {
        "dense, tuned": {query: bench.dense(query) for query in tested},
        "reciprocal ranks, tuned": {query: ordered(*read[query], Fusion(RECIPROCAL)) for query in tested},
        "fused, tuned": {query: ordered(*read[query], Fusion()) for query in tested},
        "learned, tuned": {query: ordered(*read[query], fusion) for query in tested},
    }


def ordered(item_ids: Sequence[str], features: Floats, found: Mask, fusion: Fusion) -> list[str]:
    """The first hundred by a fusion, those that are found before the others."""
    order = np.lexsort((-fusion.score(features), ~found))[:100]
    return [item_ids[place] for place in order.tolist()]


def learned(lessons: Sequence[tuple[Sequence[str], Floats, Mask, frozenset[str]]]) -> Fusion:
    """What becomes of reciprocal ranks after a click on each relevant product among the first `SHOWN` of each query."""
    learner = FusionLearner(Fusion(RECIPROCAL), rate=0.3, span=None)
    for item_ids, features, _, relevant in lessons:
        first = np.argsort(-learner.fusion.score(features), kind="stable")[:SHOWN]
        clicked = [place for place, row in enumerate(first.tolist()) if item_ids[row] in relevant]
        learner.learn(features[first], clicked)
    return learner.fusion
