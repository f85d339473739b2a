"""One browser and one shop for all tests of a module; a tab, and shoppers, of its own for each test."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest
import pytest_asyncio

from rec.catalog import Item
from tests.browser.chromium import WAIT_S, Connection, Page, chromium, tab
from tests.browser.shop import Shop, open_shop

NASTY = '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"> tent & "quotes"'
_turns = count(1)


async def threads_ready() -> None:
    """The loop's threads are there from the start, and the fixture's: what the worker saves late is no leftover."""
    count = 4
    together = threading.Barrier(count)
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(count, thread_name_prefix="shop"))
    await asyncio.gather(*(loop.run_in_executor(None, together.wait) for _ in range(count)))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """The demo shop, with one product whose title is markup. An answer may take as long as a page waits in these tests:
    one process is worker and web, and shares the cores with the browser and with whatever is tested beside it.
    """
    await threads_ready()
    picture = "/pictures/nasty-1.svg"
    nasty = Item(item_id="nasty-1", title=NASTY, category="Camping", brand="<b>Bold</b>", image_url=picture)
    async with open_shop(tmp_path_factory.mktemp("shop"), more=[nasty], request_timeout_s=WAIT_S) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Connection]:
    async with chromium() as connection:
        yield connection


@pytest_asyncio.fixture(loop_scope="module")
async def blank(browser: Connection) -> AsyncIterator[Page]:
    """An empty tab at desktop size."""
    async with tab(browser) as page:
        yield page


async def as_new(page: Page, shop: Shop, /, **shoppers: str) -> dict[str, str]:
    """Put ids never used before where the pages keep their shoppers': {"left": "left-7"}."""
    turn = next(_turns)
    names = {name: f"{first}-{turn}" for name, first in shoppers.items()}
    await page.goto(shop.url + "/static/icon.svg")  # a page of the same origin without a script
    for name, shopper in names.items():
        await page.value(f"localStorage.setItem('shunxi.shopper.{name}', {json.dumps(shopper)})")
    return names
