"""The plain page of docs/browser.md, as it stands there, on a shop of another origin, against the real server."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from tests.browser.chromium import chromium, tab
from tests.browser.seeing import state_of, violations
from tests.browser.shop import Shop, open_shop

pytestmark = [pytest.mark.needs_chromium, pytest.mark.timeout(120)]

DOCS = Path(__file__).resolve().parents[2] / "docs/browser.md"


def the_page(url: str) -> str:
    found = re.search(r"^```html\n(.*?)^```", DOCS.read_text(), re.M | re.S)
    assert found
    page = found[1]
    assert "https://recommend.example" in page
    return page.replace("https://recommend.example", url)


def free_socket() -> socket.socket:
    made = socket.create_server(("127.0.0.1", 0))
    made.setblocking(False)
    return made


@contextlib.asynccontextmanager
async def backend(shop: Shop, at: socket.socket) -> AsyncIterator[str]:
    """What a shop has of its own: the page, and a way to a token, with the API key."""

    async def page(request: web.Request) -> web.Response:
        policy = f"default-src 'self'; script-src 'self' 'unsafe-inline' {shop.url}; img-src *; connect-src 'self' "
        policy += f"{shop.url} {shop.url.replace('http', 'ws')}"
        headers = {"Content-Security-Policy": policy}
        return web.Response(text=the_page(shop.url), content_type="text/html", headers=headers)

    async def token(request: web.Request) -> web.Response:
        headers = {"Authorization": "Bearer key"}
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(f"{shop.url}/v1/tokens", json={"user_id": "nina"}) as answer,
        ):
            return web.json_response(await answer.json())

    app = web.Application()
    app.router.add_routes([web.get("/", page), web.get("/shunxi-token", token)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.SockSite(runner, at).start()
    try:
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
    finally:
        await runner.cleanup()


async def test_the_page_of_the_docs_shows_a_live_list_on_another_origin(tmp_path: Path) -> None:
    at = free_socket()
    origin = f"http://127.0.0.1:{at.getsockname()[1]}"
    async with (
        open_shop(tmp_path, events=300, allowed_origins=[origin]) as shop,
        backend(shop, at) as url,
        chromium() as browser,
        tab(browser) as page,
    ):
        await page.goto(url + "/")
        await page.wait("document.querySelectorAll('shunxi-list li').length === 8")
        before = await page.value("document.querySelector('shunxi-list').slate")
        second = before["items"][1]["item_id"]
        await page.value("document.addEventListener('shunxi-click', (event) => event.preventDefault())")
        await page.click(f"li[data-item-id='{second}'] a")
        await page.wait(f"document.querySelector('shunxi-list').slate.version > {before['version']}")
        state = await state_of(shop, "nina", lambda state: state.history)
        assert [(touch.item_id, touch.action) for touch in state.history] == [(second, "select_item")]
        assert {seen.times for seen in (await state_of(shop, "nina", lambda state: state.shown)).shown.values()} == {1}
        serious = [found for found in await violations(page) if found["impact"] in ("serious", "critical")]
        assert serious == []
        await page.value("window.shunxi.track('add_to_cart', {items: [{item_id: '" + second + "', quantity: 1}]}); 0")
        await page.goto(url + "/")  # away, and back: what waited is there
        assert second in (await state_of(shop, "nina", lambda state: state.cart())).cart()
        other = [said for said in page.complaints if "favicon" not in said and "/pictures/" not in said]
        assert other == []  # the demo catalog names its pictures by path, so they are not on this origin
