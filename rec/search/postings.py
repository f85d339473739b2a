"""index's documents → **postings** → coverage, facets, suggestions. Which words are in which documents, as arrays.

Beside tantivy, which says what is best: this says what there is, of all of it, in fractions of a millisecond: how much
of a query each document has, and how often a word stands in which category. A document is a key, a number that is
never used again; those of dropped documents are swept out when they are the most. One thread changes it, any may read:
what is read is a copy, made in one step.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

from rec.catalog import Ints, Mask

_SWEEP = 1_000  # dropped documents that are always put up with


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
        self._dropped = 0

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
        key = len(self._there)
        self._there.append(1)
        self._category.append(self._codes.setdefault(category, len(self._codes)))
        kinds = ((names, self._names), (text, self._text), (heads, self._heads), ((title,), self._titles))
        for words, postings in kinds:
            for word in words:
                if (found := postings.get(word)) is None:
                    found = postings[word] = array("I")
                found.append(key)
        return key

    def drop(self, key: int) -> None:
        self._there[key] = 0
        self._dropped += 1
        if self._dropped > _SWEEP and self._dropped > len(self._there) // 2:
            self._sweep()

    def there(self) -> Mask:
        """[size] the documents that were not dropped."""
        return np.frombuffer(bytes(self._there), np.bool_)

    def keys(self, word: str, *, named: bool = False) -> Ints:
        """The documents with a word, ascending but for where both kinds meet; those with it in their names alone, if
        `named`. Dropped ones may be among them."""
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

    def _sweep(self) -> None:
        there = self.there()
        for postings in (self._names, self._text, self._heads, self._titles):
            for word in list(postings):
                keys = np.frombuffer(postings[word].tobytes(), np.int32)
                if len(kept := keys[there[keys]]):
                    postings[word] = array("I", kept.astype(np.uint32).tobytes())
                else:
                    del postings[word]
        self._dropped = 0
