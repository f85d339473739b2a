"""Browsing the shop: what changes in the catalog, what narrows a search, own products, and coming back."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.browser.chromium import Connection, Page, tab
from tests.browser.conftest import as_new
from tests.browser.seeing import keep_picture, text, too_small, too_wide, violations
from tests.browser.shop import Shop

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

TILES = "document.querySelectorAll('#for-you li[data-item-id]').length >= 12"
CARDS = "#view shunxi-list li[data-item-id]"
NOT_ASKED = "!document.querySelector('.more').ariaDisabled"


@pytest_asyncio.fixture(loop_scope="module")
async def page(blank: Page, shop: Shop) -> Page:
    await as_new(blank, shop, shop="browse")
    await blank.goto(shop.url + "/")
    await blank.wait(TILES)
    blank.complaints.clear()
    return blank


async def call(shop: Shop, method: str, path: str, body: object = None) -> Any:
    """A backend's question."""
    headers = {"Authorization": f"Bearer {shop.local.settings.api_key.get_secret_value()}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.request(method, shop.url + path, json=body) as got:
        assert got.status < 300, await got.text()
        return await got.json()


# ------------------------------------------------------------------ the catalog changes
async def test_another_price_and_title_come_to_the_screen(page: Page, shop: Shop) -> None:
    item_id = await page.value("document.querySelector('#for-you').slate.items[0].item_id")
    item = await call(shop, "GET", f"/v1/items/{item_id}")
    await call(shop, "PUT", "/v1/items", {"items": [{**item, "price": 1234.5, "title": "Quite another title"}]})
    card = f"document.querySelector('#for-you li[data-item-id=\"{item_id}\"]')"
    await page.wait(f"{card}?.querySelector('.price').textContent === '€1,234.50'")
    assert await page.value(f"{card}.querySelector('.title').textContent") == "Quite another title"
    await call(shop, "PUT", "/v1/items", {"items": [item]})
    await page.wait(f"{card}?.querySelector('.title').textContent !== 'Quite another title'")


async def test_products_without_a_picture_have_their_initial_and_nothing_claims_they_were_generated(
    page: Page, shop: Shop
) -> None:
    assert await page.value("!document.querySelector('#generated').hidden")
    own: list[dict[str, object]] = [
        {"item_id": "own-1", "title": "Ödland boots", "category": "Handmade", "price": 9, "currency": "EUR"},
        {"item_id": "own-2", "title": "“Zebra” rug", "category": "Handmade", "image_url": "/pictures/gone-1.svg"},
    ]
    await call(shop, "PUT", "/v1/items", {"items": own})
    try:
        await page.wait(
            "fetch('/demo/categories').then((a) => a.json()).then(({categories}) =>"
            " categories.some(({name}) => name === 'Handmade'))"
        )
        await page.goto(f"{shop.url}/department/Handmade")
        await page.wait("document.querySelectorAll('#view .initial').length === 2")
        letters = await page.value("[...document.querySelectorAll('#view .initial')].map((e) => e.textContent)")
        assert letters == ["Ö", "Z"]
        assert await page.value("document.querySelector('#generated').hidden")
        assert await violations(page) == []
        await page.goto(f"{shop.url}/product/own-1")
        await page.wait("document.querySelector('.product .initial')?.textContent === 'Ö'")
        await page.goto(f"{shop.url}/two")
        await page.wait("document.querySelector('#what').textContent.startsWith('products of ')")
        assert "tents" not in await text(page, "h1")
        assert await page.value("document.querySelector('#generated').hidden")
    finally:
        for item in own:
            await call(shop, "DELETE", f"/v1/items/{item['item_id']}")


async def test_after_a_reload_a_list_of_ones_own_is_not_everybodys(page: Page, shop: Shop) -> None:
    assert (await text(page, "#lead")).startswith("Everybody begins with this list.")
    await page.click("#for-you li:nth-child(3) a")
    await page.wait("document.querySelectorAll('#lines .done').length >= 2")
    await page.goto(shop.url + "/")
    await page.wait("document.querySelector('#lead').textContent.startsWith('This list is yours: it follows what ')")


async def test_the_half_life_on_the_two_shoppers_page_is_the_servers(page: Page, shop: Shop) -> None:
    await page.goto(shop.url + "/two")
    half = round(shop.local.settings.short_half_life_s / 60)
    await page.wait(f"document.querySelector('.half-life').textContent === 'halves in {half} min'")


async def test_the_carts_list_is_named_by_its_reasons(page: Page) -> None:
    await page.click("#for-you li a")
    await page.click(".buying button")
    await page.wait("document.querySelector('#cart-count').textContent === '1'")
    await page.click("#cart-link")
    await page.wait(f"document.querySelectorAll('{CARDS}').length >= 4")
    kinds = await page.value("document.querySelector('#view shunxi-list').slate.items.map(({reason}) => reason?.kind)")
    heading = await text(page, "#view section h2")
    assert heading == ("Goes with your cart" if set(kinds) == {"goes_with"} else "You may also like")


async def test_a_cart_is_one_for_all_tabs(page: Page, browser: Connection, shop: Shop) -> None:
    async with tab(browser, beside=page) as other:
        await other.goto(shop.url + "/product/camp-0001")
        await page.goto(shop.url + "/product/camp-0002")
        for number, one in ((1, page), (2, other)):
            await one.click(".buying button")
            await one.wait(f"document.querySelector('#cart-count').textContent === '{number}'")
        await page.wait("document.querySelector('#cart-count').textContent === '2'")
        await page.click("#cart-link")
        await page.wait("document.querySelectorAll('.cart-lines li').length === 2")
        await other.click("#cart-link")
        await other.click(".cart-lines li button")
        await page.wait("document.querySelectorAll('.cart-lines li').length === 1")
        await page.click(".till button")
        await page.wait("document.querySelector('.thanks').textContent.startsWith('Bought 1 product.')")
        await other.wait("document.querySelector('#cart-count').textContent === '0'")


@pytest.mark.parametrize("kept", ["{}", "7", '[1, ["a"], ["b", {"quantity": 2}]]', "no json"])
async def test_a_cart_that_is_none_of_ours_is_an_empty_one(page: Page, shop: Shop, kept: str) -> None:
    await page.value(f"localStorage.setItem('shunxi.shop.cart', {json.dumps(kept)}); 0")
    await page.goto(shop.url + "/cart")
    await page.wait("document.querySelector('#view h1')?.textContent === 'Your cart'")
    assert await text(page, "#cart-count") == "0"
    assert page.complaints == []


async def test_the_skip_link_leads_to_the_products_page_that_is_shown(page: Page, shop: Shop) -> None:
    await page.goto(shop.url + "/product/camp-0001")
    await page.wait("document.querySelectorAll('#lines .done').length >= 1")
    await page.value("window.heading = document.querySelector('#view h1'); document.querySelector('.skip').focus()")
    await page.press("Enter")
    await page.wait("location.hash === '#main'")
    await page.value("history.back(); 0")
    await page.wait("location.hash === ''")
    await page.value("history.forward(); 0")
    await page.wait("location.hash === '#main'")
    assert await page.value("heading.isConnected")  # the view was not made anew, and the look not told again
    assert await page.value("document.querySelectorAll('#lines li').length") == 1
    await page.click(".mark")
    await page.wait("location.pathname === '/'")
    await page.value("history.back(); 0")
    await page.wait("document.querySelector('#view h1') !== null && !document.querySelector('#view').hidden")


async def test_a_department_shows_all_of_it_bit_by_bit(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.url}/department/Books")
    tiles = "[...document.querySelectorAll('#view .tile')].map((a) => a.getAttribute('href'))"
    await page.wait(f"{tiles}.length === 24")
    first = await page.value(tiles)
    while await page.value("!document.querySelector('.more').hidden"):
        before = len(await page.value(tiles))
        await page.value("document.querySelector('.more').focus()")
        await page.press("Enter")
        await page.wait(f"{tiles}.length > {before} && {NOT_ASKED}")
    everything = await page.value(tiles)
    assert everything[:24] == first
    counts = (await page.value("fetch('/demo/categories').then((answer) => answer.json())"))["categories"]
    assert len(everything) == len(set(everything)) == {one["name"]: one["count"] for one in counts}["Books"]
    assert await text(page, "#view .told") == f"{len(everything)} of {len(everything)} products."
    focused = await page.value("document.activeElement.getAttribute('href')")
    assert everything.index(focused) % 24 == 0


async def test_at_twice_the_size_nothing_covers_the_shops_name(page: Page) -> None:
    await page.resize(640, 400)
    await page.wait("!document.querySelector('#search').hidden")
    boxes = await page.value(
        "['.mark span', '#search', '.ways'].map((at) => document.querySelector(at).getBoundingClientRect().toJSON())"
    )
    for at, one in enumerate(boxes):
        for other in boxes[at + 1 :]:
            beside = one["right"] <= other["left"] or other["right"] <= one["left"]
            assert beside or one["bottom"] <= other["top"] or other["bottom"] <= one["top"], (one, other)
    assert await too_wide(page, 640) == []


# ------------------------------------------------------------------ search
async def search_for(page: Page, shop: Shop, query: str) -> None:
    await page.goto(f"{shop.url}/search?{query}")
    await page.wait(f"document.querySelector('{CARDS}') !== null && {NOT_ASKED}")


async def test_coming_back_from_a_product_there_is_as_much_of_a_search_as_before(page: Page, shop: Shop) -> None:
    await search_for(page, shop, "q=tent")
    await page.click(".more")
    await page.wait(f"document.querySelectorAll('{CARDS}').length === 48 && {NOT_ASKED}")
    await page.click("#view shunxi-list:last-of-type li:nth-child(20) a")
    await page.wait("document.querySelector('#view .product') !== null")
    await page.value("history.back()")
    await page.wait(f"document.querySelectorAll('{CARDS}').length === 48")
    assert await text(page, "#view .more") == "Show more"
    await page.wait("scrollY > 2000")  # where it was


async def choose(page: Page, name: str, value: str) -> None:
    """As a person does: the field keeps the focus."""
    await page.value(
        f"(() => {{ const field = document.querySelector('.facets [name={name}]'); field.focus();"
        f"if (field.type === 'checkbox') field.checked = {value or 0}; else field.value = '{value}';"
        "field.dispatchEvent(new Event('change', {bubbles: true})); })()"
    )


ITEMS = "[...document.querySelectorAll('#view shunxi-list')].flatMap((list) => list.slate?.items ?? [])"


async def test_a_search_is_narrowed_sorted_and_kept_in_the_address(page: Page, shop: Shop) -> None:
    await search_for(page, shop, "q=tent")
    brand = await page.value("[...document.querySelector('[name=brand]').options].at(1).value")
    options = await page.value("[...document.querySelector('[name=brand]').options].map((one) => one.text)")
    assert options[0] == "All"
    assert options[1].startswith(f"{brand} (")
    stock = await page.value("document.querySelector('#view shunxi-list').slate.search.stock")
    missing = f" ({stock['out_of_stock']} sold out)" if stock["out_of_stock"] else ""
    assert await text(page, ".facets .check") == f"In stock only{missing}".strip()
    await choose(page, "brand", brand)
    await page.wait(f"{ITEMS}.length > 0 && {ITEMS}.every(({{item}}) => item.brand === '{brand}')")
    assert await page.value("document.activeElement.name") == "brand"
    await choose(page, "sort", "price_desc")
    rises = f"{ITEMS}.filter(({{item}}, at, all) => at > 0 && all[at - 1].item.price < item.price).length"
    await page.wait(f"{rises} <= 2 && {NOT_ASKED}")  # tents, then what is called so, then what mentions one
    await choose(page, "price_min", "40")
    await page.wait(f"{ITEMS}.length > 0 && {ITEMS}.every(({{item}}) => item.price >= 40)")
    query = await page.value("Object.fromEntries(new URLSearchParams(location.search))")
    assert query == {"q": "tent", "brand": brand, "sort": "price_desc", "price_min": "40"}
    count = await page.value(f"{ITEMS}.length")
    await search_for(page, shop, (await page.value("location.search"))[1:])  # opened anew
    assert await page.value(f"{ITEMS}.length") == count
    assert await page.value("document.querySelector('[name=brand]').value") == brand
    assert await page.value("document.querySelector('[name=price_min]').value") == "40"
    await page.click(".facets button")
    await page.wait(f"{ITEMS}.some(({{item}}) => item.brand !== '{brand}')")
    assert await page.value("Object.fromEntries(new URLSearchParams(location.search))") == {
        "q": "tent", "sort": "price_desc",
    }  # fmt: skip
    await page.value("history.back()")
    await page.wait(f"{ITEMS}.length > 0 && {ITEMS}.every(({{item}}) => item.brand === '{brand}')")
    assert page.complaints == []


async def test_filters_that_leave_nothing_say_so_and_nonsense_in_the_address_is_no_filter(
    page: Page, shop: Shop
) -> None:
    await search_for(page, shop, "q=tent&brand=Nobody&sort=sideways&price_min=much&in_stock=maybe")
    assert (await text(page, "#view .lead")).startswith("Nothing is left with these filters.")
    assert await page.value("document.querySelector('[name=brand]').value") == "Nobody"
    assert await page.value("document.querySelector('[name=sort]').value") == ""
    await choose(page, "in_stock", "false")
    await page.wait("location.search.includes('in_stock=false')")
    await page.wait(f"document.querySelector('{CARDS}') !== null && {NOT_ASKED}")
    assert page.complaints == []


async def test_the_facets_fit_a_phone_and_axe_finds_nothing(page: Page, shop: Shop) -> None:
    await page.resize(390, 844, mobile=True)
    await search_for(page, shop, "q=tent&category=Camping")
    assert await too_wide(page, 390) == []
    assert await too_small(page) == []
    await keep_picture(page, "390-facets")
    await page.prefer(prefers_reduced_motion="reduce")
    assert await violations(page) == []
    await page.prefer(prefers_reduced_motion="no-preference")
