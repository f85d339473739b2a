"""catalog → **BM25** → fusion. An inverted index of the catalog's texts, changed as the catalog changes.

tantivy in memory: a worker builds it from its catalog in seconds, and nothing has to be kept on disk or moved. One
thread changes it and searches: a dropped document's key is another one's later. A document is written anew only if its
words changed: a price is none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from hashlib import blake2b
from itertools import islice
from typing import NamedTuple

import numpy as np
from tantivy import Document, Filter, Index, Occur, Query, SchemaBuilder, TextAnalyzerBuilder, Tokenizer

from rec.catalog import Floats, Ints, Item, View
from rec.search.places import Places
from rec.search.postings import Postings
from rec.search.words import MOST, Words

FIELDS: Mapping[str, float] = {"title": 3.0, "brand": 2.0, "category": 1.5, "description": 1.0}
TIE = 0.3  # of what the other fields add to the best one (dis-max): a word in title and text is not two words
HEAP = 64_000_000  # bytes tantivy may gather before it writes a segment
_LOOKED = 200  # items in which two words may stand next to each other
_WORDS = "words"  # the tokenizer's name


class Term(NamedTuple):
    """A word of the index, and how much it counts: 1 as typed, less for what was guessed. `groups`: the numbers of the
    words of the query that it stands for; an item that has it has all of these. None: it tells items apart that were
    found for other words. `others`: the rest of a phrase; without them it stands for nothing."""

    word: str
    weight: float = 1.0
    groups: tuple[int, ...] = (0,)
    others: tuple[str, ...] = ()


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
        self._id_of: list[str] = []  # by key
        self._written_keys: set[int] = set()  # since rows were last asked for
        self._digests: dict[str, bytes] = {}
        self._items: dict[str, Item] = {}  # as the catalog holds them: what is dropped is read once more
        self._titles: dict[str, str] = {}
        self.titles: Counter[str] = Counter()  # stemmed: how many items are called so
        self._vocabulary_of: dict[str, frozenset[str]] = {}
        self.postings = Postings()
        self._places = Places()
        self.spelled: Counter[str] = Counter()  # words as they are written, for typos
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
            self._items[item.item_id] = item
            return False
        self._drop(item.item_id)
        read = self._read(item)
        names = {stem for name, pairs in read.items() if name != "description" for stem, _ in pairs}
        vocabulary = names | {stem for stem, _ in read.get("description", ())}
        title = self._titles[item.item_id] = " ".join(stem for stem, _ in read["title"])
        heads = dict.fromkeys(self.words.heads(item.title))
        key = self.postings.add(names, vocabulary - names, item.category, heads, title)
        if key < len(self._id_of):
            self._id_of[key] = item.item_id
        else:
            self._id_of.append(item.item_id)
        self._written_keys.add(key)
        self._key_of[item.item_id] = key
        self._items[item.item_id] = item
        folded = _folded(item.item_id)
        self._named[folded] = (*self._named.get(folded, ()), item.item_id)
        self._digests[item.item_id] = digest
        document = Document()
        for name, pairs in read.items():
            document.add_text(name, " ".join(stem for stem, _ in pairs))
            for stem, word in pairs:
                self._written.setdefault(stem, word)
        document.add_unsigned("key", key)
        self._writer.add_document(document)
        self.titles[title] += 1
        self._count(read, 1)
        self._vocabulary_of[item.item_id] = frozenset(vocabulary)
        self.document_counts.update(vocabulary)
        return True

    def _read(self, item: Item) -> dict[str, list[tuple[str, str]]]:
        """field → its words in their order, stemmed and as they are written."""
        return {
            name: [(stem, word) for word in self.words.raw(getattr(item, name)) for stem in self.words.stems(word)]
            for name in self._fields
        }

    def _count(self, read: Mapping[str, list[tuple[str, str]]], by: int) -> None:
        """How words are written, in one more item or one less."""
        everywhere = {word for pairs in read.values() for _, word in pairs}
        in_title = {word for _, word in read["title"]}
        for counts, words in ((self.spelled, everywhere), (self.title_words, in_title)):
            for word in words:
                counts[word] += by
                if counts[word] <= 0:
                    del counts[word]

    def _drop(self, item_id: str) -> bool:
        key = self._key_of.pop(item_id, None)
        if key is None:
            return False
        # By query: delete_documents_by_term makes a signed number of an int, which is no term of this field.
        self._writer.delete_documents_by_query(Query.term_query(self._schema, "key", key))
        self.postings.drop(key)
        self._digests.pop(item_id)
        others = tuple(other for other in self._named.pop(_folded(item_id), ()) if other != item_id)
        if others:
            self._named[_folded(item_id)] = others
        title = self._titles.pop(item_id)
        self.titles[title] -= 1
        if self.titles[title] <= 0:
            del self.titles[title]
        self._count(self._read(self._items.pop(item_id)), -1)
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

    def ids(self, keys: Ints) -> list[str]:
        """The items of documents."""
        return [self._id_of[key] for key in keys.tolist()]

    def places(self, view: View) -> Places:
        """Whose row is which document, for this view; of the thread that changes the index."""
        written, self._written_keys = self._written_keys, set()
        return self._places.follow(view, self._id_of, self._key_of, written)

    def beside(self, one: str, other: str) -> bool:
        """Whether two stems stand next to each other in some title."""
        both = self.postings.keys(one, named=True)
        both = both[np.isin(both, self.postings.keys(other, named=True))]
        pair = f" {one} {other} "
        return any(pair in f" {self._titles.get(item_id, '')} " for item_id in self.ids(both[-_LOOKED:]))

    def rarity(self, word: str) -> float:
        """Inverse document frequency; positive, also of a word that every item has."""
        return math.log1p(len(self)) - math.log1p(self.document_counts[word]) + 0.1

    def coverage(self, terms: Sequence[Term], *, named: bool = False) -> Floats:
        """[postings.size]: how much of the query each document has, 0 to 1, its rare words counting more. `named`: has
        in title, brand or category. Of a group of terms the best one that is there counts, beside the best there is."""
        out = np.zeros(self.postings.size, np.float32)
        groups: dict[int, list[Term]] = {}
        for term in terms:
            for number in term.groups:
                groups.setdefault(number, []).append(term)
        total = 0.0
        for group in groups.values():
            best = max(term.weight for term in group)
            rare = max(min(map(self.rarity, (term.word, *term.others))) * term.weight for term in group)
            total += rare
            had = np.zeros(len(out), np.float32)
            group.sort(key=lambda term: term.weight)  # what counts more is written over what counts less
            for term in group:
                had[self.having(term, named=named)] = term.weight / best
            out += np.float32(rare) * had
        out[~self.postings.there()] = 0
        return out / np.float32(total or 1.0)

    def having(self, term: Term, *, named: bool = False) -> Ints:
        """The documents that have a term, a phrase's whole; `named`: in their names. Dropped ones may be among them."""
        keys = self.postings.keys(term.word, named=named)
        for other in term.others:
            keys = np.intersect1d(keys, self.postings.keys(other, named=named)).astype(np.int32)
        return keys

    def likely(self, terms: Sequence[Term]) -> Floats:
        """[postings.categories] how probable each category is, the most probable one at 1: the mean of P(category |
        word) over the words, by their rarity, from how many items of it have the word in their names."""
        out, there = np.zeros(self.postings.categories), self.postings.there()
        for term in (one for one in terms if one.groups):
            keys = self.having(term, named=True)
            keys = keys[there[keys]]
            counts = np.bincount(self.postings.category_of(keys), minlength=len(out)).astype(np.float64)
            counts[0] = 0
            if len(keys):
                out += term.weight * self.rarity(term.word) * counts / len(keys)
        most = out.max(initial=0.0)
        likely: Floats = (out / most if most > 0 else out).astype(np.float32)
        return likely

    def search(self, terms: Sequence[Term], limit: int) -> Hits:
        """The items in which any of the words is, by BM25 (Robertson & Zaragoza 2009; k1 1.2, b 0.75)."""
        keys, scores = self.best(terms, limit)
        return Hits(self.ids(keys), scores)

    def best(self, terms: Sequence[Term], limit: int) -> tuple[Ints, Floats]:
        """The same as documents [n] and their scores [n]."""
        weights: dict[str, float] = {}
        for term in terms:  # a word that is wanted alone and as part of a phrase is one word
            weights[term.word] = max(term.weight, weights.get(term.word, 0.0))
        asked = [(Occur.Should, self._query(word, weight)) for word, weight in islice(weights.items(), 2 * MOST)]
        if not asked or not limit:
            return np.zeros(0, np.int32), np.zeros(0, np.float32)
        searcher = self._searcher
        hits = searcher.search(Query.boolean_query(asked), limit, count=False).hits
        keys = searcher.fast_field_values("key", [address for _, address in hits])
        return np.array(keys, np.int32), np.array([score for score, _ in hits], np.float32)

    def _query(self, word: str, counts: float) -> Query:
        one = [
            Query.boost_query(Query.term_query(self._schema, name, word, "freq"), weight * counts)
            for name, weight in self._fields.items()
        ]
        return Query.disjunction_max_query(one, TIE)


def _folded(item_id: str) -> str:
    return " ".join(item_id.split()).casefold()
