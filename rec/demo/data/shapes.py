"""The two nouns of the demo catalog's vocabulary: a category, and a family of products inside it."""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """Products that are bought for the same purpose and drawn with the same pictogram.

    `titles` and `abouts` are format strings over the product's own choices: {brand} {series} {kind} {material}
    {size} {color}, {sized} (the size as an adjective) and {a_kind} (the kind with its article). Prices are those of
    a middling brand, between `low` and `high` in the catalog's currency.
    """

    key: str
    plural: str
    low: float
    high: float
    kinds: tuple[str, ...]
    titles: tuple[str, ...]
    abouts: tuple[str, ...]
    materials: tuple[str, ...] = ()
    sizes: tuple[str, ...] = ()
    colors: tuple[str, ...] = ()


class Category(NamedTuple):
    """A department of the shop. `companions` are departments that the same people like."""

    name: str
    prefix: str
    hue: int  # of the pictures' background, degrees
    companions: tuple[str, ...]
    families: tuple[Family, ...]
