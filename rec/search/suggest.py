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

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from rec.catalog import Floats, Mask, View
from rec.search.clicks import QueryClicks, key_of
from rec.search.lexical import LexicalIndex, Term
from rec.search.reading import Reader, cleaned
from rec.search.spelling import Speller

_SCANNED = 500  # entries of one beginning that are looked at
_TRIED = 5  # times as many as are wanted are asked whether they lead anywhere
_LOOKED = (10, 400)  # products that a suggestion finds, among which one must be listed
_SHARE = {"query": 0.4, "category": 0.2, "brand": 0.2, "word": 0.6, "product": 1.0}  # of the list, at most, in turn
_KEPT = 0.3  # of the list for products, if there are any
_ENDINGS, _DOCUMENTS = 12, 300  # words that a begun one may become, and products of each, that are looked at
_NEAR = 300  # products with the words before, among whose titles the next word is looked for


class Suggestion(NamedTuple):
    """`text` is what to search for; of a product it is the title, and `item_id` is there."""

    text: str
    kind: str  # query | category | brand | word | product
    item_id: str | None = None


class Prefixes:
    """Texts by their beginnings, each with a weight; by the beginning of every word of them, if `inside`."""

    def __init__(self, weights: Mapping[str, float], inside: bool = False) -> None:
        entries: list[tuple[str, str]] = []
        for text in weights:
            key = key_of(text)
            words = key.split(" ")
            starts = range(len(words)) if inside else range(1)
            entries += [(" ".join(words[at:]), text) for at in starts if words[at]]
        entries.sort()
        self._keys, self._texts = [key for key, _ in entries], [text for _, text in entries]
        self._weights = weights

    def of(self, prefix: str, n: int, leads: Callable[[str], bool] = lambda text: True) -> list[str]:
        """The n heaviest that begin like this and lead somewhere.

        >>> Prefixes({"Tents": 2, "Tent pegs": 9, "Family tents": 1}, inside=True).of("tent", 3)
        ['Tent pegs', 'Tents', 'Family tents']
        """
        first = bisect_left(self._keys, prefix)
        found: dict[str, None] = {}
        for at in range(first, min(first + _SCANNED, len(self._keys))):
            if not self._keys[at].startswith(prefix):
                break
            found[self._texts[at]] = None
        best = sorted(found, key=lambda text: (-self._weights[text], text))[: _TRIED * n]
        return list(islice(filter(leads, best), n))


class Suggester:
    """Holds the lists for one catalog and one index; `renew` it after either changed."""

    def __init__(self, index: LexicalIndex, reader: Reader) -> None:
        self._index, self._reader = index, reader
        self._speller = Speller(index.title_words)
        self._seen: tuple[int, int] = (-1, -1)  # generations of the index and of the queries
        self._queries = self._categories = self._brands = self._words = Prefixes({})
        self._led: dict[str, bool] = {}  # text → whether it leads somewhere, for one `_view` and what is shown of it
        self._view: View | None = None
        self._shown: Mask = np.zeros(0, np.bool_)

    def renew(self, view: View, queries: QueryClicks) -> bool:
        """Read everything again if it has changed; whether it had."""
        before, seen = self._seen, (self._index.generation, queries.generation)
        self._seen = seen
        if seen[1] != before[1]:
            self._queries = Prefixes(queries.popular())
        if seen[0] != before[0]:
            self._renew_words(view)
        return seen != before

    def _renew_words(self, view: View) -> None:
        """What depends on the catalog alone: of 55,000 products that takes a tenth of a second."""
        listed = [item for row in view.known.nonzero()[0].tolist() if not (item := view.items[row]).flagged]
        self._categories = Prefixes(_many(item.category for item in listed), inside=True)
        self._brands = Prefixes(_many(item.brand for item in listed), inside=True)
        self._words = Prefixes(self._one_of_each_stem())
        self._speller.renew(self._index.generation)
        self._led = {}

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
        if view is not self._view or not np.array_equal(shown, self._shown):
            self._view, self._shown, self._led = view, shown, {}
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
        leads = self._leads
        yield "query", [Suggestion(text, "query") for text in self._queries.of(prefix, n, leads)]
        yield "category", [Suggestion(text, "category") for text in self._categories.of(prefix, n, leads)]
        yield "brand", [Suggestion(text, "brand") for text in self._brands.of(prefix, n, leads)]
        yield "word", self._completed(line, n)

    def _leads(self, text: str) -> bool:
        """Whether a search for it finds, by its words, something that is shown."""
        known = self._led.get(text)
        if known is None:
            terms = [term for term in self._reader.read(text).terms if term.groups]
            near = (self._index.search(terms, most).item_ids for most in _LOOKED)
            known = self._led[text] = any(self._is_shown(item_id) for item_ids in near for item_id in item_ids)
        return known

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
            endings = self._words.of(last, n, self._leads) or list(filter(self._leads, self._almost(last, n)))
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
        with_one = [index.postings.keys(stem, named=True) for stem in stems]
        for other in needed:
            others = index.postings.keys(other, named=True)
            with_one = [keys[np.isin(keys, others)] for keys in with_one]
        newest = np.unique(np.concatenate([keys[-_DOCUMENTS:] for keys in with_one]))
        rows = index.places(view).known(newest[index.postings.there()[newest]], self._shown)
        liked = np.zeros(len(rows), np.float32)
        if popularity is not None:
            counted = rows < len(popularity)
            liked[counted] = popularity[rows[counted]]
        found: dict[str, Suggestion] = {}
        for row in rows[np.lexsort((-view.born[rows], -liked))].tolist():
            item = view.items[row]
            if item.title not in found and not stems.isdisjoint(index.title(item.item_id).split()):
                found[item.title] = Suggestion(item.title, "product", item.item_id)
                if len(found) == n:
                    break
        return list(found.values())


def _worth_saying(word: str) -> bool:
    """Not a number, and of more than two letters where letters are few: 帐 may be a word, `to` says nothing."""
    return not word.isdecimal() and (len(word) > 2 or not word.isascii())


def _many(names: Iterable[str]) -> dict[str, float]:
    return {name: float(count) for name, count in Counter(names).items() if name}
