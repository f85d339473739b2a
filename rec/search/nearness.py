"""catalog's vectors + queries' → **nearness** → finding. Cosines of a query with everything, from a byte a number.

To read 55,000 vectors of 384 floats takes the memory 8 ms, a quarter of them a tenth of that: each row is kept as whole
numbers of -127 to 127 beside its scale (scalar quantization). A cosine is off by 0.002 or so, less than any bound here
cares for. A row's vector is written once (`rec.catalog`), so it is read once, too. One thread.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import simsimd

from rec.catalog import Floats, View

Bytes = npt.NDArray[np.int8]
STEPS = 127
_AT_ONCE = 4_096  # rows that are read anew in one go


class Nearness:
    """`of` the newest view: what it had before is kept."""

    def __init__(self) -> None:
        self._ids: Sequence[str] | None = None
        self._whole: Bytes = np.zeros((0, 0), np.int8)
        self._scale: Floats = np.zeros(0, np.float32)
        self._has = np.zeros(0, np.bool_)

    def of(self, view: View, vectors: Sequence[Floats | None]) -> list[Floats | None]:
        """Cosines [size] of each query's unit vector with every item; None without one that can be compared."""
        dim = view.vectors.shape[1]
        there = [at for at, vector in enumerate(vectors) if vector is not None and len(vector) == dim]
        out: list[Floats | None] = [None] * len(vectors)
        if not there or not view.size:
            return out
        self._follow(view)
        whole, scale = _rounded(np.stack([vector for at in there if (vector := vectors[at]) is not None]))
        products = np.asarray(simsimd.cdist(whole, self._whole[: view.size], "dot"), np.float32)
        for at, row, unit in zip(there, products.reshape(len(there), view.size), scale, strict=True):
            out[at] = row * self._scale[: view.size] * unit
        return out

    def _follow(self, view: View) -> None:
        """The rows that have come, and those that have got their vector."""
        if self._ids is not view.ids or self._whole.shape[1] != view.vectors.shape[1]:
            self._ids, self._has = view.ids, np.zeros(0, np.bool_)
            self._whole, self._scale = np.zeros((0, view.vectors.shape[1]), np.int8), np.zeros(0, np.float32)
        if view.size > len(self._has):
            more = max(view.size, 2 * len(self._has)) - len(self._has)
            self._whole = np.concatenate([self._whole, np.zeros((more, self._whole.shape[1]), np.int8)])
            self._scale = np.concatenate([self._scale, np.zeros(more, np.float32)])
            self._has = np.concatenate([self._has, np.zeros(more, np.bool_)])
        missing = np.flatnonzero(view.has_vector & ~self._has[: view.size])
        for start in range(0, len(missing), _AT_ONCE):
            rows = missing[start : start + _AT_ONCE]
            self._whole[rows], self._scale[rows] = _rounded(view.vectors[rows])
        self._has[missing] = True


def _rounded(vectors: Floats) -> tuple[Bytes, Floats]:
    """[n, dim] whole numbers and [n] what one of them is worth."""
    scale: Floats = (np.abs(vectors).max(axis=1) / STEPS).astype(np.float32)
    worth = np.where(scale > 0, scale, 1).astype(np.float32)
    return np.rint(vectors / worth[:, None]).astype(np.int8), scale
