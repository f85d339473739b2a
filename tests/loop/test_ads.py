"""Ads from the catalog to the screen to the bill: marked, clicked, paid, and gone when the budget is."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rec.catalog import Item
from rec.errors import ConfigError
from tests.loop.local import Local, local_worker, loop_settings
from tests.loop.test_feedback import examples, on
from tests.loop.test_loop import Screen, happened, publish, shop, until

SPONSORED = {"home": {"sponsored": [1]}}
MANY = 120  # campaigns begin with a tenth of the auctions: one of so many takes part


def ads() -> list[Item]:
    wants = {"bid": 0.5, "daily_budget": 0.01, "item": "books-3"}
    return [Item(item_id=f"ad-{n}", title=f"Read {n}", kind="ad", attributes=wants) for n in range(MANY)]


def sponsored(screen: Screen) -> list[str]:
    return [place.item_id for place in screen.last.items if place.source == "ad"]


async def moved(loop: Local, screen: Screen) -> None:
    """One more event, and the list that it brought."""
    await publish(loop, last := happened("view_item", "books-1"))
    await until(lambda: screen.last.cause.event_id == last.event_id)


async def test_an_ad_is_shown_paid_for_by_its_click_and_gone_when_its_budget_is_spent(tmp_path: Path) -> None:
    async with (
        local_worker(loop_settings(tmp_path, placements=SPONSORED), [*shop(), *ads()]) as loop,
        Screen(loop) as screen,
    ):
        await moved(loop, screen)
        slate, [shown] = screen.last, sponsored(screen)
        assert [(place.reason.kind, place.item["sponsored"]) for place in slate.items[1:2]] == [("sponsored", True)]
        await publish(loop, on(slate, "view_item_list", shown), on(slate, "select_item", shown))
        await until(lambda: bool(examples(loop.log)), 10)  # at once, and not when the window is over
        [place] = [place for place in examples(loop.log)[0].places if place.ad is not None]
        assert place.item_id == shown
        assert place.ad is not None
        assert (place.ad.campaign, place.ad.price, place.reward) == (shown, 0.5, 0.0)  # of equals the price is the bid
        until_s = time.monotonic() + 10
        while shown in sponsored(screen):
            assert time.monotonic() < until_s
            await moved(loop, screen)
        state = loop.users[b"u1"]
        assert len(state.ads[shown]) == 1


async def test_a_worker_does_not_begin_with_a_placement_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="REC_PLACEMENTS: home: "):
        async with local_worker(loop_settings(tmp_path, placements={"home": {"ads": 1}}), shop()):
            pass
