"""columns → **windows**. The stream in parts of equally many targets, in its order: does the model get better? Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

WINDOWS = 10


def windows(targets: int, count: int = WINDOWS) -> list[npt.NDArray[np.bool_]]:
    """Masks [targets] of `count` windows; fewer if there are fewer targets. Sizes differ by one at most.

    >>> [mask.sum().item() for mask in windows(11, 3)]
    [3, 4, 4]
    """
    edges = np.linspace(0, targets, count + 1).astype(int)
    places = np.arange(targets)
    return [(places >= a) & (places < b) for a, b in zip(edges, edges[1:], strict=False) if b > a]
