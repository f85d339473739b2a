"""The shop while a part of it is away: it says so in its own words, and goes on by itself."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import pytest_asyncio

from rec.demo.world import demo_catalog
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import topics
from tests.browser.chromium import Connection, Page, tab
from tests.browser.conftest import as_new, threads_ready
from tests.browser.seeing import keep_picture, text, too_wide, violations
from tests.browser.shop import Front, Shop
from tests.loop.local import Local, local_worker, loop_settings
from web.auth import Authority

pytestmark = [
    pytest.mark.needs_chromium, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module"),
]  # fmt: skip

TILES = "document.querySelectorAll('#for-you li[data-item-id]').length >= 12"
FOUND = "document.querySelector('#view shunxi-list li[data-item-id]') !== null"


async def before_scripts(page: Page, source: str) -> None:
    await page.send("Page.addScriptToEvaluateOnNewDocument", source=source)


COUNTED = """{
  const real = fetch;
  globalThis.tokens = [];
  globalThis.fetch = (path, how) => {
    if (path === "/demo/token") tokens.push(JSON.parse(how.body));
    return real(path, how);
  };
}"""


@pytest.mark.parametrize("path", ["/search?q=tent", "/product/camp-0001", "/"])
async def test_whoever_opens_any_address_first_is_one_new_shopper(browser: Connection, shop: Shop, path: str) -> None:
    async with tab(browser) as page:
        await before_scripts(page, COUNTED)
        await page.goto(shop.url + path)
        await page.wait("document.querySelector('main li[data-item-id]') !== null")
        await page.wait("document.querySelector('#panel .link').dataset.state === 'connected'")
        await page.wait("document.querySelector('#known').textContent !== ''")
        assert await page.value("tokens") == [{"shopper": "shop", "fresh": True}]
        assert str(await page.value("localStorage.getItem('shunxi.shopper.shop')")).startswith("shop-")
        assert page.complaints == []


async def test_somebody_whose_first_token_did_not_come_is_nobody_elses(blank: Page, shop: Shop) -> None:
    first_fails = "if (tokens.length === 1) return Promise.reject(new TypeError('no'));"
    fails = COUNTED.replace("return real", f"{first_fails} return real")
    await before_scripts(blank, fails)
    await blank.goto(shop.url + "/product/camp-0001")
    await blank.wait("document.querySelector('#view .product') !== null")
    assert all(asked["fresh"] for asked in await blank.value("tokens"))


async def test_after_an_erasure_the_next_token_is_waited_for_and_the_erasure_is_said(blank: Page, shop: Shop) -> None:
    await as_new(blank, shop, shop="waits")
    # The first one of somebody new.
    fails = "if (path === '/demo/token' && tokens.length === 2) return Promise.reject(new TypeError('no'));"
    await before_scripts(blank, COUNTED.replace("return real", f"{fails} return real"))
    await blank.goto(shop.url + "/")
    await blank.wait(TILES)
    await blank.click("#forget")
    await blank.wait("document.querySelector('#said').textContent.startsWith('Forgotten. You are somebody new.')")
    await blank.wait("tokens.length >= 3 && document.querySelector('#panel .link').dataset.state === 'connected'")
    await blank.wait(TILES)
    assert [asked.get("fresh") for asked in await blank.value("tokens")] == [None, True, True]
    await blank.wait("document.querySelector('#said').textContent.includes('Receipt')")


async def test_a_page_whose_token_ran_out_asks_for_another_and_shows_what_it_was_to_show(
    blank: Page, shop: Shop
) -> None:
    names = await as_new(blank, shop, shop="slept")
    old = Authority(shop.local.settings).issue(f"demo-{names['shop']}", None, time.time() - 86_400)
    answer = f'new Response(\'{{"token": "{old}"}}\')'
    slept = f"if (path === '/demo/token' && tokens.length === 1) return Promise.resolve({answer});"
    await before_scripts(blank, COUNTED.replace("return real", f"{slept} return real"))
    await blank.goto(shop.url + "/product/camp-0001")
    await blank.wait("document.querySelector('#view h1')?.textContent.length > 3")
    assert await text(blank, "#view h1") != "Not here"
    await blank.wait("document.querySelector('#panel .link').dataset.state === 'connected'")


async def test_a_browser_that_keeps_nothing_is_served(blank: Page, shop: Shop) -> None:
    refuse = "{get() { throw new DOMException('no', 'SecurityError'); }}"
    await before_scripts(
        blank, f"for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, {refuse});"
    )
    await blank.goto(shop.url + "/")
    await blank.wait(TILES)
    await blank.click("#for-you li a")
    await blank.click(".buying button")
    await blank.wait("document.querySelector('#cart-count').textContent === '1'")
    await blank.wait("document.querySelector('#known').textContent.startsWith('Kept of you')")
    assert blank.complaints == []


async def test_departments_that_did_not_come_are_asked_for_again(blank: Page, shop: Shop) -> None:
    await before_scripts(
        blank,
        "{ const real = fetch; let asked = 0; globalThis.fetch = (path, how) => path === '/demo/categories' &&"
        " asked++ === 0 ? Promise.reject(new TypeError('Failed to fetch')) : real(path, how); }",
    )
    await blank.goto(shop.url + "/")
    await blank.wait("document.querySelectorAll('#departments a').length >= 12")
    await blank.wait("!document.querySelector('#search').hidden")


async def test_a_view_that_could_not_be_had_comes_when_the_server_is_back(blank: Page, shop: Shop) -> None:
    await as_new(blank, shop, shop="lost")
    await blank.goto(shop.url + "/")
    await blank.wait(TILES)
    await blank.wait("document.querySelectorAll('#departments a').length >= 12")
    await shop.front.kill()
    try:
        await blank.click("#departments a:not(.apart)")
        await blank.wait("document.querySelector('#view h1')?.textContent === 'Back in a moment'")
        await blank.value("document.querySelector('#view button').focus()")
        await blank.press("Enter")
        assert "Failed to fetch" not in await text(blank, "#view")
        await keep_picture(blank, "1280-away")
    finally:
        await shop.front.open()
    await blank.wait("document.querySelectorAll('#view .tile').length >= 12")
    assert await text(blank, "#view h1") == "Audio"


@pytest_asyncio.fixture(loop_scope="module")
async def stage(tmp_path: Path) -> Local:
    """What a web process and a worker would share."""
    await threads_ready()
    settings = loop_settings(tmp_path, demo=True, strategy={})
    log, database = MemoryLog(), MemoryDatabase()
    await log.create(topics(settings))
    await database.put_items(demo_catalog(size=120))
    return cast(Local, SimpleNamespace(settings=settings, log=log, exchange=MemoryExchange(), database=database))


async def test_lists_and_searches_that_wait_for_a_worker_say_so_and_come_with_it(
    blank: Page, browser: Connection, stage: Local
) -> None:
    front = Front(stage)
    await front.open()
    try:
        url = f"http://127.0.0.1:{front.port}"
        async with tab(browser) as other:
            await blank.goto(url + "/")
            await other.goto(url + "/search?q=tent")
            await blank.wait("document.querySelector('#away').textContent === 'Lists come back in a moment.'")
            assert await blank.value("document.querySelector('#for-you').dataset.state") == "waiting"
            for width, height in ((1280, 800), (390, 844)):
                await blank.resize(width, height, mobile=width < 400)
                assert await too_wide(blank, width) == []
                await keep_picture(blank, f"{width}-waiting")
            assert await violations(blank) == []
            await other.wait("document.querySelector('#view .lead').textContent.startsWith('Search is away')")
            assert await text(other, "#view .more") == "Try again"
            await keep_picture(other, "1280-search-away")
            async with local_worker(
                stage.settings, [], log=stage.log, database=stage.database, exchange=stage.exchange
            ):
                await blank.wait(TILES)
                assert await text(blank, "#away") == ""
                await other.wait(FOUND)
                assert " products." in await text(other, "#view .lead")
                assert await other.value("document.querySelector('#view .more').textContent") == "Show more"
                await front.close()
    finally:
        await front.close()
