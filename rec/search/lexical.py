"""catalog → **BM25** → fusion. An inverted index of the catalog's texts, changed as the catalog changes.

tantivy in memory: a worker builds it from its catalog in seconds, and nothing has to be kept on disk or moved. One
thread changes it, any thread may search. A document is written anew only if its words changed: a price is none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from tantivy import Document, Filter, Index, Occur, Query, SchemaBuilder, TextAnalyzerBuilder, Tokenizer

from rec.catalog import Floats, Item
from rec.search.words import MOST, Words

FIELDS: Mapping[str, float] = {"title": 3.0, "brand": 2.0, "category": 1.5, "description": 1.0}
TIE = 0.3  # of what the other fields add to the best one (dis-max): a word in title and text is not two words
HEAP = 64_000_000  # bytes tantivy may gather before it writes a segment
_WORDS = "words"  # the tokenizer's name


class Term(NamedTuple):
    """A word of the index, and how much it counts: 1 as typed, less for what was guessed."""

    word: str
    weight: float = 1.0


class Hits(NamedTuple):
    """item_ids, best first, and their BM25 scores [n]."""

    item_ids: list[str]
    scores: Floats


class LexicalIndex:
    """Words → items. `document_counts[word]`: in how many items a word is."""

    def __init__(self, words: Words, fields: Mapping[str, float] = FIELDS) -> None:
        self.words, self._fields = words, dict(fields)
        builder = SchemaBuilder()
        for name in self._fields:
            builder = builder.add_text_field(name, tokenizer_name=_WORDS, index_option="freq")
        builder = builder.add_unsigned_field("key", indexed=True, fast=True)
        self._schema = builder.build()
        self._index = Index(self._schema)
        split = TextAnalyzerBuilder(Tokenizer.whitespace()).filter(Filter.remove_long(200)).build()
        self._index.register_tokenizer(_WORDS, split)  # the words come apart already
        self._writer = self._index.writer(HEAP, 1)
        self._key_of: dict[str, int] = {}
        self._named: dict[str, tuple[str, ...]] = {}  # folded id → the ids that are so written, but for case
        self._id_of: list[str] = []
        self._digests: dict[str, bytes] = {}
        self._titles: dict[str, str] = {}
        self._vocabulary_of: dict[str, frozenset[str]] = {}
        self.spelled: Counter[str] = Counter()  # words as they are written, for typos; only grows
        self.title_words: Counter[str] = Counter()  # the same of titles alone, for suggestions
        self._written: dict[str, str] = {}
        self.document_counts: Counter[str] = Counter()
        self.generation = 0  # grows with every change of the words
        self._searcher = self._index.searcher()

    def __len__(self) -> int:
        return len(self._key_of)

    def change(self, items: Iterable[Item], deleted: Iterable[str] = ()) -> int:
        """Add, replace, remove; searches see it when this returns. How many documents were written or dropped."""
        changed = sum(self._drop(item_id) for item_id in deleted) + sum(map(self._put, items))
        if changed:
            self._writer.commit()
            self._index.reload()
            self._searcher = self._index.searcher()
            self.generation += 1
        return changed

    def _put(self, item: Item) -> bool:
        texts = {name: getattr(item, name) for name in self._fields}
        digest = blake2b("\0".join(texts.values()).encode(), digest_size=16).digest()
        if self._digests.get(item.item_id) == digest:
            return False
        self._drop(item.item_id)
        key = len(self._id_of)
        self._id_of.append(item.item_id)
        self._key_of[item.item_id] = key
        folded = _folded(item.item_id)
        self._named[folded] = (*self._named.get(folded, ()), item.item_id)
        self._digests[item.item_id] = digest
        document, vocabulary = Document(), set[str]()
        for name, text in texts.items():
            pairs = [(stem, word) for word in self.words.raw(text) for stem in self.words.stems(word)]
            document.add_text(name, " ".join(stem for stem, _ in pairs))
            spelled = {word for _, word in pairs}
            self.spelled.update(spelled)
            if name == "title":
                self._titles[item.item_id] = " ".join(stem for stem, _ in pairs)
                self.title_words.update(spelled)
            for stem, word in pairs:
                self._written.setdefault(stem, word)
                vocabulary.add(stem)
        document.add_unsigned("key", key)
        self._writer.add_document(document)
        self._vocabulary_of[item.item_id] = frozenset(vocabulary)
        self.document_counts.update(vocabulary)
        return True

    def _drop(self, item_id: str) -> bool:
        key = self._key_of.pop(item_id, None)
        if key is None:
            return False
        self._writer.delete_documents_by_term("key", key)
        self._digests.pop(item_id)
        others = tuple(other for other in self._named.pop(_folded(item_id), ()) if other != item_id)
        if others:
            self._named[_folded(item_id)] = others
        self._titles.pop(item_id, None)
        for word in self._vocabulary_of.pop(item_id):
            self.document_counts[word] -= 1
            if self.document_counts[word] <= 0:
                del self.document_counts[word], self._written[word]
        return True

    def written(self, stem: str) -> str:
        """A stem as some item spells it: what a person can read."""
        return self._written.get(stem, stem)

    def named(self, query: str) -> tuple[str, ...]:
        """The items whose id is the query, whatever the case of its letters."""
        return self._named.get(_folded(query), ())

    def has_all(self, item_id: str, words: Set[str]) -> bool:
        """Whether an item has every one of the words."""
        return words <= self._vocabulary_of.get(item_id, frozenset())

    def title(self, item_id: str) -> str:
        """The words of an item's title, stemmed, with a space between; empty if it is not known."""
        return self._titles.get(item_id, "")

    def covered(self, item_ids: Sequence[str], terms: Sequence[Term]) -> Floats:
        """[n]: how much of the query each item has, its rare words counting more (by inverse document frequency)."""
        most = math.log1p(len(self))
        rare = [(t.word, t.weight * (most - math.log1p(self.document_counts[t.word]) + 0.1)) for t in terms]
        total = sum(weight for word, weight in rare) or 1.0
        nothing = frozenset[str]()
        had = [self._vocabulary_of.get(item_id, nothing) for item_id in item_ids]
        return np.array([sum(weight for word, weight in rare if word in has) / total for has in had], np.float32)

    def search(self, terms: Sequence[Term], limit: int) -> Hits:
        """The items in which any of the words is, by BM25 (Robertson & Zaragoza 2009; k1 1.2, b 0.75)."""
        asked = [(Occur.Should, self._query(term)) for term in terms[: 2 * MOST]]
        if not asked or not limit:
            return Hits([], np.zeros(0, np.float32))
        searcher = self._searcher
        hits = searcher.search(Query.boolean_query(asked), limit, count=False).hits
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        return Hits([self._id_of[int(key or 0)] for key in keys], np.array([score for score, _ in hits], np.float32))

    def _query(self, term: Term) -> Query:
        one = [
            Query.boost_query(Query.term_query(self._schema, name, term.word, "freq"), weight * term.weight)
            for name, weight in self._fields.items()
        ]
        return Query.disjunction_max_query(one, TIE)


def _folded(item_id: str) -> str:
    return " ".join(item_id.split()).casefold()
