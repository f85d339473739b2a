"""The shop in a real Chromium, against the real web process and worker on memory backends."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.browser.chromium import Connection, Page, tab
from tests.browser.conftest import NASTY, as_new
from tests.browser.seeing import CONTRAST, keep_picture, state_of, text, too_small, too_wide, violations
from tests.browser.shop import Shop

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

HOME = "#for-you"


@pytest_asyncio.fixture(loop_scope="module")
async def mia(blank: Page, shop: Shop) -> str:
    """The user id of a shopper never seen before."""
    return f"demo-{(await as_new(blank, shop, shop='mia'))['shop']}"


@pytest_asyncio.fixture(loop_scope="module")
async def page(blank: Page, shop: Shop, mia: str) -> Page:
    """The shop's first page at desktop size, with its list shown."""
    await blank.goto(shop.url + "/")
    await shown(blank, HOME, 12)
    blank.complaints.clear()
    return blank


async def shown(page: Page, selector: str, count: int) -> None:
    await page.wait(f"document.querySelectorAll('{selector} li[data-item-id]').length >= {count}")


async def listed(page: Page, selector: str = HOME) -> list[str]:
    found = await page.value(
        f"[...document.querySelectorAll('{selector} li[data-item-id]')].map((li) => li.dataset.itemId)"
    )
    assert isinstance(found, list)
    return found


async def slate_of(page: Page, selector: str = HOME) -> Any:
    return await page.value(f"document.querySelector('{selector}').slate")


async def look_at(page: Page, item_id: str) -> None:
    """Click a product on the first page's list, see its page, and what the look did."""
    done = await page.value("document.querySelectorAll('#lines .done').length")
    await page.click(f"{HOME} li[data-item-id='{item_id}'] a")
    await page.wait("document.querySelector('#view h1') !== null && !document.querySelector('#view').hidden")
    await page.wait(f"document.querySelectorAll('#lines .done').length >= {done + 2}")


async def home_again(page: Page) -> None:
    await page.click(".mark")
    await page.wait("!document.querySelector('#home').hidden")


# ------------------------------------------------------------------ the point of it
async def test_a_look_at_a_product_moves_the_list_and_the_panel_says_what_was_seen(
    page: Page, shop: Shop, mia: str
) -> None:
    before = await listed(page)
    first = (await slate_of(page))["items"][4]
    await look_at(page, first["item_id"])
    assert await text(page, "#view h1") == first["item"]["title"]
    line = await text(page, "#lines li")
    assert line.startswith("looked at ")
    assert line.strip().endswith(" ms")
    assert "→ list v" in line
    category = first["item"]["category"]
    await page.wait(f"document.querySelector('#bars').textContent.includes('{category}')")
    await page.wait("document.querySelector('#known').textContent.includes('Kept of you: 2 events')")
    await home_again(page)
    assert await listed(page) != before
    assert "Your list has followed you" in await text(page, "#lead")
    assert await listed(page, ".small") == (await listed(page))[:4]
    state = await state_of(shop, mia)
    assert [(touch.item_id, touch.action) for touch in state.history] == [
        (first["item_id"], "select_item"), (first["item_id"], "view_item"),
    ]  # fmt: skip
    assert page.complaints == []


async def test_a_products_page_shows_what_goes_with_it_and_knows_back(page: Page, shop: Shop) -> None:
    chosen = (await slate_of(page))["items"][0]
    await look_at(page, chosen["item_id"])
    assert await page.value("location.pathname") == f"/product/{chosen['item_id']}"
    await page.wait("document.querySelector('#view section:not([hidden]) li') !== null")
    sections = await page.value(
        "[...document.querySelectorAll('#view section:not([hidden])')].map((s) => [s.querySelector('h2').textContent,"
        " s.querySelectorAll('li').length, s.querySelector('.reason').textContent])"
    )
    assert all(1 <= count <= 4 for _, count, _ in sections)
    goes_with = [reason for name, _, reason in sections if name == "Goes with it"]
    assert goes_with
    assert all(reason.startswith("goes with") for reason in goes_with)
    assert chosen["item_id"] not in await listed(page, "#view")
    await page.value("history.back()")
    await page.wait("!document.querySelector('#home').hidden")
    await page.value("history.forward()")
    await page.wait("!document.querySelector('#view').hidden")
    assert await text(page, "#view h1") == chosen["item"]["title"]
    await page.goto(f"{shop.url}/product/{chosen['item_id']}")  # the address alone will do
    await page.wait("document.querySelector('#view h1')?.textContent.length > 3")
    assert await text(page, "#view h1") == chosen["item"]["title"]


