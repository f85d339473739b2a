"""The feed and the sponsored place in a real Chromium: what is read is counted, and what is paid for is marked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from rec.catalog import Item
from rec.demo.ads import PLACE, STOREFRONT
from rec.demo.content import demo_content
from rec.events import Event, decode_event
from rec.topics import BEHAVIOR
from tests.browser.chromium import WAIT_S, Page
from tests.browser.conftest import as_new, threads_ready
from tests.browser.seeing import CONTRAST, keep_picture, state_of, text, too_small, too_wide, violations
from tests.browser.shop import Shop, open_shop

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

FEED, HOME = "#view .stories", "#for-you"
AD = f"{HOME} .tile[data-sponsored]"
LINES = "[...document.querySelectorAll('#lines .what')].map((line) => line.textContent)"


def ads() -> list[Item]:
    """So many that one of them takes part, though a campaign begins with a tenth of the auctions."""
    wants = {"bid": 0.5, "daily_budget": 50, "item": "camp-0001", "frequency_cap": 20}
    more: dict[str, Any] = {"kind": "ad", "category": "Camping", "brand": "Tarnvale", "attributes": wants}
    return [Item(item_id=f"ad-{n}", title=f"Tents {n}", image_url=f"/pictures/ad-{n}.svg", **more) for n in range(120)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    await threads_ready()
    placements = {STOREFRONT: {"sponsored": [PLACE]}}
    async with open_shop(
        tmp_path_factory.mktemp("shop"), more=[*demo_content(), *ads()], placements=placements, request_timeout_s=WAIT_S
    ) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def ida(blank: Page, shop: Shop) -> str:
    return f"demo-{(await as_new(blank, shop, shop='ida'))['shop']}"


@pytest_asyncio.fixture(loop_scope="module")
async def page(blank: Page, shop: Shop, ida: str) -> Page:
    """The shop's first page, with its list."""
    await blank.goto(shop.url + "/")
    await blank.wait(f"document.querySelectorAll('{HOME} li[data-item-id]').length === 12")
    await blank.wait("!document.querySelector('#feed-link').hidden")
    blank.complaints.clear()
    return blank


async def told(shop: Shop, user_id: str, name: str, count: int = 1) -> list[Event]:
    """The user's events of that name, as soon as there are so many."""
    topic = shop.local.settings.topic(BEHAVIOR)
    async with asyncio.timeout(WAIT_S):
        while True:
            records = [record for part in shop.local.log.partitions(topic) for record in part.records]
            mine = [decode_event(record.value) for record in records if record.value and record.key == user_id.encode()]
            if len(found := [event for event in mine if event.event == name]) >= count:
                return found
            await asyncio.sleep(0.02)


async def feed(page: Page) -> Any:
    """The feed's page, by its link; its slate."""
    await page.click("#feed-link")
    await page.wait(f"document.querySelectorAll('{FEED} li[data-item-id]').length >= 12")
    return await page.value(f"document.querySelector('{FEED}').slate")


async def open_story(page: Page, kind: str) -> Any:
    """The first of its kind on the feed, with the list that it was opened from."""
    slate = await feed(page)
    wanted = next(item for item in slate["items"] if item["item"]["kind"] == kind)
    await page.click(f"{FEED} li[data-item-id='{wanted['item_id']}'] a")
    await page.wait("document.querySelector('#view .piece') !== null")
    assert await text(page, "#view h1") == wanted["item"]["title"]
    assert await page.value("location.pathname") == f"/read/{wanted['item_id']}"
    return slate, wanted


async def test_what_is_read_is_counted_told_with_its_list_and_moves_the_feed(page: Page, shop: Shop, ida: str) -> None:
    slate, wanted = await open_story(page, "article")
    assert len(await text(page, "#view .text")) > 600
    await page.wait("document.querySelector('.counted').dataset.on === 'true'")
    await page.wait("document.querySelector('.counted .figure').textContent === '1 s'")
    again = await feed(page)
    [dwell] = await told(shop, ida, "dwell")
    assert [item.item_id for item in dwell.items] == [wanted["item_id"]]
    assert dwell.value is not None
    assert 1 <= dwell.value < WAIT_S
    assert dwell.attribution is not None
    assert dwell.attribution.slate_id == slate["slate_id"]
    await page.wait(
        f"{LINES}.some((line) => line.startsWith('read for {dwell.value:.0f} s: {wanted['item']['title']}'))"
    )
    await page.wait(f"document.querySelector('{FEED} li[data-item-id={wanted['item_id']}]') === null")  # was read
    category = wanted["item"]["category"]
    await page.wait(f"document.querySelector('{FEED}').slate.items[0].item.category === {category!r}")
    assert again["placement"] == "feed"
    assert page.complaints == []


async def test_time_counts_only_in_front_and_what_was_not_told_goes_with_the_page(
    page: Page, shop: Shop, ida: str
) -> None:
    await open_story(page, "article")
    await page.wait("document.querySelector('.counted .figure').textContent === '1 s'")
    await page.value("document.hasFocus = () => false; dispatchEvent(new Event('blur')); 0")
    assert await page.value("document.querySelector('.counted').dataset.on") == "false"
    hidden = "Object.defineProperty(document, 'visibilityState', {value: 'hidden', configurable: true})"
    await page.value(f"{hidden}; document.dispatchEvent(new Event('visibilitychange', {{bubbles: true}})); 0")
    [first] = await told(shop, ida, "dwell")  # a phone may never come back to it
    assert first.value is not None
    assert first.value < 3
    await page.value("delete document.visibilityState; delete document.hasFocus; dispatchEvent(new Event('focus')); 0")
    await page.wait(f"Number.parseInt(document.querySelector('.counted .figure').textContent) >= {first.value + 1}")
    await page.goto(shop.url + "/static/icon.svg")
    values = [event.value for event in await told(shop, ida, "dwell", 2)]
    assert values == sorted(values, key=lambda value: value or 0)


