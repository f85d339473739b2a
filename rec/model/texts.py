"""vectors of one encoder → **texts** → served. What a version reads of item texts: of its own epoch, never of another.

A catalog holds the vectors of the base encoder. A version that learned with a tuned one needs that one's, and a vector
of any other would be a number without a meaning: an item that has none of this epoch yet has no text. No torch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from rec.catalog import Floats, View


class Texts:
    """item_id → unit vector of `encoder`. One thread changes it, another may read: a change is a new dict."""

    def __init__(self, encoder: str) -> None:
        self.encoder = encoder
        self.vectors: Mapping[str, Floats] = {}

    def change(self, vectors: Mapping[str, Floats], deleted: Iterable[str] = ()) -> None:
        """Items with their vectors, and items that are gone. What is broken or zero counts as no vector."""
        kept = {**self.vectors, **{item_id: _unit(vector) for item_id, vector in vectors.items()}}
        for item_id in deleted:
            kept.pop(item_id, None)
        self.vectors = kept

    def matrix(self, view: View, dim: int) -> Floats:
        """[view.size, dim]: of each row of the catalog, zero where there is no vector of this encoder."""
        if view.encoder == self.encoder:
            return view.vectors if view.vectors.shape[1] == dim else np.zeros((view.size, dim), np.float32)
        rows, mine = np.zeros((view.size, dim), np.float32), self.vectors
        for row, item_id in enumerate(view.ids[: view.size]):
            vector = mine.get(item_id)
            if vector is not None and vector.size == dim:
                rows[row] = vector
        return rows


def _unit(vector: Floats) -> Floats:
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if 0 < length < float("inf") else np.zeros_like(vector), np.float32)
