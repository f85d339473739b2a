"""Ads from the catalog to the screen to the bill: marked, clicked, paid, and gone when the budget is."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from rec.catalog import Item
from rec.errors import ConfigError
from rec.events import Consent
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


async def test_a_click_of_who_denied_ad_storage_is_paid_for_and_their_name_stands_nowhere_beside_it(
    tmp_path: Path,
) -> None:
    no = Consent(ad_storage="denied", ad_personalization="denied")
    async with (
        local_worker(loop_settings(tmp_path, placements=SPONSORED), [*shop(), *ads()]) as loop,
        Screen(loop) as screen,
    ):
        await publish(loop, last := msgspec.structs.replace(happened("view_item", "books-1"), consent=no))
        await until(lambda: screen.last.cause.event_id == last.event_id)
        slate, [shown] = screen.last, sponsored(screen)
        other = next(place.item_id for place in slate.items if place.source != "ad")
        await publish(loop, on(slate, "view_item_list", shown, other), on(slate, "select_item", shown))
        await until(lambda: len(examples(loop.log)) == 2, 10)
        own, receipt = sorted(examples(loop.log), key=lambda each: not each.user_id)
        assert shown not in [place.item_id for place in own.places]
        [place] = receipt.places
        assert (place.item_id, set(place.actions), receipt.user_id) == (shown, {"select_item"}, "")
        until_s = time.monotonic() + 10
        while shown in sponsored(screen):  # its budget is spent
            assert time.monotonic() < until_s
            await moved(loop, screen)
        state = loop.users[b"u1"]
        assert state.ads == {}
        assert shown not in state.shown


async def test_a_worker_does_not_begin_with_a_placement_that_makes_no_sense(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="REC_PLACEMENTS: home: "):
        async with local_worker(loop_settings(tmp_path, placements={"home": {"ads": 1}}), shop()):
            pass


async def test_where_the_first_places_of_a_list_stay_its_ads_are_sold_anew_and_stay_marked(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, placements=SPONSORED, strategy={"refresh": "tail", "keep_places": 3})
    async with local_worker(settings, [*shop(), *ads()]) as loop, Screen(loop) as screen:
        await moved(loop, screen)
        before = screen.last
        organic = [place.item_id for place in before.items if place.source != "ad"]
        await publish(loop, last := happened("view_item", "camping-7"))
        await until(lambda: screen.last.cause.event_id == last.event_id)
        after = screen.last
        kept = [place.item_id for place in after.items if "kept" in place.reason.policy]
        assert kept == organic[:3]
        assert [place.source == "ad" for place in after.items].index(True) == 1
        assert len(sponsored(screen)) == 1
        assert len({place.item_id for place in after.items}) == len(after.items) == len(before.items)
