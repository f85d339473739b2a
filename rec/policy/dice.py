"""seed → **dice** → exploration. Noise that belongs to an item, so that a list drawn twice with one seed is one list.

A random number of its own for each item, whatever else is a candidate and whichever worker throws: SplitMix64 (Steele,
Lea, Flood 2014) of seed and item. Pure.
"""

from __future__ import annotations

import random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Marks
from rec.ids import mark64

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


class Dice(NamedTuple):
    """Thrown for one list: the same seed, the same noise."""

    seed: int  # 64 bits

    @classmethod
    def thrown(cls, rng: random.Random, who: str, steady_s: float, now: float) -> Dice:
        """New ones for each list; with `steady_s` the same ones for `who` for that long (seconds)."""
        if steady_s <= 0:
            return cls(rng.getrandbits(64))
        return cls(mark64(f"{who}/{int(now // steady_s)}"))

    def uniform(self, marks: Marks, salt: int = 0) -> npt.NDArray[np.float64]:
        """[m] independent numbers in (0, 1] for items [m] by their marks; other ones with another `salt`.

        >>> one, other = Dice(1).uniform(np.array([5, 9], np.uint64)), Dice(1).uniform(np.array([9, 5], np.uint64))
        >>> bool(one[0] == other[1]), bool(one[0] == one[1])
        (True, False)
        """
        with np.errstate(over="ignore"):
            z = (marks + np.uint64(1 + (salt << 32))) * _GOLDEN + np.uint64(self.seed)
            for shift, mix in zip((30, 27), _MIX, strict=True):
                z = (z ^ (z >> np.uint64(shift))) * mix
            z = z ^ (z >> np.uint64(31))
        out: npt.NDArray[np.float64] = 1.0 - (z >> np.uint64(11)).astype(np.float64) * 2.0**-53
        return out