async def test_each_card_says_why_it_is_there_and_can_be_sent_away(page: Page, shop: Shop, mia: str) -> None:
    unwanted = (await listed(page))[1]
    await page.click(f"{HOME} li[data-item-id='{unwanted}'] summary")
    facts = await text(page, f"{HOME} details[open]")
    for word in ("Reason", "Found by", "Place", "2 of 12", "Model"):
        assert word in facts
    await keep_picture(page, "1280-why")
    await page.click(f"{HOME} li[data-item-id='{unwanted}'] .no")
    await page.wait(f"document.querySelector('{HOME} li[data-item-id=\"{unwanted}\"]') === null")
    assert unwanted in (await state_of(shop, mia, lambda state: state.hidden)).hidden


async def test_cart_and_purchase_reach_the_state(page: Page, shop: Shop, mia: str) -> None:
    wanted = (await listed(page))[0]
    await look_at(page, wanted)
    await page.click(".buying button")
    await page.wait("document.querySelector('#cart-count').textContent === '1'")
    assert wanted in (await state_of(shop, mia, lambda state: state.cart())).cart()
    await page.click("#cart-link")
    await shown(page, "#view shunxi-list", 4)
    assert wanted not in await listed(page, "#view shunxi-list")
    await page.click(".till button")
    assert wanted in (await state_of(shop, mia, lambda state: state.bought)).bought
    assert "Bought 1 product" in await text(page, ".thanks")
    assert await page.value("document.querySelector('.till').hidden")
    await home_again(page)
    await page.wait(f"document.querySelector('{HOME} li[data-item-id=\"{wanted}\"]') === null")


# ------------------------------------------------------------------ what shoppers can say
async def test_pausing_takes_what_was_known_and_resuming_begins_anew(page: Page, shop: Shop, mia: str) -> None:
    everybodys = await listed(page)
    await look_at(page, everybodys[6])
    await home_again(page)
    await page.click("#pause")
    state = await state_of(shop, mia, lambda state: state.consent is False)
    assert (state.history, state.categories) == ((), {})
    await page.wait("document.querySelector('#known').textContent.includes('paused')")
    assert await page.value("document.querySelector('#pause').ariaPressed") == "true"
    await page.wait(f"document.querySelector('{HOME}').slate.cause.kind === 'event'")
    await look_at_something_paused(page, shop, mia)
    await page.click("#pause")
    await state_of(shop, mia, lambda state: state.consent is True)
    await page.wait("document.querySelector('#pause').ariaPressed === 'false'")


async def look_at_something_paused(page: Page, shop: Shop, mia: str) -> None:
    """It is sent, and nothing of it is kept."""
    before = (await state_of(shop, mia)).version
    await page.click(f"{HOME} li:nth-child(2) a")
    await page.wait("!document.querySelector('#view').hidden")
    await home_again(page)
    assert (await state_of(shop, mia, lambda state: state.version >= before)).history == ()


