"""index's documents ↔ catalog's rows → **places** → finding. Whose row is which document, as two arrays.

A search turns thousands of documents into rows and back; by their ids that is most of what it costs. What is new in
either is looked up once. One thread; a catalog that was packed anew (other `ids`) is looked up anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rec.catalog import Ints, Mask, View


class Places:
    """`follow` what there is, then ask. Rows are of that view; -1 is none."""

    def __init__(self) -> None:
        self._ids: Sequence[str] | None = None
        self._rows_seen = self._keys_seen = self._size = 0
        self._row_of = np.full(1, -1, np.int32)  # by document
        self._key_of = np.full(1, -1, np.int32)  # by row

    def follow(self, view: View, id_of: Sequence[str], key_of: Mapping[str, int]) -> Places:
        """Itself. `id_of`: by document; `key_of`: the document of each id that has one."""
        if self._ids is not view.ids:
            self._ids, self._rows_seen, self._keys_seen = view.ids, 0, 0
            self._row_of, self._key_of = np.full(1, -1, np.int32), np.full(1, -1, np.int32)
        self._size, documents = view.size, len(id_of)
        self._row_of, self._key_of = _room(self._row_of, documents), _room(self._key_of, view.size)
        for row in range(self._rows_seen, view.size):
            if (key := key_of.get(view.ids[row], -1)) >= 0:
                self._row_of[key], self._key_of[row] = row, key
        for key in range(self._keys_seen, documents):
            item_id = id_of[key]
            at = view.row(item_id)
            if at is None or key_of.get(item_id) != key:  # written again meanwhile: another one is the item's
                continue
            if (before := self._key_of[at]) >= 0:
                self._row_of[before] = -1
            self._row_of[key], self._key_of[at] = at, key
        self._rows_seen, self._keys_seen = max(self._rows_seen, view.size), documents
        return self

    def rows(self, keys: Ints) -> Ints:
        """[m] the rows of documents."""
        rows: Ints = self._row_of[keys]
        return np.where(rows < self._size, rows, np.int32(-1))

    def known(self, keys: Ints, allowed: Mask) -> Ints:
        """The rows, in the order of the documents, of those that have one which is `allowed`."""
        rows = self.rows(keys)
        rows = rows[rows >= 0]
        return rows[allowed[rows]]

    def keys(self, rows: Ints, there: Mask) -> Ints:
        """[m] the documents of rows; of those that are `there` [documents]."""
        keys: Ints = self._key_of[rows]
        return (
            np.where((keys >= 0) & there[keys], keys, np.int32(-1)) if len(there) else np.full(len(rows), -1, np.int32)
        )


def _room(array: Ints, size: int) -> Ints:
    if size <= len(array):
        return array
    grown = np.full(max(size, 2 * len(array)), -1, np.int32)
    grown[: len(array)] = array
    return grown
