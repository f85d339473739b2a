"""cold candidates → **promise** → the cold-start place. Which of what hardly anybody came to is worth a try. Pure.

    promise = fit + NEWS / (1 + log(1 + items that came in later))

Fit is what text and facets say, with the weights that a gate begins with (`rec.gate.PRIOR`): of a cold item the
counts know next to nothing, and a gate that has learned weighs those. News is a bonus for what is not known yet, as in
an upper confidence bound (Auer et al. 2002): an item that has been there for long and that nobody came to has had its
chance.
"""

from __future__ import annotations

import numpy as np

from rec.catalog import Floats, Ints
from rec.features import FEATURES
from rec.gate import PRIOR

NEWS = 2.0  # nats, of the newest item of the catalog; half of it after one more, a fifth after fifty
_CONTENT, _INTEREST = FEATURES.index("content"), FEATURES.index("interest")


def fit(features: Floats, pull: Floats) -> Floats:
    """[m, len(FEATURES)] → [m]: what text and facets say, in nats; without the `pull` [m] of popularity that is in
    interest (`rec.shelf`)."""
    alike, leaning = features[:, _CONTENT], features[:, _INTEREST] / pull
    total: Floats = PRIOR["content"] * alike + PRIOR["interest"] * leaning
    return total


def promising(fits: Floats, later: Ints, most: int) -> tuple[Ints, Floats]:
    """Of the cold candidates [m] the `most` promising ones, best first: their places, and promise as logits.

    `later` [m]: how many items came in after each. Of those that promise the same the newer come first.

    >>> places, promise = promising(np.array([3.0, 2.0, 0.0], np.float32), np.array([99, 0, 0], np.int32), 2)
    >>> places.tolist(), [round(float(each), 2) for each in promise]
    ([1, 0], [4.0, 3.36])
    """
    promise = (fits + NEWS / (1 + np.log1p(later))).astype(np.float32)
    best = np.lexsort((later, -promise))[:most].astype(np.int32)
    return best, promise[best]