async def test_a_film_counts_while_it_plays_and_its_clock_with_it(page: Page, shop: Shop, ida: str) -> None:
    await open_story(page, "video")
    assert await text(page, ".film .time") == "0:00 / 0:30"
    assert await page.value("document.querySelector('.counted').dataset.on") == "false"
    await page.click(".play")
    await page.wait("document.querySelector('.film .time').textContent.startsWith('0:01')")
    await page.wait("document.querySelector('.counted .figure').textContent === '1 s'")
    await keep_picture(page, "1280-film")
    await page.click(".play")
    assert await text(page, ".play") == "Play"
    assert await page.value("document.querySelector('.counted').dataset.on") == "false"
    await page.click(".mark")
    [dwell] = await told(shop, ida, "dwell")
    assert dwell.value is not None
    assert dwell.value >= 1
    await page.wait(f"{LINES}.some((line) => line.startsWith('watched for '))")


async def test_an_ad_is_marked_leads_to_its_product_and_says_why(page: Page, shop: Shop, ida: str) -> None:
    await page.wait(f"document.querySelector('{AD}') !== null")
    items = (await page.value(f"document.querySelector('{HOME}').slate"))["items"]
    assert [at for at, item in enumerate(items) if item["item"].get("sponsored")] == [PLACE]
    ad_id = items[PLACE]["item_id"]
    assert (await text(page, f"{AD} a")).startswith("Sponsored")  # for the eye, and first for the ear
    assert await page.value(f"document.querySelector('{AD} a').rel") == "sponsored"
    await page.wait("document.querySelectorAll('.small li[data-item-id]').length === 4")
    assert await page.value(f"document.querySelector('.small li[data-item-id={ad_id}]') === null")
    await page.click(f"{AD} summary")
    why = await text(page, f"{AD} details[open]")
    for words in ("an advertiser pays", "your interests", "kept for an ad", "Not interested"):
        assert words in why
    assert "0.5" not in why
    await keep_picture(page, "1280-sponsored")
    await page.press("Escape")
    assert await page.value(f"document.activeElement === document.querySelector('{AD} summary')")
    seen = [event for event in await told(shop, ida, "view_item_list") if ad_id in {i.item_id for i in event.items}]
    assert len({event.attribution.slate_id for event in seen if event.attribution}) == len(seen)
    await page.click(f"{AD} .open")
    await page.wait("document.querySelector('#view .product') !== null")
    assert await page.value("location.pathname") == "/product/camp-0001"
    clicks = await told(shop, ida, "select_item")
    assert [item.item_id for item in clicks[0].items] == [ad_id]
    [look] = await told(shop, ida, "view_item")
    assert look.attribution is None  # what follows a paid click is no success of the list
    seen = [event for event in await told(shop, ida, "view_item_list") if ad_id in {i.item_id for i in event.items}]
    assert len({event.attribution.slate_id for event in seen if event.attribution}) == len(seen)  # once a list
    assert page.complaints == []


async def test_an_ad_that_is_sent_away_is_gone_and_a_browser_is_not_told_what_is_bid(
    page: Page, shop: Shop, ida: str
) -> None:
    await page.wait(f"document.querySelector('{AD}') !== null")
    ad_id = await page.value(f"document.querySelector('{AD}').closest('li').dataset.itemId")
    await page.click(f"{AD} summary")
    await page.click(f"{AD} .no")
    await page.wait(f"document.querySelector('{HOME} li[data-item-id={ad_id}]') === null")
    assert ad_id in (await state_of(shop, ida, lambda state: state.hidden)).hidden
    token = "fetch('/demo/token', {method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{\"shopper\":\"x\"}'})"  # noqa: E501
    asked = f"fetch('/v1/items/{ad_id}', {{headers: {{Authorization: `Bearer ${{token}}`}}}}).then((a) => a.json())"
    item = await page.value(f"{token}.then((a) => a.json()).then(({{token}}) => {asked})")
    assert item["kind"] == "ad"
    assert "attributes" not in item


async def test_feed_story_and_ad_fit_a_phone_can_be_read_and_axe_finds_nothing(page: Page, shop: Shop) -> None:
    for path, there in (
        ("/", AD),
        ("/feed", f"{FEED} li:nth-child(12)"),
        ("/read/camp-guide-1", "#view .text p"),
        ("/read/camp-film-3", "#view .film"),
    ):
        await page.resize(1280, 800)
        await page.goto(shop.url + path)
        await page.wait(f"document.querySelector('{there}') !== null")
        for scheme in ("dark", "light"):
            await page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            assert await page.value(f"({CONTRAST})()") == [], f"{path}, {scheme}"
        assert await violations(page) == [], path
        name = path.strip("/").replace("/", "-") or "home-ad"
        await keep_picture(page, f"1280-{name}")
        await page.resize(390, 844, mobile=True)
        assert await too_wide(page, 390) == [], path
        assert await too_small(page) == [], path
        await keep_picture(page, f"390-{name}")
    await page.prefer(prefers_reduced_motion="no-preference")
