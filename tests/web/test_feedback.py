"""GET /v1/feedback: CTR and CVR, for backends alone."""

from __future__ import annotations

import time

import pytest

from rec.client import RecClient
from rec.feedback import FeedbackExample, Place
from tests.web.test_openapi import check
from tests.web.world import API_KEY, Shop


def seen(shop: Shop) -> None:
    """One list: two products seen, one of them clicked."""
    now = time.time()
    places = (
        Place("tent", 0.9, "rules", 0.5, "camping", True, 1.0, {"select_item": now}),
        Place("lamp", 0.8, "rules", 0.5, "camping", True, 0.0, {}),
    )
    shop.worker.rates.learn(FeedbackExample("s1", "u1", 0, "home", "default", "gate-0", now, now, places))


async def test_what_was_seen_and_clicked_is_told_with_its_intervals(shop: Shop) -> None:
    seen(shop)
    answer = await shop.call("GET", "/v1/feedback?by=category")
    assert answer.status == 200
    check("Feedback", answer.body)
    [row] = answer.body["rows"]
    assert row["key"] == "camping"
    assert answer.body["joining"] is True
    assert (row["seen"], row["clicks"], row["purchases"]) == pytest.approx((2, 1, 0), abs=1e-3)
    assert row["ctr"]["low"] < row["ctr"]["value"] < row["ctr"]["high"]
    assert "u1" not in str(answer.body)


async def test_one_key_and_so_many_rows_can_be_asked_for(shop: Shop) -> None:
    seen(shop)
    async with RecClient(shop.url, api_key=API_KEY) as client:
        assert [row["key"] for row in (await client.feedback("item", key="tent"))["rows"]] == ["tent"]
        assert (await client.feedback("item", key="nothing"))["rows"] == []
        assert len((await client.feedback("item", n=1))["rows"]) == 1
