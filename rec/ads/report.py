"""book, market → **report** → GET /v1/ads, rec ads. What each campaign has of its day (UTC). Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from rec.ads.book import AdBook, Tally
from rec.ads.market import Market
from rec.catalog import View


class CampaignDay(msgspec.Struct, frozen=True, kw_only=True):
    """One campaign, today. None: there is nothing to divide by, or no ad of it that may be shown.

    `spent`: what clicks cost, as agreed; `billed`: at most the budget. `pace`: the share of the auctions that it takes
    part in, of the worker that answers: each paces by itself, and all by the same spend. `due`: what is to be spent by
    now. `ecpm`: what a thousand impressions cost. `calibration`: clicks over those that p(click) foresaw, 1 where it
    is true. Impressions without a click are known when the window of their list is over, clicks within seconds.
    """

    campaign: str
    ads: int
    budget: float | None
    spent: float
    billed: float
    due: float | None
    pace: float | None
    impressions: float
    clicks: float
    ctr: float | None
    ecpm: float | None
    foreseen: float
    calibration: float | None


def report(book: AdBook, market: Market, view: View, now: float) -> dict[str, Any]:
    """All campaigns that have ads, or had some seen or clicked today; who has spent most first."""
    stock, pacing = market.stock(view), market.pacing(view, now)
    spent, tallies = book.spent(now), book.tallies(now)
    ads = dict.fromkeys((*stock.budgets, *spent, *tallies), 0)
    for ad in stock.ads:
        ads[ad.campaign] += 1
    rows = []
    for campaign, many in ads.items():
        seen, cost, budget = tallies.get(campaign, Tally()), spent.get(campaign, 0.0), stock.budgets.get(campaign)
        pace, due = pacing.get(campaign, (None, None))
        rows.append(
            CampaignDay(
                campaign=campaign,
                ads=many,
                budget=budget,
                spent=cost,
                billed=cost if budget is None else min(cost, budget),
                due=due,
                pace=pace,
                impressions=seen.impressions,
                clicks=seen.clicks,
                ctr=_over(seen.clicks, seen.impressions),
                ecpm=_over(1_000 * cost, seen.impressions),
                foreseen=seen.foreseen,
                calibration=_over(seen.clicks, seen.foreseen),
            )
        )
    rows.sort(key=lambda row: (-row.spent, row.campaign))
    clicks, foreseen = book.check(now)
    return {
        "day": datetime.fromtimestamp(now, UTC).date().isoformat(),
        "selling": True,
        "clicks": clicks,
        "foreseen": foreseen,
        "campaigns": rows,
    }


def nothing_sold(now: float) -> dict[str, Any]:
    """Where no placement has places for ads."""
    day = datetime.fromtimestamp(now, UTC).date().isoformat()
    return {"day": day, "selling": False, "clicks": 0.0, "foreseen": 0.0, "campaigns": []}


def _over(a: float, b: float) -> float | None:
    return a / b if b > 0 else None
