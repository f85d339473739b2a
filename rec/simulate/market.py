"""catalog + rng → **people** who look at lists. What a simulated shopper secretly wants, and what they do with a list.

    liking       interest in the department × favorite family or not × how well the price fits          rec.demo.tastes
    click        0.6 × looked at × liking × freshness, each place for itself      Richardson et al. 2007, "Predicting
                 clicks": the examination model, (1 + place) ** -0.6
    freshness    0.85 ** (times they saw the item without wanting it): fatigue
    afterwards   into the cart with 0.3 × liking, and half of that is bought

Interests drift with every visit and sometimes jump: another department takes the first place. The same formulas give
what a list is worth on average, so regret needs no second simulation. Pure but for the generators of each person.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rec.catalog import Item
from rec.demo.tastes import DRIFT, Shop
from rec.demo.world import family_of
from rec.value import Worth

Rows = npt.NDArray[np.integer[Any]]
Numbers = npt.NDArray[np.float64]
LOOKS = 12  # places of a list that anybody looks at
CLICK, CART, BUY = 0.6, 0.3, 0.5
FRESH = 0.85
WORTH = Worth()  # of the shop's defaults: click 1, cart 2, purchase 4
JUMP = 0.2  # chance, per visit, that something new takes the first place


class Market:
    """The catalog in arrays, by row: departments, families, price levels."""

    def __init__(self, items: Sequence[Item]) -> None:
        shop = Shop(items)
        self.items = list(shop.items.values())
        self.ids = [item.item_id for item in self.items]
        self.row = {item_id: at for at, item_id in enumerate(self.ids)}
        self.departments = tuple(shop.categories)
        families = sorted({(item.category, family_of(item)) for item in self.items})
        self.families_of = [
            [at for at, (category, _) in enumerate(families) if category == name] for name in self.departments
        ]
        number = {name: at for at, name in enumerate(self.departments)}
        of_family = {pair: at for at, pair in enumerate(families)}
        self.department = np.array([number[item.category] for item in self.items])
        self.family = np.array([of_family[item.category, family_of(item)] for item in self.items])
        self.level = np.array([shop.level[item_id] for item_id in self.ids])
        appeal = np.array([shop.appeal[item_id] for item_id in self.ids])
        self.shelf = [np.flatnonzero(self.family == at) for at in range(len(families))]
        self.appeal = [appeal[rows] / appeal[rows].sum() for rows in self.shelf]
        self.examined: Numbers = np.arange(1, LOOKS + 1, dtype=np.float64) ** -0.6


class Done(NamedTuple):
    """What a shopper did with one item."""

    row: int
    place: int | None  # on the list; None: they went there by themselves
    cart: bool
    bought: bool

    @property
    def reward(self) -> float:
        """By WORTH: what lists are there to bring about."""
        return WORTH.click + WORTH.cart * self.cart + WORTH.purchase * self.bought


class Person:
    """One simulated shopper. What happens to their interests depends on `seed` alone, never on what they are shown."""

    def __init__(self, market: Market, seed: str) -> None:
        self._market = market
        self._life, self._rng = Random(f"{seed}/life"), Random(f"{seed}/acts")
        life, departments = self._life, len(market.departments)
        self._level = life.betavariate(2.2, 2.2)
        self._weights = np.full(departments, 0.02)
        self.main, second = life.sample(range(departments), 2)
        self._weights[self.main] = 0.9
        self._weights[second] = 0.35 + 0.2 * life.random()
        self._favorites = {family for families in market.families_of for family in life.sample(families, 2)}
        self._seen = np.zeros(len(market.ids))
        self._has: set[int] = set()
        self._liking = self._likings()

    def visit(self) -> bool:
        """A visit later: interests have drifted; True if they have jumped."""
        life = self._life
        self._weights *= np.exp([life.gauss(0.0, DRIFT) for _ in self._weights])
        self._weights = np.clip(self._weights / self._weights.max(), 1e-3, 1.0)
        jumped = life.random() < JUMP
        new = life.randrange(len(self._weights))
        if jumped:
            old = int(self._weights.argmax())
            new = new if new != old else (new + 1) % len(self._weights)
            self._weights[[old, new]] = self._weights[[new, old]]
        self.main = int(self._weights.argmax())
        self._liking = self._likings()
        return jumped

    def worth(self, rows: Rows) -> float:
        """What a list of these rows is worth on average, before they see it."""
        rows = rows[:LOOKS]
        return float((self._market.examined[: len(rows)] * self._value()[rows]).sum())

    def best(self) -> float:
        """What the best list of all is worth to them at this moment."""
        value = self._value()
        top = np.sort(value[np.argpartition(value, -LOOKS)[-LOOKS:]])[::-1]
        return float((self._market.examined * top).sum())

    def look(self, rows: Rows) -> list[Done]:
        """What they do with a list, from the top; they see its first LOOKS places."""
        done = []
        chance = CLICK * self._market.examined * FRESH ** self._seen[rows[:LOOKS]] * self._liking[rows[:LOOKS]]
        self._seen[rows[:LOOKS]] += 1
        for place, (row, probability) in enumerate(zip(rows[:LOOKS].tolist(), chance.tolist(), strict=True)):
            if self._rng.random() < probability:
                done.append(self._with(row, place))
        return done

    def wants(self, row: int, nth: int) -> bool:
        """Whether the item pleases them as the `nth` thing that they look at, from 0; they have seen it now."""
        chance = CLICK * float(self._market.examined[min(nth, LOOKS - 1)]) * FRESH ** float(self._seen[row])
        self._seen[row] += 1
        pleased: bool = self._rng.random() < chance * float(self._liking[row])
        return pleased

    def acts(self, row: int, place: int) -> Done | None:
        """They touch an item at a place; None for one that they have bought meanwhile."""
        return None if row in self._has else self._with(row, place)

    def browse(self) -> Done | None:
        """They go to a shelf that they like and look at something there; None if nothing pleases them."""
        market, rng = self._market, self._rng
        department = rng.choices(range(len(self._weights)), weights=self._weights.tolist())[0]
        families = market.families_of[department]
        family = rng.choices(families, weights=[1.0 if f in self._favorites else 0.3 for f in families])[0]
        row = int(rng.choices(market.shelf[family].tolist(), weights=market.appeal[family].tolist())[0])
        return self._with(row, None) if row not in self._has else None

    def _with(self, row: int, place: int | None) -> Done:
        self._seen[row] = 0
        cart = self._rng.random() < CART * float(self._liking[row])
        bought = cart and self._rng.random() < BUY
        if bought:
            self._has.add(row)
            self._liking[row] = 0.0  # nobody wants a second tent
        return Done(row, place, cart, bought)

    def _value(self) -> Numbers:
        """[items]: what each is worth on average if it is looked at."""
        after: Numbers = WORTH.click + CART * self._liking * (WORTH.cart + BUY * WORTH.purchase)
        value: Numbers = CLICK * FRESH**self._seen * self._liking * after
        return value

    def _likings(self) -> Numbers:
        market = self._market
        favorite = np.full(len(market.shelf), 0.45)
        favorite[list(self._favorites)] = 1.0
        fit = np.exp(-2.5 * (market.level - self._level) ** 2)
        liking: Numbers = (self._weights / self._weights.max())[market.department] * favorite[market.family] * fit
        liking[list(self._has)] = 0.0
        return liking
