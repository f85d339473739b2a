"""query's filters + catalog → **filters** → matches. What a search lets through, and which filter gives way.

Pure. Category and brand are compared without regard to case. Where nothing that was found passes, the filters that let
nothing through go, and no others: a price limit holds although the category is misspelt.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from rec.catalog import Ints, Mask, View

# In the order in which they give way where each alone lets something through and all of them together nothing.
# What the query says goes before what was chosen.
SAID = "price_said"
NARROWING = (SAID, "brand", "category", "price_min", "price_max")
PRICES = (SAID, "price_min", "price_max")


class Filters(NamedTuple):
    """What is let through. Prices are inclusive; an item without a price passes no price filter. `price_said`: the
    highest price that the query itself names (rec.search.asides), beside what is chosen as `price_max`."""

    category: str | None = None
    brand: str | None = None
    price_min: float | None = None
    price_max: float | None = None
    in_stock: bool = True  # False: those that are not in stock, too
    price_said: float | None = None

    @property
    def narrowing(self) -> tuple[str, ...]:
        """The names of those that are set.

        >>> Filters(brand="Oak", price_max=0.0).narrowing
        ('brand', 'price_max')
        """
        return tuple(name for name in NARROWING if getattr(self, name) is not None)

    def without(self, names: Iterable[str]) -> Filters:
        """Those of these names left out."""
        gone: dict[str, Any] = dict.fromkeys(names)
        return self._replace(**gone)


NO_FILTERS = Filters()


def stocked(view: View, filters: Filters) -> Mask:
    """[size] what is in stock; or all that may be shown when it is. Not to be changed."""
    return view.listed if filters.in_stock else unflagged(view.known, view)


def unflagged(mask: Mask, view: View) -> Mask:
    """[size] a copy without what waits for a person to look at it."""
    out = mask.copy()
    for row in np.flatnonzero(mask & ~view.listed).tolist():
        out[row] = not view.items[row].flagged
    return out


class Passing(NamedTuple):
    """`masks`: filter → [size] the rows that it lets through, of the filters that hold; `ignored`: the others."""

    masks: Mapping[str, Mask]
    ignored: tuple[str, ...] = ()

    def but(self, size: int, *names: str) -> Mask:
        """[size] the rows that pass all filters, but for those named: what a list of choices has to count."""
        out = np.ones(size, np.bool_)
        for name, mask in self.masks.items():
            if name not in names:
                out &= mask
        return out


def passing(view: View, filters: Filters, among: Mask, beside: Mask | None = None) -> Passing:
    """What passes, and which filters had to go so that some of `among` do. Prices are looked at among these, and
    `beside` them, alone: the other rows pass no price filter."""
    priced = among if beside is None else among | beside
    masks = {name: _lets(view, filters, name) for name in filters.narrowing}
    masks = {name: mask & priced if name in PRICES else mask for name, mask in masks.items()}
    ignored: list[str] = []
    if masks and among.any() and not _some(masks, among):
        for name in [name for name, mask in masks.items() if not (mask & among).any()]:
            ignored.append(name)
            del masks[name]
        while not _some(masks, among):
            without = {name: {other: mask for other, mask in masks.items() if other != name} for name in masks}
            goes = next((name for name, rest in without.items() if _some(rest, among)), next(iter(masks)))
            ignored.append(goes)
            del masks[goes]
    return Passing(masks, tuple(ignored))


def _some(masks: Mapping[str, Mask], among: Mask) -> bool:
    left = among
    for mask in masks.values():
        left = left & mask
    return bool(left.any())


def passes(view: View, filters: Filters, rows: Ints) -> Mask:
    """[m] whether rows that were let through still are: what is sold out since, or costs more, is not."""
    through: Mask = view.listed[rows] if filters.in_stock else np.ones(len(rows), np.bool_)
    for name in filters.narrowing:
        through = through & _lets(view, filters, name, rows)
    return through


def _lets(view: View, filters: Filters, name: str, rows: Ints | slice = slice(None)) -> Mask:
    """Of all rows, or of some: what one filter lets through."""
    if name in ("category", "brand"):
        codes, names = (view.category, view.categories) if name == "category" else (view.brand, view.brands)
        return np.isin(codes[rows], _named(names, getattr(filters, name)))
    bound = float(getattr(filters, name))
    within: Mask = view.price[rows] >= bound if name == "price_min" else view.price[rows] <= bound  # NaN is neither
    return within


def _named(names: Mapping[str, int], wanted: str) -> Ints:
    """The codes of a name, however it is written; `names` may grow meanwhile."""
    folded = " ".join(wanted.split()).casefold()
    same = [code for name, code in list(names.items()) if name and " ".join(name.split()).casefold() == folded]
    return np.array(same, np.int32)