async def test_forget_me_erases_shows_the_receipt_and_begins_as_somebody_new(page: Page, shop: Shop, mia: str) -> None:
    await look_at(page, (await listed(page))[3])
    await home_again(page)
    kept = await page.value("localStorage.getItem('shunxi.shopper.shop')")
    await page.click("#forget")
    await page.wait("document.querySelector('#said').textContent.startsWith('Forgotten.')")
    await page.wait("document.querySelector('#said').textContent.includes('state table')")
    await page.wait("document.querySelector('#panel .link').dataset.state === 'connected'")
    await shown(page, HOME, 12)
    assert await page.value("localStorage.getItem('shunxi.shopper.shop')") != kept
    await page.wait("document.querySelector('#bars').dataset.empty.includes('Nothing yet')")
    assert mia.encode() not in shop.local.users
    await look_at(page, (await listed(page))[0])
    assert page.complaints == []


async def test_who_is_forgotten_in_one_tab_is_somebody_new_in_the_others_too(
    page: Page, browser: Connection, shop: Shop, mia: str
) -> None:
    async with tab(browser, beside=page) as other:
        await other.goto(shop.url + "/")
        await shown(other, HOME, 12)
        await look_at(other, (await listed(other))[3])
        await page.click("#forget")
        await other.wait("document.querySelector('#said').textContent.startsWith('You were forgotten in another tab')")
        for one in (page, other):
            await one.wait("document.querySelector('#panel .link').dataset.state === 'connected'")
            await shown(one, HOME, 12)
        assert await other.value("location.pathname") == "/"
        assert (await slate_of(other))["user_id"] == (await slate_of(page))["user_id"] != mia
        await look_at(other, (await listed(other))[0])  # and it lives
        assert other.complaints == []


async def test_who_is_forgotten_by_the_shop_is_somebody_new(page: Page, shop: Shop, mia: str) -> None:
    headers = {"Authorization": f"Bearer {shop.local.settings.api_key.get_secret_value()}"}
    async with aiohttp.ClientSession() as http, http.delete(f"{shop.url}/v1/users/{mia}", headers=headers) as answer:
        assert answer.status == 202
    await page.wait("document.querySelector('#said').textContent.startsWith('You were forgotten')")
    await page.wait("document.querySelector('#panel .link').dataset.state === 'connected'")
    await shown(page, HOME, 12)
    assert (await slate_of(page))["user_id"] != mia


async def test_another_tab_that_became_somebody_else_does_not_end_this_one(
    page: Page, browser: Connection, shop: Shop, mia: str
) -> None:
    async with tab(browser, beside=page) as other:
        await other.goto(shop.url + "/static/icon.svg")
        await other.value("localStorage.setItem('shunxi.shopper.shop', 'mia-elsewhere'); 0")
        await page.wait("document.querySelector('#for-you').slate?.user_id === 'demo-mia-elsewhere'")
    assert await page.value("document.querySelector('#panel .link').dataset.state") != "stopped"


# ------------------------------------------------------------------ what can go wrong
async def test_a_killed_server_is_told_and_what_was_done_meanwhile_arrives(page: Page, shop: Shop, mia: str) -> None:
    await look_at(page, (await listed(page))[2])
    await home_again(page)
    version = (await slate_of(page))["version"]
    await shop.front.kill()
    try:
        await page.wait("document.querySelector('#panel .link').dataset.state === 'reconnecting'")
        await page.click(f"{HOME} li:nth-child(4) summary")
        await page.click(f"{HOME} li:nth-child(4) .no")
        await page.wait("document.querySelector('#panel .more').textContent.includes('events wait')")
        await keep_picture(page, "1280-reconnecting")
    finally:
        await shop.front.open()
    await page.wait("document.querySelector('#panel .link').dataset.state === 'recovered'", 25)
    assert (await state_of(shop, mia, lambda state: state.hidden)).hidden
    await page.wait(f"document.querySelector('{HOME}').slate.version > {version}")
    await page.wait("document.querySelector('#panel .link').dataset.state === 'connected'")


async def test_two_tabs_of_one_shopper_show_the_same_list(page: Page, browser: Connection, shop: Shop) -> None:
    async with tab(browser, beside=page) as other:
        await other.goto(shop.url + "/")
        await shown(other, HOME, 12)
        assert await listed(other) == await listed(page)
        await look_at(other, (await listed(other))[5])
        version = (await slate_of(other))["version"]
        await page.wait(f"document.querySelector('{HOME}').slate.version >= {version}")
        assert "connected" in await text(page, "#panel .link")
        assert await listed(other) == await listed(page)


