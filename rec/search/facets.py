"""what was found, what passes → **facets** → filters of a page. How many there are of each choice, before it is made.

Each facet is counted without its own filter: beside `Camping` a list of categories has to show the others, and a range
of prices what lies outside of the one chosen. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rec.catalog import Ints, Mask, View
from rec.search.filters import PRICES, Passing

FACETS = 10  # values of a facet that are counted


class Facets(NamedTuple):
    """Of everything that was found: how many there are of each category and brand, the range of prices, and how many
    are `in_stock` and `out_of_stock`; nothing where nothing was found."""

    category: dict[str, int]
    brand: dict[str, int]
    price: tuple[float, float] | None
    stock: dict[str, int]


def facets_of(found: Mask, missing: Mask, through: Passing, view: View) -> Facets:
    """`found` [size]: whatever the filters say, but for the stock; `missing` [size]: what these leave out of it."""

    def of(*own: str) -> Ints:
        return np.flatnonzero(found & through.but(view.size, *own)).astype(np.int32)

    prices = view.price[of(*PRICES)]
    prices = prices[~np.isnan(prices)]
    return Facets(
        _counted(view.category[of("category")], view.categories),
        _counted(view.brand[of("brand")], view.brands),
        (float(prices.min()), float(prices.max())) if len(prices) else None,
        _stock((found | missing) & through.but(view.size), view),
    )


def _stock(found: Mask, view: View) -> dict[str, int]:
    every, there = int(found.sum()), int((found & view.listed).sum())
    return {"in_stock": there, "out_of_stock": every - there} if every else {}


def _counted(codes: Ints, names: Mapping[str, int]) -> dict[str, int]:
    """The most frequent values, and how many there are of each; 0, no value, is not counted."""
    if not len(codes):
        return {}
    counts = np.bincount(codes)
    counts[0] = 0
    best = [code for code in np.argsort(-counts, kind="stable")[:FACETS].tolist() if counts[code]]
    if not best:
        return {}
    wanted = set(best)
    named = {code: name for name, code in list(names.items()) if code in wanted}
    return {named[code]: int(counts[code]) for code in best if code in named}
