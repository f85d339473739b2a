"""index's documents ↔ catalog's rows → **places** → finding. Whose row is which document, as two arrays.

A search turns thousands of documents into rows and back; by their ids that is most of what it costs. What is new in
either is looked up once; a document's number may be another item's later. One thread; a catalog that was packed anew
(other `ids`) is looked up anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from rec.catalog import Ints, Mask, View


class Places:
    """`follow` what there is, then ask. Rows are of that view; -1 is none."""

    def __init__(self) -> None:
        self._ids: Sequence[str] | None = None
        self._rows_seen = self._size = 0
        self._row_of = np.full(1, -1, np.int32)  # by document
        self._key_of = np.full(1, -1, np.int32)  # by row

    def follow(self, view: View, id_of: Sequence[str], key_of: Mapping[str, int], written: Iterable[int]) -> Places:
        """Itself. `id_of`: by document; `key_of`: the document of each id that has one; `written`: the documents that
        were written since this was called last."""
        if self._ids is not view.ids:
            self._ids, self._rows_seen, written = view.ids, 0, ()
            self._row_of, self._key_of = np.full(1, -1, np.int32), np.full(1, -1, np.int32)
        self._size = view.size
        self._row_of, self._key_of = _room(self._row_of, len(id_of)), _room(self._key_of, view.size)
        for key in written:
            self._part(key)
            at = view.row(id_of[key])
            if at is not None and key_of.get(id_of[key]) == key:  # else it has gone meanwhile
                self._join(key, at)
        for row in range(self._rows_seen, view.size):
            if (key := key_of.get(view.ids[row], -1)) >= 0:
                self._join(key, row)
        self._rows_seen = max(self._rows_seen, view.size)
        return self

    def _join(self, key: int, row: int) -> None:
        if (before := self._key_of[row]) >= 0:
            self._row_of[before] = -1
        self._part(key)
        self._row_of[key], self._key_of[row] = row, key

    def _part(self, key: int) -> None:
        """Of whatever item it was the document of."""
        if (row := self._row_of[key]) >= 0:
            self._row_of[key] = self._key_of[row] = -1

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
