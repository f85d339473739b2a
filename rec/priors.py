"""counts of many parts → **what is to be expected of one more** → rec.rates. Empirical Bayes, no surer than the parts.

The prior of a part is Beta(s·m, s·(1 − m)): m the rate of all other parts together, s as many observations as they are
alike. How alike is what their rates differ by beyond chance, the intraclass correlation of the beta-binomial by the
ANOVA estimator (Kleinman 1973, "Proportions with extraneous variance: single and independent samples"; Ridout, Demétrio
& Firth 1999), taken a standard error higher, for it is uncertain itself and too strong a prior makes intervals that do
not hold what they promise. Below `LEAST` other parts nothing can be said of it, and the prior is Jeffreys'. Pure.

Invariants: a part's own counts are not in its prior; s is at most `STRONGEST`, and at most what the others have seen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

LEAST = 10  # other parts, below which how alike they are is guesswork
STRONGEST = 20.0  # observations
_SEEN = 1e-6  # a decayed count below that is none


class Prior(NamedTuple):
    """Beta(a, b)."""

    a: float
    b: float


JEFFREYS = Prior(0.5, 0.5)


class _Sums(NamedTuple):
    """Of parts with hits h of tries n: how many there are, Σh, Σn, Σh²/n, Σn²."""

    parts: float = 0.0
    hits: float = 0.0
    tries: float = 0.0
    squares: float = 0.0
    weights: float = 0.0


class Others:
    """The parts of one kind: name → (hits, tries), decayed or not."""

    def __init__(self, counts: Mapping[str, tuple[float, float]]) -> None:
        self._each = {name: _sums(*count) for name, count in counts.items() if count[1] > _SEEN}
        self._all = _Sums(*map(math.fsum, zip(*self._each.values(), strict=True))) if self._each else _Sums()

    def prior(self, name: str) -> Prior:
        """What all parts but this one say about it.

        >>> alike = Others({str(part): (10, 100) for part in range(50)})
        >>> [round(number, 1) for number in alike.prior("one more")]
        [2.0, 18.0]
        >>> Others({"only": (9, 10)}).prior("only")
        Prior(a=0.5, b=0.5)
        """
        rest = _Sums(*(whole - own for whole, own in zip(self._all, self._each.get(name, _Sums()), strict=True)))
        strength = min(_strength(rest), rest.tries)
        if strength < 1:
            return JEFFREYS
        mean = (rest.hits + 0.5) / (rest.tries + 1)
        return Prior(strength * mean, strength * (1 - mean))


def _sums(hits: float, tries: float) -> _Sums:
    return _Sums(1.0, hits, tries, hits * hits / tries, tries * tries)


def _strength(of: _Sums) -> float:
    """How many observations the mean of these parts is worth for one more; 0 where they do not say."""
    if of.parts < LEAST - 0.5 or of.tries <= of.parts:
        return 0.0
    mean = of.hits / of.tries
    free = of.parts - 1
    room = of.tries - of.weights / of.tries - free  # what a correlation of 1 would add to the sum below
    if not 0 < mean < 1 or room <= 0:
        return 0.0
    beyond = (of.squares - of.hits * mean) / (mean * (1 - mean)) - free  # Σ n (h/n − m)² / m(1 − m), less its chance
    alike = (beyond + math.sqrt(2 * free)) / room
    return STRONGEST if alike <= 0 else min(STRONGEST, max(0.0, 1 / alike - 1))
