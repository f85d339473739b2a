"""What a simulated shopper secretly wants: a few departments, favorite families in them, a price level.

Pure but for the generator that is handed in. Invariants: the weights of the departments are positive and sum to 1;
the same generator in the same state gives the same taste.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from random import Random

from rec.catalog import Item
from rec.demo.data import CATEGORIES
from rec.demo.world import family_of

DRIFT = 0.25  # standard deviation of the log of a weight, per visit
JUMP = 0.06  # chance, per visit, that something new takes the first place
CURIOSITY = 0.02  # share of a department nobody would think this shopper likes
_COMPANIONS = {category.name: category.companions for category in CATEGORIES}


class Shop:
    """The catalog as shoppers see it: shelves by department and family, and how appealing each thing is to anyone."""

    def __init__(self, items: Iterable[Item]) -> None:
        self.items: dict[str, Item] = {item.item_id: item for item in items if item.in_stock}
        self.shelves: dict[str, dict[str, list[str]]] = {}
        for item in self.items.values():
            self.shelves.setdefault(item.category, {}).setdefault(family_of(item), []).append(item.item_id)
        self.categories: Sequence[str] = tuple(self.shelves)
        self.appeal = {item_id: _appeal(item_id) for item_id in self.items}
        self.level = _levels(self.items, self.shelves)

    def sample(self, category: str, family: str, count: int, rng: Random) -> list[str]:
        """Up to `count` different products of a family, appealing ones more often and further up."""
        shelf = self.shelves[category][family]
        keyed = [(rng.expovariate(self.appeal[item_id]), item_id) for item_id in shelf]
        return [item_id for _, item_id in sorted(keyed)[:count]]


class Taste:
    """Hidden interests that drift with every visit and sometimes jump."""

    def __init__(self, shop: Shop, rng: Random) -> None:
        self._shop = shop
        self.level = rng.betavariate(2.2, 2.2)  # 0 buys the cheapest of a family, 1 the dearest
        first = rng.choice(shop.categories)
        near = [name for name in _COMPANIONS.get(first, ()) if name in shop.shelves]
        second = rng.choice(near) if near and rng.random() < 0.6 else rng.choice(shop.categories)
        self.interests: dict[str, float] = dict.fromkeys(shop.categories, CURIOSITY)
        self.interests[second] += 0.35 + 0.2 * rng.random()
        self.interests[first] += 0.9
        self._favorites: dict[str, frozenset[str]] = {}
        for category in shop.categories:
            families = list(shop.shelves[category])
            self._favorites[category] = frozenset(rng.sample(families, k=min(2, len(families))))
        self._normalize()

    @property
    def main(self) -> str:
        """The department that this shopper likes most at present."""
        return max(self.interests, key=self.interests.__getitem__)

    def drift(self, rng: Random) -> bool:
        """A visit later: weights have wandered; True if something new has taken the first place."""
        for category in self.interests:
            self.interests[category] = max(1e-3, self.interests[category] * math.exp(rng.gauss(0.0, DRIFT)))
        jumped = rng.random() < JUMP
        if jumped:
            old, new = self.main, rng.choice(self._shop.categories)
            self.interests[old], self.interests[new] = self.interests[new], self.interests[old]
        self._normalize()
        return jumped

    def affinity(self, item_id: str) -> float:
        """How much this shopper likes a product they look at, in (0, 1]."""
        item = self._shop.items[item_id]
        liking = self.interests[item.category] / max(self.interests.values())
        favorite = 1.0 if family_of(item) in self._favorites[item.category] else 0.45
        fit = math.exp(-2.5 * (self._shop.level[item_id] - self.level) ** 2)
        return liking * favorite * fit

    def destination(self, rng: Random) -> tuple[str, str]:
        """Where to browse: a department by interest, and a family of it."""
        category = rng.choices(list(self.interests), weights=list(self.interests.values()))[0]
        families = list(self._shop.shelves[category])
        weights = [1.0 if family in self._favorites[category] else 0.3 for family in families]
        return category, rng.choices(families, weights=weights)[0]

    def _normalize(self) -> None:
        total = sum(self.interests.values())
        self.interests = {category: weight / total for category, weight in self.interests.items()}


def _appeal(item_id: str) -> float:
    """A long tail: few things that everybody looks at, many that hardly anyone does. In [1, 20]."""
    place = (int.from_bytes(blake2b(item_id.encode(), digest_size=4).digest(), "big") + 1) / 2**32
    return min(20.0, float(place**-0.6))


def _levels(items: dict[str, Item], shelves: dict[str, dict[str, list[str]]]) -> dict[str, float]:
    """Where a product's price lies within its family: 0 the cheapest, 1 the dearest."""
    levels: dict[str, float] = defaultdict(lambda: 0.5)
    for families in shelves.values():
        for shelf in families.values():
            ordered = sorted(shelf, key=lambda item_id: (items[item_id].price or 0.0, item_id))
            for place, item_id in enumerate(ordered):
                levels[item_id] = place / max(1, len(ordered) - 1)
    return levels
