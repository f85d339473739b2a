"""first letters → **suggestions**. What can be searched for, while it is typed: queries, categories, brands, products.

    queries      what at least three different shoppers asked for and begins like this   rec.search.clicks
    categories   ... and brands that begin like this, or one of whose words does
    words        the last word completed, from the words of the catalog; after other words only where some item has all
    products     titles that begin like this

Order within a kind: the more often asked for, or the more items, first. What a search would find nothing listed for is
not suggested. Pure; `renew` brings the lists up to date.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import numpy as np

from rec.catalog import Mask, View
from rec.search.clicks import QueryClicks, key_of
from rec.search.lexical import LexicalIndex, Term
from rec.search.reading import Reader, cleaned
from rec.search.spelling import Speller

_SCANNED = 500  # entries of one beginning that are looked at
_TRIED = 5  # times as many as are wanted are asked whether they lead anywhere
_LOOKED = (10, 400)  # products that a suggestion finds, among which one must be listed
_SHARE = {"query": 0.4, "category": 0.2, "brand": 0.2, "word": 0.6, "product": 1.0}  # of the list, at most, in turn


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
        self._speller = Speller(index.spelled)
        self._seen: tuple[int, int] | None = None
        self._queries = self._categories = self._brands = self._words = Prefixes({})
        self._titles = Prefixes({})
        self._ids: dict[str, list[str]] = {}
        self._led: dict[str, bool] = {}  # text → whether it leads somewhere, for one `_view` and what is shown of it
        self._view: View | None = None
        self._shown: Mask = np.zeros(0, np.bool_)

    def renew(self, view: View, queries: QueryClicks) -> bool:
        """Read everything again if it has changed; whether it had."""
        seen = (self._index.generation, queries.generation)
        if seen == self._seen:
            return False
        listed = [item for row in view.known.nonzero()[0].tolist() if not (item := view.items[row]).flagged]
        self._queries = Prefixes(queries.popular())
        self._categories = Prefixes(_many(item.category for item in listed), inside=True)
        self._brands = Prefixes(_many(item.brand for item in listed), inside=True)
        self._words = Prefixes({word: n for word, n in self._index.title_words.items() if _worth_saying(word)})
        self._titles = Prefixes(dict.fromkeys((item.title for item in listed), 0.0))
        self._ids = {}
        for item in listed:
            self._ids.setdefault(item.title, []).append(item.item_id)
        self._speller.renew(self._index.generation)
        self._seen, self._led = seen, {}
        return True

    def suggest(self, typed: str, view: View, shown: Mask, n: int = 10) -> list[Suggestion]:
        """At most n, each text once. `shown` [size]: what everybody may be shown. Raises BadInput."""
        line = cleaned(typed)
        if view is not self._view or not np.array_equal(shown, self._shown):
            self._view, self._shown, self._led = view, shown, {}
        prefix = key_of(line)
        found: dict[str, Suggestion] = {}
        if not prefix:
            return []
        for kind, one in self._all(prefix, n):
            most = max(1, round(_SHARE[kind] * n))
            for suggestion in one[:most]:
                found.setdefault(key_of(suggestion.text), suggestion)
            if len(found) >= n:
                break
        return list(found.values())[:n]

    def _all(self, prefix: str, n: int) -> Iterator[tuple[str, Sequence[Suggestion]]]:
        leads = self._leads
        yield "query", [Suggestion(text, "query") for text in self._queries.of(prefix, n, leads)]
        yield "category", [Suggestion(text, "category") for text in self._categories.of(prefix, n, leads)]
        yield "brand", [Suggestion(text, "brand") for text in self._brands.of(prefix, n, leads)]
        yield "word", self._completed(prefix, n)
        titles = [(text, self._product(text)) for text in self._titles.of(prefix, n, lambda t: bool(self._product(t)))]
        yield "product", [Suggestion(text, "product", item_id) for text, item_id in titles]

    def _leads(self, text: str) -> bool:
        """Whether a search for it finds, by its words, something that is shown."""
        known = self._led.get(text)
        if known is None:
            terms = self._reader.read(text).terms
            near = (self._index.search(terms, most).item_ids for most in _LOOKED)
            known = self._led[text] = any(self._is_shown(item_id) for item_ids in near for item_id in item_ids)
        return known

    def _product(self, title: str) -> str | None:
        """The first product of this title that is shown."""
        return next(filter(self._is_shown, self._ids[title]), None)

    def _is_shown(self, item_id: str) -> bool:
        row = None if self._view is None else self._view.row(item_id)
        return row is not None and bool(self._shown[row])

    def _completed(self, prefix: str, n: int) -> list[Suggestion]:
        """The last word completed; or, if no word begins so, what was probably meant."""
        *before, last = prefix.split(" ")
        endings = self._words.of(last, 5 * n) if before else self._words.of(last, n, self._leads)
        if not endings:
            endings = [guess.word for guess in self._speller.guesses(last) if self._leads(guess.word)]
        if before:
            endings = self._together(before, endings)
        return [Suggestion(" ".join([*before, ending]), "word") for ending in endings[:n]]

    def _together(self, before: Sequence[str], endings: Sequence[str]) -> list[str]:
        """Those of the endings that some item has beside the words before, the items that fit best first."""
        words = self._index.words
        asked = [Term(stem) for stem in words(" ".join(before))]
        wanted = {stem: ending for ending in endings for stem in words(ending)}
        near = self._index.search(asked, 200).item_ids
        needed = {term.word for term in asked}
        counts: Counter[str] = Counter()
        for item_id in near:
            if self._is_shown(item_id) and self._index.has_all(item_id, needed):
                counts.update(stem for stem in wanted if self._index.has_all(item_id, {stem}))
        return [wanted[stem] for stem, _ in counts.most_common()]


def _worth_saying(word: str) -> bool:
    """Not a number, and of more than two letters where letters are few: 帐 may be a word, `to` says nothing."""
    return not word.isdecimal() and (len(word) > 2 or not word.isascii())


def _many(names: Iterable[str]) -> dict[str, float]:
    return {name: float(count) for name, count in Counter(names).items() if name}