async def test_an_impression_is_sent_once_for_each_list(page: Page, shop: Shop, mia: str) -> None:
    shown_ = (await state_of(shop, mia, lambda state: state.shown)).shown
    assert {seen.times for seen in shown_.values()} == {1}
    await page.value("document.querySelector('#for-you').scrollIntoView({block: 'end'})")
    more = (await state_of(shop, mia, lambda state: len(state.shown) > len(shown_))).shown
    assert {seen.times for seen in more.values()} == {1}


async def test_markup_in_a_title_stays_text(page: Page, shop: Shop) -> None:
    scripts = await page.value("document.scripts.length")
    await page.goto(f"{shop.url}/product/nasty-1")
    await page.wait("document.querySelector('#view h1')?.textContent.length > 3")
    assert await page.value("document.querySelector('#view h1').textContent") == NASTY
    await page.wait("document.querySelectorAll('#lines .done').length >= 1")
    await home_again(page)
    await page.wait(f"document.querySelector('{HOME} li[data-item-id=nasty-1]') !== null")
    assert await page.value(f"document.querySelector('{HOME} li[data-item-id=nasty-1] .title').textContent") == NASTY
    assert await page.value("window.hacked === undefined && document.scripts.length") == scripts
    assert page.complaints == []


async def test_what_is_not_there_is_said_with_a_way_back(page: Page, shop: Shop) -> None:
    await page.goto(f"{shop.url}/product/none-1")
    await page.wait("document.querySelector('#view h1')?.textContent === 'Not here'")
    assert await page.value("document.querySelector('#view .lead a').getAttribute('href')") == "/"
    await page.goto(f"{shop.url}/department/Books")
    await page.wait("document.querySelectorAll('#view .tile').length >= 12")
    await page.wait("document.querySelectorAll('#departments a').length >= 10")
    await page.wait("document.querySelector('#departments [aria-current]')?.textContent === 'Books'")
    for path, heading in (
        ("/department/Nope", "There is no department “Nope”"),
        ("/department/%E0", "There is no department “%E0”"),
        ("/nosuch", "There is no such page"),
        ("/product/", "There is no such page"),
    ):
        await page.goto(shop.url + path)
        await page.wait(f"document.querySelector('#view h1')?.textContent === '{heading}'")
        assert await page.value("document.querySelector('#home').hidden")
        assert heading in await page.value("document.title")
        assert await page.value("document.querySelectorAll('#view .tile').length") == 0
    await keep_picture(page, "1280-nosuch")
    await page.click("#view .lead a")
    await page.wait("!document.querySelector('#home').hidden")
    await shown(page, HOME, 12)


# ------------------------------------------------------------------ search
FOUND = "#view shunxi-list li[data-item-id]"


async def search_for(page: Page, words: str) -> None:
    """Type the words and press Enter, as a shopper does, and wait for what was found."""
    await page.wait("!document.querySelector('#search').hidden")
    await page.value(f"document.querySelector('#q').value = {words!r}; document.querySelector('#q').focus()")
    await page.press("Enter")
    await page.wait(f"location.search !== '' && document.querySelector('{FOUND}') !== null")


async def searches_told(page: Page) -> int:
    lines = await page.value("[...document.querySelectorAll('#lines .what')].map((line) => line.textContent)")
    return sum(line.startswith("searched for") for line in lines)


INGESTED = (
    "fetch('/metrics').then((answer) => answer.text()).then((all) =>"
    " Number(all.match(/events_ingested_total{event=.search.} ([0-9.]+)/)?.[1] ?? 0))"
)


