"""catalog + about → **audience** → eligibility. Items that are not for everybody: from an age on, in some regions.

An item says so by its attributes: `min_age` in years, `regions` as a list or separated by commas. Who has not said how
old they are, or where, is not shown what needs it; a `min_age` that is no number lets nobody pass.
"""

from __future__ import annotations

import math
from threading import Lock
from typing import Any

import numpy as np

from rec.about import About
from rec.catalog import Mask, View
from rec.policy.columns import MISSING, Columns

MIN_AGE, REGIONS = "attributes.min_age", "attributes.regions"


class Audience:
    """Whom the items of a catalog are for. Remembers what it has read of it, which changes no answer, in any thread."""

    def __init__(self) -> None:
        self._columns, self._lock = Columns(), Lock()

    def mask(self, view: View, about: About) -> Mask | None:
        """[size] what this shopper may be shown; None: everything."""
        with self._lock:
            self._columns.follow(view)
            ages, regions = self._columns.column(MIN_AGE), self._columns.column(REGIONS)
            if len(ages.values) == len(regions.values) == 1:
                return None
            old = np.array([about.age is not None and about.age >= _years(value) for value in ages.values])
            here = np.array([bool(about.region) and about.region in _names(value) for value in regions.values])
            old[MISSING] = here[MISSING] = True
            mask: Mask = old[ages.codes] & here[regions.codes]
            return mask


def _years(value: Any) -> float:
    """
    >>> _years("18"), _years(16.0), _years("adults")
    (18.0, 16.0, inf)
    """
    try:
        years = float(value)
    except (TypeError, ValueError):
        return math.inf
    return years if years == years else math.inf  # noqa: PLR0124 NaN


def _names(value: Any) -> tuple[str, ...]:
    """
    >>> _names("DE, AT"), _names(("FR",))
    (('DE', 'AT'), ('FR',))
    """
    parts = value.split(",") if isinstance(value, str) else value if isinstance(value, tuple) else ()
    return tuple(str(part).strip() for part in parts)
