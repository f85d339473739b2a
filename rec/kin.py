"""categories + vectors → **kin** → interest. Of which category an item without one is, by its text alone. Pure.

A shop that puts a product in without a category would keep it from everybody whose interest is a category, until
somebody has come to it. So it is taken for one of the category whose mean it is nearest to (nearest centroid; Rocchio
1971). Nothing else believes that: filters, rules, facets and cards go by what the shop has said.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

MEMBERS = 256  # of a category, that its mean is taken of
_AT_ONCE = 4_096  # items that are compared with the means in one go
LEAST_ALIKE = 0.3  # cosine to the nearest mean, below which an item is of no category


def kin_of(
    category: npt.NDArray[np.int32], there: npt.NDArray[np.bool_], vectors: npt.NDArray[np.float32]
) -> npt.NDArray[np.int32]:
    """[size] codes of categories: an item's own, else that of its kin, else 0.

    `category` [size] codes, 0 for none; `vectors` [size, dim] of unit length for the rows that are `there` [size].

    >>> kin_of(np.array([1, 2, 0], np.int32), np.ones(3, np.bool_), np.eye(2, dtype=np.float32)[[0, 1, 1]]).tolist()
    [1, 2, 2]
    """
    without = np.flatnonzero(there & (category == 0))
    within = np.flatnonzero(there & (category > 0))
    if not len(without) or not len(within):
        return category
    within = within[np.argsort(category[within], kind="stable")]
    codes, starts = np.unique(category[within], return_index=True)
    members = [within[start : start + MEMBERS] for start in starts]
    members = [part[category[part] == code] for part, code in zip(members, codes, strict=True)]
    means = np.stack([vectors[part].mean(axis=0) for part in members])
    lengths = np.linalg.norm(means, axis=1, keepdims=True)
    means = (means / np.where(lengths > 0, lengths, 1.0)).T
    out = category.copy()
    for start in range(0, len(without), _AT_ONCE):
        rows = without[start : start + _AT_ONCE]
        cosines = vectors[rows] @ means
        out[rows] = np.where(cosines.max(axis=1) >= LEAST_ALIKE, codes[cosines.argmax(axis=1)], 0)
    return out
