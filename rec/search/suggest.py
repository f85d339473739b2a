"""first letters → **suggestions**. What can be searched for, while it is typed: queries, categories, brands, products.

    queries      what at least three different shoppers asked for and begins like this   rec.search.clicks
    categories   ... and brands that begin like this, or one of whose words does
    words        the last word completed, from the words of the catalog; after other words only where some item has all
    products     titles that begin like this

Order within a kind: the more often asked for, or the more items, first. Pure; `renew` brings the lists up to date.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rec.catalog import View
from rec.search.clicks import QueryClicks, key_of
from rec.search.lexical import LexicalIndex, Term
from rec.search.reading import cleaned
from rec.search.spelling import Speller

_SCANNED = 500  # entries of one beginning that are looked at
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

    def of(self, prefix: str, n: int) -> list[str]:
        """The n heaviest that begin like this.

        >>> Prefixes({"Tents": 2, "Tent pegs": 9, "Family tents": 1}, inside=True).of("tent", 3)
        ['Tent pegs', 'Tents', 'Family tents']
        """
        first = bisect_left(self._keys, prefix)
        found: dict[str, None] = {}
        for at in range(first, min(first + _SCANNED, len(self._keys))):
            if not self._keys[at].startswith(prefix):
                break
            found[self._texts[at]] = None
        return sorted(found, key=lambda text: (-self._weights[text], text))[:n]


class Suggester:
    """Holds the lists for one catalog and one index; `renew` it after either changed."""

    def __init__(self, index: LexicalIndex) -> None:
        self._index = index
        self._speller = Speller(index.spelled)
        self._seen: tuple[int, int] | None = None
        self._queries = self._categories = self._brands = self._words = Prefixes({})
        self._titles = Prefixes({})
        self._ids: dict[str, str] = {}

    def renew(self, view: View, queries: QueryClicks) -> bool:
        """Read everything again if it has changed; whether it had."""
        seen = (self._index.generation, queries.generation)
        if seen == self._seen:
            return False
        listed = [view.items[row] for row in view.listed.nonzero()[0].tolist()]
        self._queries = Prefixes(queries.popular())
        self._categories = Prefixes(_many(item.category for item in listed), inside=True)
        self._brands = Prefixes(_many(item.brand for item in listed), inside=True)
        self._words = Prefixes({word: n for word, n in self._index.title_words.items() if _worth_saying(word)})
        self._titles = Prefixes(dict.fromkeys((item.title for item in listed), 0.0))
        self._ids = {item.title: item.item_id for item in reversed(listed)}
        self._speller.renew(self._index.generation)
        self._seen = seen
        return True

    def suggest(self, typed: str, n: int = 10) -> list[Suggestion]:
        """At most n, each text once. Raises BadInput."""
        line = cleaned(typed)
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
        yield "query", [Suggestion(text, "query") for text in self._queries.of(prefix, n)]
        yield "category", [Suggestion(text, "category") for text in self._categories.of(prefix, n)]
        yield "brand", [Suggestion(text, "brand") for text in self._brands.of(prefix, n)]
        yield "word", self._completed(prefix, n)
        yield "product", [Suggestion(text, "product", self._ids[text]) for text in self._titles.of(prefix, n)]

    def _completed(self, prefix: str, n: int) -> list[Suggestion]:
        """The last word completed; or, if no word begins so, what was probably meant."""
        *before, last = prefix.split(" ")
        endings = self._words.of(last, 5 * n if before else n)
        if not endings:
            endings = [guess.word for guess in self._speller.guesses(last)]
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
            if self._index.has_all(item_id, needed):
                counts.update(stem for stem in wanted if self._index.has_all(item_id, {stem}))
        return [wanted[stem] for stem, _ in counts.most_common()]


def _worth_saying(word: str) -> bool:
    """Not a number, and of more than two letters where letters are few: 帐 may be a word, `to` says nothing."""
    return not word.isdecimal() and (len(word) > 2 or not word.isascii())


def _many(names: Iterable[str]) -> dict[str, float]:
    return {name: float(count) for name, count in Counter(names).items() if name}
