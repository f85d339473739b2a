"""A browser and a shop for each test that asks for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rec.catalog import Item
from tests.browser.chromium import Page, chromium, tab
from tests.browser.shop import Shop, open_shop

NASTY = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"> tent & "quotes"'


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """The demo shop, with one product whose title is markup."""
    picture = "/pictures/nasty-1.svg"
    nasty = Item(item_id="nasty-1", title=NASTY, category="Camping", brand="<b>Bold</b>", image_url=picture)
    async with open_shop(tmp_path, more=[nasty]) as opened:
        yield opened


@pytest.fixture
async def page(shop: Shop) -> AsyncIterator[Page]:
    """The demo page at desktop size, with both lists shown."""
    async with chromium() as browser, tab(browser) as opened:
        await opened.goto(shop.url + "/")
        await opened.wait("document.querySelectorAll('.list .card').length >= 20")
        await opened.wait("document.querySelectorAll('.shelf button').length >= 10")
        yield opened
