"""items' vectors + a query's → **nearness** → finding. Cosines of a query with everything, from a byte a number.

To read 55,000 vectors of 384 floats takes the memory 8 ms, a quarter of them a tenth of that: each row is kept as whole
numbers of -127 to 127 beside its scale (scalar quantization). A cosine is off by 0.002 or so, less than any bound here
cares for.

A query's vector meets items' vectors of the same encoder alone: those of the catalog, or those of the tuned encoder
that queries are read with (`rec.model.texts`). A row of the catalog is written once, so it is read once, too. One
thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import simsimd

from rec.catalog import Floats, Ints, View
from rec.model.texts import Texts

Bytes = npt.NDArray[np.int8]
STEPS = 127
_AT_ONCE = 4_096  # rows that are read anew in one go
_NONE: Mapping[str, Floats] = {}


class ReadQuery(NamedTuple):
    """A query as an encoder has read it."""

    encoder: str  # its encoder_id
    vector: Floats  # [dim] of unit length


class Nearness:
    """`of` the newest view: what it had before is kept."""

    def __init__(self) -> None:
        self._rows: dict[str, _Rows] = {}

    def of(self, view: View, query: ReadQuery | None, texts: Texts | None = None) -> Floats | None:
        """Cosines [size] of a query with every item, 0 where an item has no vector; None if there are no vectors of the
        query's encoder. `texts`: vectors of a tuned one."""
        if query is None or not view.size:
            return None
        tuned = texts if texts is not None and texts.encoder != view.encoder else None
        for encoder in [each for each in self._rows if each not in (view.encoder, tuned and tuned.encoder)]:
            del self._rows[encoder]
        if query.encoder == view.encoder:
            if view.vectors.shape[1] != len(query.vector):
                return None
            rows = self._rows.setdefault(query.encoder, _Rows())
            rows.follow(view)
        elif tuned is not None and query.encoder == tuned.encoder:
            rows = self._rows.setdefault(query.encoder, _Rows())
            rows.follow_texts(view, tuned, len(query.vector))
        else:
            return None
        return rows.cosines(view.size, query.vector)


class _Rows:
    """The vectors of one encoder, by the rows of a catalog."""

    def __init__(self) -> None:
        self._ids: object = None
        self._whole: Bytes = np.zeros((0, 0), np.int8)
        self._scale: Floats = np.zeros(0, np.float32)
        self._has = np.zeros(0, np.bool_)
        self._from: list[Floats | None] = []  # of texts: what each row was read from
        self._seen: tuple[Mapping[str, Floats], int] = _NONE, 0

    def follow(self, view: View) -> None:
        """The rows that have come, and those that have got their vector."""
        self._room(view, view.vectors.shape[1])
        missing = np.flatnonzero(view.has_vector & ~self._has[: view.size])
        for start in range(0, len(missing), _AT_ONCE):
            rows = missing[start : start + _AT_ONCE]
            self._write(rows.astype(np.int32), view.vectors[rows])

    def follow_texts(self, view: View, texts: Texts, dim: int) -> None:
        """The same, of vectors that come by item: what is not the vector that a row was read from is read anew."""
        vectors = texts.vectors
        if self._room(view, dim):
            self._from, self._seen = [], (_NONE, 0)
        if self._seen[0] is vectors and self._seen[1] == view.size:
            return
        self._from += [None] * (view.size - len(self._from))
        found = [vectors.get(item_id) for item_id in view.ids[: view.size]]
        moved = [row for row, vector in enumerate(found) if vector is not self._from[row]]
        for start in range(0, len(moved), _AT_ONCE):
            rows = moved[start : start + _AT_ONCE]
            read = np.zeros((len(rows), dim), np.float32)
            for at, row in enumerate(rows):
                if (vector := found[row]) is not None and len(vector) == dim:
                    read[at] = vector
            self._write(np.array(rows, np.int32), read)
        self._from[: view.size], self._seen = found, (vectors, view.size)

    def cosines(self, size: int, vector: Floats) -> Floats:
        """[size]"""
        whole, scale = _rounded(vector[None])
        products = np.asarray(simsimd.cdist(whole, self._whole[:size], "dot"), np.float32).reshape(size)
        said: Floats = products * self._scale[:size] * scale[0]
        return said

    def _room(self, view: View, dim: int) -> bool:
        """For the rows of a view; whether nothing is known of them, as it is another catalog than before."""
        anew = self._ids is not view.ids or self._whole.shape[1] != dim
        if anew:
            self._ids, self._has = view.ids, np.zeros(0, np.bool_)
            self._whole, self._scale = np.zeros((0, dim), np.int8), np.zeros(0, np.float32)
        if view.size > len(self._has):
            more = max(view.size, 2 * len(self._has)) - len(self._has)
            self._whole = np.concatenate([self._whole, np.zeros((more, dim), np.int8)])
            self._scale = np.concatenate([self._scale, np.zeros(more, np.float32)])
            self._has = np.concatenate([self._has, np.zeros(more, np.bool_)])
        return anew

    def _write(self, rows: Ints, vectors: Floats) -> None:
        self._whole[rows], self._scale[rows] = _rounded(vectors)
        self._has[rows] = True


def _rounded(vectors: Floats) -> tuple[Bytes, Floats]:
    """[n, dim] whole numbers and [n] what one of them is worth."""
    scale: Floats = (np.abs(vectors).max(axis=1) / STEPS).astype(np.float32)
    worth = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(vectors / worth[:, None]).astype(np.int8), scale
