"""catalog → **the ads in stock** → auction. All ads of one view of the catalog, as arrays. Pure.

An ad that is flagged or out of stock is none, and neither is one whose product is flagged, out of stock or gone.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.ads.ad import Ad, ad_of
from rec.catalog import Floats, Ints, Marks, Mask, View
from rec.errors import BadInput
from rec.ids import mark64
from rec.kinds import AD_KIND

log = logging.getLogger(__name__)


class Stock(NamedTuple):
    """A ads of C campaigns."""

    rows: Ints  # [A] of the catalog
    ids: tuple[str, ...]
    ads: tuple[Ad, ...]
    bids: npt.NDArray[np.float64]  # [A]
    leads: Ints  # [A] row of the product, -1: none
    campaign: Ints  # [A] index into `campaigns`
    campaigns: tuple[str, ...]
    marks: Marks  # [C]
    budgets: dict[str, float]  # by campaign
    vectors: Floats  # [A, dim]
    has_vector: Mask  # [A]
    at: dict[str, int]  # ad → place in these arrays


def stock_of(view: View) -> Stock:
    """The ads that may be shown. What makes no sense is left aside, and told in the log."""
    code = view.kinds.get(AD_KIND, -1)
    found: list[tuple[int, Ad]] = []
    for row in np.flatnonzero((view.kind == code) & view.known).tolist():
        item = view.items[row]
        if not item.may_be_shown:
            continue
        try:
            found.append((row, ad_of(item)))
        except BadInput as error:  # the catalog may hold what was put there by others than the API
            log.warning("the ad %s is left aside: %s", item.item_id, error.message)
    leads = [-1 if ad.item is None else _row(view, ad.item) for _, ad in found]
    kept = [(row, ad, to) for (row, ad), to in zip(found, leads, strict=True) if to != _AWAY]
    budgets: dict[str, float] = {}
    for _, ad, _ in kept:
        budgets[ad.campaign] = max(ad.daily_budget, budgets.get(ad.campaign, 0.0))
    number = {name: at for at, name in enumerate(budgets)}
    rows = np.array([row for row, _, _ in kept], np.int32)
    ids = tuple(view.ids[row] for row, _, _ in kept)
    return Stock(
        rows,
        ids,
        tuple(ad for _, ad, _ in kept),
        np.array([ad.bid for _, ad, _ in kept], np.float64),
        np.array([to for _, _, to in kept], np.int32),
        np.array([number[ad.campaign] for _, ad, _ in kept], np.int32),
        tuple(budgets),
        np.array([mark64(name) for name in budgets], np.uint64),
        budgets,
        view.vectors[rows],
        view.has_vector[rows],
        {item_id: at for at, item_id in enumerate(ids)},
    )


_AWAY = -2


def _row(view: View, item_id: str) -> int:
    row = view.row(item_id)
    return row if row is not None and view.items[row].may_be_shown else _AWAY