async def test_coming_back_to_a_search_or_opening_it_anew_is_no_new_search(page: Page) -> None:
    before = await page.value(INGESTED)
    await search_for(page, "tent")
    assert await searches_told(page) == 1
    for _ in range(2):
        await page.click(f"{FOUND} a")
        await page.wait("document.querySelector('#view .product') !== null")
        await page.value("history.back()")
        await page.wait(f"location.pathname === '/search' && document.querySelector('{FOUND}') !== null")
    assert await searches_told(page) == 1
    await page.goto(await page.value("location.href"))
    await page.wait(f"document.querySelector('{FOUND}') !== null")
    await page.wait("document.querySelector('#panel .link').dataset.state === 'connected'")
    assert await searches_told(page) == 0  # the ticker began anew, too
    assert await page.value("document.querySelector('#q').value") == "tent"
    await search_for(page, "tent")  # once more, on purpose
    await page.wait("document.querySelector('#lines .what')?.textContent === 'searched for tent'")
    await page.wait(f"{INGESTED}.then((count) => count === {before + 2})")


async def test_the_ticker_names_the_product_that_was_clicked_for_a_query(page: Page) -> None:
    await search_for(page, "tent")
    title = await text(page, f"{FOUND} .title")
    await page.click(f"{FOUND} a")
    clicked = "[...document.querySelectorAll('#lines .what')].map((line) => line.textContent)"
    await page.wait(f"{clicked}.some((line) => line.startsWith('clicked '))")
    assert f"clicked {title}" in await page.value(clicked)


async def test_more_of_a_search_is_added_where_the_shopper_is(page: Page, shop: Shop, mia: str) -> None:
    await search_for(page, "tent")
    total = int((await text(page, "#view .lead")).split(" of ")[1].split()[0])
    assert total > 24
    assert await text(page, "#view .lead") == f"24 of {total} products."
    await keep_picture(page, "1280-search")
    await page.value("document.querySelector('.more').scrollIntoView({block: 'center'})")
    await keep_picture(page, "1280-more")
    seen = await listed(page, "#view shunxi-list")
    await page.value("document.querySelector('.more').focus()")
    while await page.value("!document.querySelector('.more').hidden"):
        before = await page.value(f"document.querySelectorAll('{FOUND}').length")
        assert await page.value("document.activeElement === document.querySelector('.more')")
        await page.press("Enter")
        await page.wait(f"document.querySelectorAll('{FOUND}').length > {before}")
        await page.wait("!document.querySelector('.more').ariaDisabled")
    everything = await listed(page, "#view shunxi-list")
    assert everything[:24] == seen
    assert len(everything) == len(set(everything)) == total
    assert await text(page, "#view .lead") == f"{total} products."
    first_new = await page.value("document.activeElement.closest('li').dataset.itemId")
    assert everything.index(first_new) % 24 == 0  # the button is gone: on with the first of the last page
    assert await searches_told(page) == 1
    await page.click("#view shunxi-list:last-of-type li:last-child a")
    slates = (await state_of(shop, mia, lambda state: state.history)).history
    assert slates[0].item_id == everything[-1]


async def test_words_that_were_taken_for_others_are_said(page: Page) -> None:
    await search_for(page, "trekkign tnet")
    assert (await text(page, "#view .lead")).startswith("Showing results for “")
    assert await text(page, "#view h1") == "“trekkign tnet”"


async def test_a_search_on_a_phone_is_no_wider_than_it_and_axe_finds_nothing(page: Page) -> None:
    await page.resize(390, 844, mobile=True)
    await search_for(page, "tent")
    assert await too_wide(page, 390) == []
    assert await too_small(page) == []
    await keep_picture(page, "390-search")
    await page.prefer(prefers_reduced_motion="reduce")
    assert await violations(page) == []
    await page.prefer(prefers_reduced_motion="no-preference")


