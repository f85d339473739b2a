"""The words that the demo's products are composed from. Data alone; `rec.demo.world` puts them together."""

from __future__ import annotations

from rec.demo.data.home import HOME
from rec.demo.data.leisure import LEISURE
from rec.demo.data.outdoor import OUTDOOR
from rec.demo.data.people import PEOPLE
from rec.demo.data.shapes import Category, Family

CATEGORIES: tuple[Category, ...] = (*OUTDOOR, *HOME, *LEISURE, *PEOPLE)
FAMILIES: dict[str, Family] = {family.key: family for category in CATEGORIES for family in category.families}

__all__ = ["CATEGORIES", "FAMILIES", "Category", "Family"]
