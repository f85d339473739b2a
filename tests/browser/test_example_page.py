"""The page of examples/page, served by its own backend, against a real server: the list follows the clicks."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from aiohttp import web

from tests.browser.chromium import chromium, tab
from tests.browser.seeing import state_of
from tests.browser.shop import open_shop
from tests.browser.test_docs_page import free_socket

pytestmark = [pytest.mark.needs_chromium, pytest.mark.timeout(120)]

SERVE = Path(__file__).resolve().parents[2] / "examples/page/serve.py"


async def test_a_click_on_the_page_leads_to_the_product_and_moves_the_list(tmp_path: Path) -> None:
    at = free_socket()
    origin = f"http://127.0.0.1:{at.getsockname()[1]}"
    async with (
        open_shop(tmp_path, events=300, allowed_origins=[origin]) as shop,
        chromium() as browser,
        tab(browser) as page,
    ):
        runner = web.AppRunner(runpy.run_path(str(SERVE))["make_app"](shop.url, "key", "ana"), shutdown_timeout=0.2)
        await runner.setup()
        await web.SockSite(runner, at).start()
        try:
            await page.goto(origin + "/")
            await page.wait("document.querySelectorAll('shunxi-list li').length === 8")
            first = await page.value("document.querySelector('shunxi-list').slate.items[0].item_id")
            await page.goto(f"{origin}/p/{first}")
            await page.wait("document.querySelectorAll('shunxi-list li').length === 8")
            state = await state_of(shop, "ana", lambda state: state.history)
            assert [(touch.item_id, touch.action) for touch in state.history] == [(first, "view_item")]
            await page.wait("document.querySelector('shunxi-list').slate.version > 1")
            assert await page.value("document.querySelector('#here').textContent") == f"You look at {first}."
        finally:
            await runner.cleanup()