# ------------------------------------------------------------------ for everybody
async def test_a_phone_shows_every_page_without_scrolling_sideways(page: Page, shop: Shop) -> None:
    await page.resize(390, 844, mobile=True)
    await look_at(page, (await listed(page))[0])
    for name, there in {
        "product": "document.querySelector('#view .product') !== null",
        "cart": "document.querySelector('#view .till') !== null",
        "home": "!document.querySelector('#home').hidden",
    }.items():
        if name != "product":
            await page.click({"cart": "#cart-link", "home": ".mark"}[name])
        await page.wait(there)
        assert await too_wide(page, 390) == [], name
        assert await too_small(page) == [], name
    assert "event → list in " in await text(page, "#peek")
    assert await page.value("getComputedStyle(document.querySelector('#panel')).visibility") == "hidden"
    await page.click("#peek")
    await page.wait("getComputedStyle(document.querySelector('#panel')).visibility === 'visible'")
    assert await page.value("document.querySelector('#peek').ariaExpanded") == "true"
    await keep_picture(page, "390-panel")
    await page.press("Escape")
    await page.wait("getComputedStyle(document.querySelector('#panel')).visibility === 'hidden'")


async def test_the_keyboard_alone_opens_a_product_and_comes_back(page: Page) -> None:
    await page.press("Tab")
    assert await text(page, ":focus") == "Skip to the products"
    await page.value(f"document.querySelector('{HOME} a').focus()")
    assert await page.value("getComputedStyle(document.activeElement).outlineStyle") != "none"
    order = []
    for _ in range(4):
        order.append(
            await page.value(
                "document.activeElement.tagName + (document.activeElement.closest('li')?.dataset.itemId ?? '')"
            )
        )
        await page.press("Tab")
    one, two = (await listed(page))[:2]
    assert order == [f"A{one}", f"SUMMARY{one}", f"A{two}", f"SUMMARY{two}"]
    await page.value(f"document.querySelector('{HOME} a').focus()")
    await page.press("Enter")
    await page.wait("document.activeElement === document.querySelector('#view h1')")  # told by a screen reader
    await page.wait("document.querySelectorAll('#lines .done').length >= 2")
    await page.value("document.querySelector('.buying button').focus()")
    await page.press(" ")
    await page.wait("document.querySelector('#cart-count').textContent === '1'")


async def test_focus_stays_on_its_product_while_the_list_moves_and_motion_may_be_unwelcome(page: Page) -> None:
    moving = f"[...document.querySelectorAll('{HOME} li')].flatMap((li) => li.getAnimations()).length"
    items = (await slate_of(page))["items"]
    unwanted = items[1]["item"]["category"]  # those of its kind go with it
    kept = next(item["item_id"] for item in items if item["item"]["category"] != unwanted)
    no = f"document.querySelector('{HOME} li:nth-child(2) .no').click()"
    await page.value(f"document.querySelector('{HOME} li[data-item-id=\"{kept}\"] a').focus()")
    await page.value(f"{no}; 0")
    assert await page.wait(moving) > 0
    assert await page.value("document.activeElement.closest('li')?.dataset.itemId") == kept
    await page.prefer(prefers_reduced_motion="reduce")
    await page.wait(f"{moving} === 0")
    version = (await slate_of(page))["version"]
    await page.value(f"{no}; 0")
    await page.wait(f"document.querySelector('{HOME}').slate.version > {version}")
    assert await page.value(moving) == 0
    await page.prefer(prefers_reduced_motion="no-preference")


async def test_axe_finds_nothing_on_any_page_and_every_color_can_be_read(page: Page) -> None:
    await look_at(page, (await listed(page))[0])
    await page.click(".buying button")
    for name in ("product", "cart", "home"):
        if name != "product":
            await page.click({"cart": "#cart-link", "home": ".mark"}[name])
            await page.wait("document.querySelectorAll('main li[data-item-id]').length > 3")
        for scheme in ("light", "dark"):
            await page.prefer(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
            assert await page.value(f"({CONTRAST})()") == [], f"{name}, {scheme}"
        assert await violations(page) == [], name
        await page.prefer(prefers_color_scheme="light", prefers_reduced_motion="reduce")
        assert await violations(page) == [], name
    await page.prefer(prefers_reduced_motion="no-preference")
