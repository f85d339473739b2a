"""index's documents → **postings** → coverage, facets, suggestions. Which words are in which documents, as arrays.

Beside tantivy, which says what is best: this says what there is, of all of it, in fractions of a millisecond: how much
of a query each document has, and how often a word stands in which category. A document is a key; that of a dropped one
is another's when it has been swept out of all lists. So there are little more than twice as many keys as documents,
however often the catalog is written anew. To sweep in one go takes seconds where there are 55,000 products, so it is
done a little with each document that is dropped. One thread changes it, any may read: what is read is a copy, made in
one step.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from rec.catalog import Ints, Mask

_SWEEP = 1_000  # dropped documents that are always put up with
_A_LITTLE = 50  # lists that are swept with each document that is dropped, while there is a sweep: 0.2 ms or so


class Postings:
    """`names`: title, brand and category of a document; `text`: what else is said of it."""

    def __init__(self) -> None:
        self._names: dict[str, array[int]] = {}
        self._text: dict[str, array[int]] = {}
        self._heads: dict[str, array[int]] = {}
        self._titles: dict[str, array[int]] = {}
        self._there = bytearray()  # by key
        self._category = array("I")  # by key, a code
        self._codes: dict[str, int] = {"": 0}
        self._dropped: list[int] = []  # keys that lists may have still
        self._sweeping: Ints = np.zeros(0, np.int32)  # those that a sweep takes out
        self._unswept: Iterator[tuple[dict[str, array[int]], str]] = iter(())  # the lists that it has not seen yet
        self._free: list[int] = []  # keys that no list has, the smallest one last

    @property
    def size(self) -> int:
        """One more than the largest key."""
        return len(self._there)

    @property
    def categories(self) -> int:
        """One more than the largest code of a category; 0 is none."""
        return len(self._codes)

    def add(
        self, names: Iterable[str], text: Iterable[str], category: str, heads: Iterable[str] = (), title: str = ""
    ) -> int:
        """The key of a new document. `text` is without what is among the names; `heads`, `title`: see `headed`."""
        code = self._codes.setdefault(category, len(self._codes))
        if self._free:
            key = self._free.pop()
            self._category[key] = code
            self._there[key] = 1
        else:
            key = len(self._there)
            self._category.append(code)
            self._there.append(1)
        kinds = ((names, self._names), (text, self._text), (heads, self._heads), ((title,), self._titles))
        for words, postings in kinds:
            for word in words:
                if (found := postings.get(word)) is None:
                    found = postings[word] = array("I")
                found.append(key)
        return key

    def drop(self, key: int) -> None:
        self._there[key] = 0
        self._dropped.append(key)
        dead = len(self._dropped)
        if not len(self._sweeping) and dead > _SWEEP and dead > len(self._there) - len(self._free) - dead:
            self._sweeping, self._dropped = np.array(self._dropped, np.int32), []
            kinds = (self._names, self._text, self._heads, self._titles)
            self._unswept = ((lists, word) for lists in kinds for word in list(lists))
        if len(self._sweeping):
            self._sweep(_A_LITTLE)

    def there(self) -> Mask:
        """[size] the documents that were not dropped."""
        return np.frombuffer(bytes(self._there), np.bool_)

    def keys(self, word: str, *, named: bool = False) -> Ints:
        """The documents with a word, in the order in which they were added but for where both kinds meet; those with it
        in their names alone, if `named`. Dropped ones may be among them."""
        kinds = (self._names,) if named else (self._names, self._text)
        found = [np.frombuffer(postings[word].tobytes(), np.int32) for postings in kinds if word in postings]
        return found[0] if len(found) == 1 else np.concatenate([np.zeros(0, np.int32), *found])

    def headed(self, stems: Iterable[str]) -> Mask:
        """[size + 1] the documents that are called one of these, by their titles' heads (`Words.heads`); the last one,
        which is that of no document (-1), never is."""
        mask = np.zeros(self.size + 1, np.bool_)
        for stem in stems:
            if stem in self._heads:
                mask[np.frombuffer(self._heads[stem].tobytes(), np.int32)] = True
        return mask

    def titled(self, title: str) -> Ints:
        """The documents whose whole title, stemmed, is this."""
        return np.frombuffer(self._titles[title].tobytes() if title in self._titles else b"", np.int32)

    def category_of(self, keys: Ints) -> Ints:
        """[m] the codes of their categories."""
        return np.frombuffer(self._category.tobytes(), np.int32)[keys]

    def _sweep(self, some: int) -> None:
        """Out of some more lists; behind the last one the keys are free."""
        gone = np.zeros(self.size, np.bool_)
        gone[self._sweeping] = True
        swept = 0
        for lists, word in islice(self._unswept, some):
            swept += 1
            keys = np.frombuffer(lists[word].tobytes(), np.int32)
            kept = keys[~gone[keys]]
            if not len(kept):
                del lists[word]
            elif len(kept) < len(keys):
                lists[word] = array("I", kept.astype(np.uint32).tobytes())
        if swept < some:
            self._free = sorted([*self._free, *self._sweeping.tolist()], reverse=True)
            self._sweeping = np.zeros(0, np.int32)
