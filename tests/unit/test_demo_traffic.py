"""Simulated shoppers against the real web process and worker: by the SDK, at the rate asked for, gone afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rec.demo.traffic import run_traffic
from rec.errors import BadInput, Unauthorized
from rec.events import Event, decode_event
from rec.topics import BEHAVIOR
from tests.browser.shop import Shop, open_shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    async with open_shop(tmp_path, events=300) as opened:
        yield opened


async def of_shoppers(shop: Shop, count: int, attributed: int = 0) -> list[Event]:
    """The simulated shoppers' events in the log, as soon as there are enough."""
    found: list[Event] = []
    async with asyncio.timeout(30):
        async for records in shop.local.log.tail(shop.local.settings.topic(BEHAVIOR)):
            events = [decode_event(record.value) for record in records if record.value is not None]
            found += [event for event in events if (event.user_id or "").startswith("shopper-")]
            if len(found) >= count and sum(event.attribution is not None for event in found) >= attributed:
                break
    return found


async def test_shoppers_act_and_react_to_the_lists_they_get_until_they_are_stopped(shop: Shop) -> None:
    stop = asyncio.Event()
    traffic = asyncio.create_task(run_traffic(shop.url, "key", shoppers=6, rate=120, seed=7, stop=stop, subscribed=0.5))
    try:
        events = await of_shoppers(shop, 200, attributed=5)
    finally:
        stop.set()
        await asyncio.wait_for(traffic, 15)
    assert len({event.user_id for event in events}) == 6
    assert len({event.event_id for event in events}) == len(events)
    watching = {event.user_id for event in events if event.attribution is not None}
    assert watching <= {"shopper-0000", "shopper-0001", "shopper-0002"}
    assert {"view_item_list", "view_item"} <= {event.event for event in events}


async def test_the_rate_is_that_of_the_whole_crowd(shop: Shop) -> None:
    stop = asyncio.Event()
    clock = asyncio.get_running_loop().time
    began = clock()
    traffic = asyncio.create_task(run_traffic(shop.url, "key", shoppers=3, rate=100, seed=7, stop=stop, subscribed=0))
    try:
        count = len(await of_shoppers(shop, 300))
    finally:
        stop.set()
        await asyncio.wait_for(traffic, 15)
    assert 50 < count / (clock() - began) < 130


async def test_a_shop_of_another_seed_is_named_as_the_reason(shop: Shop) -> None:
    with pytest.raises(BadInput, match="not the demo shop of seed 8"):
        await run_traffic(shop.url, "key", shoppers=2, rate=5, seed=8, stop=asyncio.Event())


async def test_a_wrong_key_ends_the_traffic_with_its_reason(shop: Shop) -> None:
    with pytest.raises(Unauthorized):
        await run_traffic(shop.url, "wrong", shoppers=2, rate=5, seed=7, stop=asyncio.Event())


@pytest.mark.parametrize(("shoppers", "rate"), [(0, 1.0), (1, 0.0)])
async def test_nobody_or_never_is_refused(shoppers: int, rate: float) -> None:
    with pytest.raises(BadInput, match="above 0"):
        await run_traffic("http://127.0.0.1:1", "key", shoppers=shoppers, rate=rate, seed=7, stop=asyncio.Event())


async def test_traffic_goes_on_after_the_web_process_was_away(shop: Shop) -> None:
    stop = asyncio.Event()
    traffic = asyncio.create_task(run_traffic(shop.url, "key", shoppers=4, rate=80, seed=7, stop=stop, subscribed=0.5))
    try:
        await of_shoppers(shop, 30)
        await shop.front.close()
        await asyncio.sleep(0.3)
        await shop.front.open()
        before = len(await of_shoppers(shop, 30))
        assert len(await of_shoppers(shop, before + 60)) > before
        assert not traffic.done()
    finally:
        stop.set()
        await asyncio.wait_for(traffic, 15)
