"""topic `feedback` → **the ads' book** → `Market`. What clicks cost and say, as every worker believes it.

Only where a placement has sponsored places. A click is in the book some seconds after it happened: its list's example
goes out at once (rec.feedback), and every worker reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from agents.metrics import Metrics
from agents.outcomes import Outcomes, last_or_new
from rec.ads.book import AdBook
from rec.ads.market import AdRules, Market
from rec.ads.pacing import EVERY_S
from rec.ads.report import nothing_sold, report
from rec.catalog import Catalog
from rec.config import Settings
from rec.ports import Log
from rec.recommend import World
from rec.requests import AskAds
from rec.topics import FEEDBACK

LOOK_S = 1.0
BELIEVE_S = 10.0


class Selling(Outcomes[AdBook]):
    """Gives `market` what is known now, and paces it."""

    def __init__(
        self,
        book: AdBook,
        *,
        market: Market,
        catalog: Catalog,
        path: Path,
        source: Log,
        topic: str,
        snapshot_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(book, path=path, source=source, topic=topic, snapshot_s=snapshot_s)
        self.market, self._catalog, self._metrics, self._clock = market, catalog, metrics, clock
        self._believed = self._paced = 0.0
        self._read = -1  # how many examples the book had learned from when it was last believed
        self.tell()

    def tell(self) -> None:
        """The market of now; once a minute its pace as well."""
        now = self._clock()
        self.market.paid(self.pupil, now)
        if now - self._believed >= BELIEVE_S and self._read != self.pupil.learned:
            self._read = self.pupil.learned
            self.market.believe(self.pupil, now)
            self._believed = now
        if now - self._paced >= EVERY_S:
            self.market.pace(self._catalog.view(), now)
            self._paced = now
            clicks, foreseen = self.pupil.check(now)
            self._metrics.ad_clicks.labels(kind="clicked").set(clicks)
            self._metrics.ad_clicks.labels(kind="foreseen").set(foreseen)
            for campaign, (spent, budget) in self.market.spending(self._catalog.view(), now).items():
                self._metrics.ad_spend.labels(campaign=campaign, kind="spent").set(min(spent, budget))
                self._metrics.ad_spend.labels(campaign=campaign, kind="budget").set(budget)

    def report(self, now: float) -> dict[str, Any]:
        """How campaigns stand."""
        return report(self.pupil, self.market, self._catalog.view(), now)

    async def tell_for_ever(self) -> None:
        """Every second: what was learned since, and midnight."""
        while True:
            self.tell()
            await asyncio.sleep(LOOK_S)

    def loops(self) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        """What runs beside the agents."""
        return {"ads": self.run, "ad market": self.tell_for_ever, "snapshots of ads": self.save_for_ever}


def answer(selling: Selling | None, request: AskAds, now: float) -> bytes:
    """The body of a reply: how campaigns stand; `selling` None: no placement has places for ads."""
    found = nothing_sold(now) if selling is None else selling.report(now)
    rows = [row for row in found["campaigns"] if request.campaign in (None, row.campaign)]
    return msgspec.json.encode({"ads": {**found, "campaigns": rows[: request.n]}})


def selling(settings: Settings, world: World, source: Log, metrics: Metrics) -> Selling | None:
    """What sells the sponsored places of `world`, None where there are none. Reads the snapshot: not on the event
    loop."""
    if not world.scenes.sells:
        return None
    market = Market(AdRules(settings.ads_reserve, settings.ads_pricing))
    world.scenes.sell = market.sell
    half_life_s, path = settings.feedback_half_life_s, settings.ads_path
    remember_s = 2 * (settings.feedback_window_s + settings.feedback_late_s)
    book = last_or_new(
        path,
        lambda raw: AdBook.from_bytes(raw, half_life_s, remember_s=remember_s),
        lambda: AdBook(half_life_s, remember_s=remember_s),
        "ads",
    )
    return Selling(
        book,
        market=market,
        catalog=world.catalog,
        path=path,
        source=source,
        topic=settings.topic(FEEDBACK),
        snapshot_s=settings.counters_snapshot_s,
        metrics=metrics,
    )
