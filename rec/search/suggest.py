"""first letters → **suggestions**. What can be searched for, while it is typed: queries, categories, brands, products.

    queries      what at least three different shoppers asked for and begins like this   rec.search.clicks
    categories   ... and brands that begin like this, or one of whose words does
    words        the last word completed, from the words of titles, one of each stem, none that says nothing; after
                 other words only what stands next to them in some title
    products     titles that have the words, the last one begun

A last word that nothing begins with is taken for one that begins almost so. Order within a kind: the more often asked
for, the more items, or the more popular, first. What a search would find nothing listed for is not suggested. Pure;
`renew` brings the lists up to date.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Ints, Mask, View
from rec.search.clicks import QueryClicks, key_of
from rec.search.lexical import LexicalIndex, Term
from rec.search.prefixes import Prefixes
from rec.search.reading import Reader, cleaned
from rec.search.spelling import Speller
from rec.shelf import leading

RENEW_S = 5.0  # what can be completed may be so old; what leads nowhere any more is known at once
WEIGH_S = 60.0  # how often queries are asked for may be so old
_SHARE = {"query": 0.4, "category": 0.2, "brand": 0.2, "word": 0.6, "product": 1.0}  # of the list, at most, in turn
_KEPT = 0.3  # of the list for products, if there are any
_ENDINGS = 12  # words that a begun one may become
_TITLES = 2_000  # products, the most popular with the words first, whose titles are looked at
_NEAR = 300  # products with the words before, among whose titles the next word is looked for


class Suggestion(NamedTuple):
    """`text` is what to search for; of a product it is the title, and `item_id` is there."""

    text: str
    kind: str  # query | category | brand | word | product
    item_id: str | None = None


class Suggester:
    """Holds the lists for one catalog and one index; `renew` it before each use."""

    def __init__(self, index: LexicalIndex, reader: Reader) -> None:
        self._index, self._reader = index, reader
        self._speller = Speller(index.title_words)
        self._read: tuple[int, float] = (-1, 0.0)  # generation of the index that was read, and when
        self._asked: tuple[int, float] = (-1, 0.0)  # the same of the queries
        self._queries = self._categories = self._brands = self._words = Prefixes({})
        # text → whether it leads somewhere, for what is shown of one `_view`, and the index as it was at `_of`
        self._led: dict[str, bool] = {}
        self._view: View | None = None
        self._shown: Mask = np.zeros(0, np.bool_)
        self._of = -1  # generation of the index

    def renew(self, view: View, queries: QueryClicks, now: float) -> None:
        """Read again what has changed, every few seconds at most: a feed changes something all the time. Queries are
        weighed again every minute, for what is asked for no more fades."""
        index, asked = self._index.generation, queries.generation
        if index != self._read[0] and _due(self._read, RENEW_S, now):
            self._read = (index, now)
            self._renew_words(view)
        if _due(self._asked, RENEW_S if asked != self._asked[0] else WEIGH_S, now):
            self._asked = (asked, now)
            self._queries = Prefixes(queries.popular(now), keyed=True)

    def _renew_words(self, view: View) -> None:
        """What depends on the catalog alone."""
        self._categories = Prefixes(_many(view.category[view.known], view.categories), inside=True)
        self._brands = Prefixes(_many(view.brand[view.known], view.brands), inside=True)
        self._words = Prefixes(self._one_of_each_stem(), keyed=True)

    def _one_of_each_stem(self) -> dict[str, float]:
        """The words of titles as most of these spell them, each with how often any form of it is there."""
        words, forms, sums = self._index.words, dict[str, tuple[int, str]](), Counter[str]()
        for word, n in list(self._index.title_words.items()):
            if _worth_saying(word) and not words.stops(word):
                stem = " ".join(words.stems(word))
                forms[stem] = max(forms.get(stem, (0, "")), (n, word))
                sums[stem] += n
        return {word: float(sums[stem]) for stem, (_, word) in forms.items()}

    def suggest(
        self, typed: str, view: View, shown: Mask, n: int = 10, popularity: Floats | None = None
    ) -> list[Suggestion]:
        """At most n, each text once. `shown` [size]: what everybody may be shown; `popularity` [size or less]. Raises
        BadInput."""
        line = cleaned(typed)
        generation = self._index.generation
        if view is not self._view or generation != self._of or not np.array_equal(shown, self._shown):
            self._view, self._shown, self._of, self._led = view, shown, generation, {}
        self._speller.renew(generation)
        prefix = key_of(line)
        found: dict[str, Suggestion] = {}
        if not prefix:
            return []
        titles = self._products(line, max(1, n), popularity)
        room = n - min(len(titles), round(_KEPT * n))
        for kind, one in self._all(prefix, line, n):
            most = max(1, round(_SHARE[kind] * n))
            for suggestion in one[: min(most, room - len(found))]:
                found.setdefault(key_of(suggestion.text), suggestion)
            if len(found) >= room:
                break
        for suggestion in titles:
            found.setdefault(key_of(suggestion.text), suggestion)
        return list(found.values())[:n]

    def _all(self, prefix: str, line: str, n: int) -> Iterator[tuple[str, Sequence[Suggestion]]]:
        view = self._view
        assert view is not None, "only suggest() gets here"
        categories = self._categories.of(prefix, n, lambda name: self._has(view.category, view.categories.get(name)))
        brands = self._brands.of(prefix, n, lambda name: self._has(view.brand, view.brands.get(name)))
        yield "query", [Suggestion(text, "query") for text in self._queries.of(prefix, n, self._leads)]
        yield "category", [Suggestion(text, "category") for text in categories]
        yield "brand", [Suggestion(text, "brand") for text in brands]
        yield "word", self._completed(line, n)

    def _has(self, codes: Ints, code: int | None) -> bool:
        """Whether something of a category or brand is shown."""
        return code is not None and bool((self._shown & (codes == code)).any())

    def _leads(self, text: str) -> bool:
        """Whether a search for it finds, by its words, something that is shown."""
        known = self._led.get(text)
        if known is None:
            terms = [term for term in self._reader.read(text).terms if term.groups]
            known = self._led[text] = any(len(self._rows(self._index.having(term))) for term in terms)
        return known

    def _says(self, word: str) -> bool:
        """Whether a title has a word, and it leads somewhere."""
        return word in self._index.title_words and self._leads(word)

    def _rows(self, keys: Ints) -> Ints:
        """The rows of documents that are there and shown."""
        assert self._view is not None, "only suggest() gets here"
        return self._index.places(self._view).known(keys[self._index.postings.there()[keys]], self._shown)

    def _is_shown(self, item_id: str) -> bool:
        row = None if self._view is None else self._view.row(item_id)
        return row is not None and bool(self._shown[row])

    def _begun(self, line: str) -> tuple[str, list[str], str]:
        """What is typed before its last word, as it is; the words of that; and the last word."""
        *before, last = self._index.words.raw(line) or [""]
        folded = line.casefold()
        at = folded.rfind(last)
        return folded[:at] if at >= 0 else "".join(f"{word} " for word in before), before, last

    def _completed(self, line: str, n: int) -> list[Suggestion]:
        """The last word completed; or, if no word begins so, what was probably meant."""
        typed, before, last = self._begun(line)
        if not last:
            return []
        if before:
            endings = self._next(before, lambda word: word.startswith(last))
            if not endings:
                almost = set(self._almost(last, 4 * n))
                endings = self._next(before, almost.__contains__) if almost else []
        else:
            endings = self._words.of(last, n, self._says) or list(filter(self._says, self._almost(last, n)))
        return [Suggestion(typed + ending, "word") for ending in endings[:n]]

    def _almost(self, last: str, n: int) -> list[str]:
        """Words that are probably meant, one of each stem: those misspelt whole before those begun."""
        guesses = [guess.word for guess in self._speller.guesses(last)] or self._speller.beginnings(last, n)
        stems = {" ".join(self._index.words.stems(word)): word for word in reversed(guesses)}
        return [word for word in guesses if word in stems.values() and not self._index.words.stops(word)]

    def _next(self, before: Sequence[str], fits: Callable[[str], bool]) -> list[str]:
        """The words that stand behind the last of those before in titles that have all of them, most frequent first."""
        words, index = self._index.words, self._index
        stems = [stem for word in before for stem in words.stems(word)]
        counts: Counter[str] = Counter()
        for item_id in index.search([Term(stem) for stem in stems], _NEAR).item_ids:
            title = index.title(item_id).split()
            if self._is_shown(item_id) and set(stems) <= set(title):
                counts.update({b for a, b in zip(title, title[1:], strict=False) if a == stems[-1]})
        written = ((index.written(stem), times) for stem, times in counts.most_common())
        return [word for word, _ in written if fits(word) and not words.stops(word) and not word.isdecimal()]

    def _products(self, line: str, n: int, popularity: Floats | None) -> list[Suggestion]:
        """The n most popular products in whose titles all words are, the last one at least begun; of equals the newer
        one first, each title once."""
        _, before, last = self._begun(line)
        index, words, view = self._index, self._index.words, self._view
        if not last or view is None or (len(last) < 2 and last.isascii() and not before):
            return []
        endings = self._words.of(last, _ENDINGS) or self._almost(last, _ENDINGS)
        stems = {stem for ending in [*endings, last] for stem in words.stems(ending)}
        needed = {stem for word in before for stem in words.stems(word) if not words.stops(word)}
        with_all = self._having(stems)
        for word in needed:
            with_all &= self._having([word])
        eligible = np.zeros(view.size, np.bool_)
        eligible[self._rows(np.flatnonzero(with_all).astype(np.int32))] = True
        liked = np.zeros(view.size, np.float32)
        if popularity is not None:
            liked[: len(popularity)] = popularity[: view.size]
        found: dict[str, Suggestion] = {}
        for row in leading(liked, view.born, eligible, _TITLES).tolist():
            item = view.items[row]
            if item.title not in found and not stems.isdisjoint(index.title(item.item_id).split()):
                found[item.title] = Suggestion(item.title, "product", item.item_id)
                if len(found) == n:
                    break
        return list(found.values())

    def _having(self, stems: Iterable[str]) -> Mask:
        """[documents] those with any of these in their names."""
        mask = np.zeros(self._index.postings.size, np.bool_)
        for stem in stems:
            mask[self._index.postings.keys(stem, named=True)] = True
        return mask


def _due(last: tuple[int, float], every_s: float, now: float) -> bool:
    """Whether it is time again; at once if there was no time yet, or the clock went back."""
    return last[0] < 0 or not 0 <= now - last[1] < every_s


def _worth_saying(word: str) -> bool:
    """Not a number, and of more than two letters where letters are few: 帐 may be a word, `to` says nothing."""
    return not word.isdecimal() and (len(word) > 2 or not word.isascii())


def _many(codes: Ints, names: Mapping[str, int]) -> dict[str, float]:
    """How many there are of each name."""
    counts = dict(enumerate(np.bincount(codes).tolist()))
    many = {name: float(counts.get(code, 0)) for name, code in list(names.items()) if name}
    return {name: count for name, count in many.items() if count}
