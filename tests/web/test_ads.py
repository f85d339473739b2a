"""GET /v1/ads: campaigns as a worker has them, for backends alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from agents.metrics import Metrics
from agents.selling import Selling
from rec.ads.book import AdBook
from rec.ads.market import Market
from rec.ads.terms import Terms
from rec.catalog import Catalog, Item
from rec.client import RecClient
from rec.feedback import FeedbackExample, Place
from tests.web.test_openapi import check
from tests.web.world import API_KEY, Shop


def sells(shop: Shop) -> None:
    """Two campaigns; one of them was seen twice, and clicked on once."""
    now, book, catalog = time.time(), AdBook(), Catalog()
    for n, name in enumerate(("spring", "autumn")):
        wants = {"bid": 0.5, "daily_budget": 10, "campaign": name}
        catalog.upsert([Item(item_id=f"ad-{n}", title=name, kind="ad", url="/", attributes=wants)])
    for n in range(2):
        actions = {} if n else {"select_item": now}
        place = Place("ad-0", 0.1, "ad", 1.0, "", True, 0.0, actions, 0.0, Terms("spring", 0.4, 0.1, 0.1, 0, 0))
        book.learn(FeedbackExample(f"s{n}", "u1", 0, "home", "default", "gate-0", now, now, (place,)))
    shop.worker.selling = Selling(
        book,
        market=Market(),
        catalog=catalog,
        path=Path("unused"),
        source=shop.worker.log,
        topic="",
        snapshot_s=60,
        metrics=Metrics(),
    )


async def test_each_campaign_is_told_with_its_budget_its_spend_and_what_came_of_its_impressions(shop: Shop) -> None:
    sells(shop)
    answer = await shop.call("GET", "/v1/ads")
    assert answer.status == 200
    check("Ads", answer.body)
    spring, autumn = answer.body["campaigns"]
    assert (spring["campaign"], spring["ads"], spring["budget"], spring["spent"]) == ("spring", 1, 10.0, 0.4)
    assert (spring["impressions"], spring["clicks"], spring["ctr"], spring["ecpm"]) == (2.0, 1.0, 0.5, 200.0)
    assert (spring["foreseen"], spring["calibration"]) == pytest.approx((0.2, 5.0))
    assert 0 < spring["pace"] <= 1
    assert (autumn["spent"], autumn["ctr"], autumn["calibration"]) == (0.0, None, None)
    assert "u1" not in str(answer.body)


async def test_one_campaign_and_so_many_can_be_asked_for(shop: Shop) -> None:
    sells(shop)
    async with RecClient(shop.url, api_key=API_KEY) as client:
        assert [row["campaign"] for row in (await client.ads(campaign="autumn"))["campaigns"]] == ["autumn"]
        assert len((await client.ads(n=1))["campaigns"]) == 1


async def test_where_no_placement_has_places_for_ads_that_is_said(shop: Shop) -> None:
    answer = await shop.call("GET", "/v1/ads")
    check("Ads", answer.body)
    assert (answer.body["selling"], answer.body["campaigns"]) == (False, [])
