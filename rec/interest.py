"""gains → **interest** → state. Two decaying sums for each category and brand that somebody acted on. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rec.readings import Gain
    from rec.state import FoldRules

MAX_FACETS = 64  # categories, and brands, an interest is kept in


class Interest(NamedTuple):
    """Two decaying sums of gains, both as of `at`: what matters now, and what this person is like."""

    short: float
    long: float
    at: float

    def as_of(self, now: float, rules: FoldRules) -> tuple[float, float]:
        """(short, long) decayed to `now`."""
        age = max(0.0, now - self.at)
        return self.short * 0.5 ** (age / rules.short_half_life_s), self.long * 0.5 ** (age / rules.long_half_life_s)


Interests = dict[str, Interest]


def moved(
    categories: Interests, brands: Interests, gains: Iterable[Gain], rules: FoldRules
) -> tuple[Interests, Interests]:
    """The interests in categories and in brands with these gains; items without the one or the other move none."""
    for category, brand, at, gain in gains:
        categories = gained(categories, category, gain, at, rules) if category else categories
        brands = gained(brands, brand, gain, at, rules) if brand else brands
    return categories, brands


def gained(kept: dict[str, Interest], name: str, gain: float, at: float, rules: FoldRules) -> dict[str, Interest]:
    """Add a gain that happened at `at`. Decay commutes with addition, so a late gain is simply decayed first."""
    return capped({**kept, name: sum_of(kept.get(name), Interest(gain, gain, at), rules)})


def sum_of(a: Interest | None, b: Interest, rules: FoldRules) -> Interest:
    """Two sums of gains as one, as of the newer of them."""
    if a is None:
        return b
    if a.at > b.at:
        a, b = b, a
    short, long = a.as_of(b.at, rules)  # the older one decays, the newer one is as of now
    return Interest(short + b.short, long + b.long, b.at)


def capped(kept: dict[str, Interest]) -> dict[str, Interest]:
    """Of too many those moved last."""
    if len(kept) <= MAX_FACETS:
        return kept
    return dict(sorted(kept.items(), key=lambda pair: (pair[1].at, pair[0]))[-MAX_FACETS:])
