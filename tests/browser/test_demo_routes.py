"""What the demo page is served with: its files and no others, strict headers, shelves, pictures, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import aiohttp
import pytest
import pytest_asyncio

import web.sdk
from rec.catalog import Item
from rec.demo.world import demo_catalog
from rec.store.memory_db import MemoryDatabase
from tests.browser.conftest import NASTY, threads_ready
from tests.browser.seeing import state_of
from tests.browser.shop import Shop, open_shop
from web.assets import KINDS
from web.demo import FILES, PAGES
from web.sdk import NAME
from web.shelf import Shelf

SDK = Path(web.sdk.__file__).parent


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    await threads_ready()
    nasty = Item(item_id="nasty-1", title=NASTY, category="Camping")
    async with open_shop(tmp_path_factory.mktemp("shop"), more=[nasty], events=50) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def http(shop: Shop) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(shop.url) as session:
        yield session


async def body(http: aiohttp.ClientSession, path: str, status: int = 200) -> Any:
    async with http.get(path) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def test_an_address_that_is_none_is_a_page_for_people_and_json_for_programs(http: aiohttp.ClientSession) -> None:
    browser = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    for method in ("GET", "HEAD"):
        async with http.request(method, "/nosuch", headers=browser) as response:
            assert (response.status, response.content_type) == (404, "text/html")
            assert "script-src 'self'" in response.headers["Content-Security-Policy"]
            assert "Accept," in response.headers["Vary"]
            tag = response.headers["ETag"]
    async with http.get("/nosuch", headers={**browser, "If-None-Match": tag}) as response:
        assert response.status == 404
    for accept in ("*/*", "application/json"):
        async with http.get("/nosuch", headers={"Accept": accept}) as response:
            assert response.status == 404
            assert (await response.json())["error"]["code"] == "no_such_address"
    async with http.post("/nosuch", headers=browser) as response:
        assert (response.status, response.content_type) == (404, "application/json")
    async with http.get("/v1/events", headers=browser) as response:  # there is one, but not for GET
        assert (response.status, response.content_type) == (405, "application/json")


class _Markup(HTMLParser):
    """Gathers what a strict policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.loads: list[str] = []
        self._script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if tag == "style":
            self.inline.append(tag)
        for name, value in attrs:
            if name == "style" or name.startswith("on"):
                self.inline.append(f"{tag} {name}")
            if name in ("src", "href") and tag != "a":
                self.loads.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append("script")

    def handle_endtag(self, tag: str) -> None:
        self._script = False


@pytest.mark.parametrize("path", ["/", "/product/camp-0001", "/department/Camping", "/cart", "/search", "/two"])
async def test_a_page_holds_no_inline_script_or_style_and_loads_from_here_alone(
    http: aiohttp.ClientSession, path: str
) -> None:
    async with http.get(path) as response:
        assert response.status == 200
        assert response.content_type == "text/html"
        policy = response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        markup = _Markup()
        markup.feed(await response.text())
    for rule in (
        "default-src 'self'",
        "script-src 'self'",
        "style-src 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert markup.inline == []
    assert markup.loads
    for load in markup.loads:
        async with http.get(load) as response:
            assert response.status == 200, load


async def test_every_file_of_the_page_is_served_with_its_type_and_asked_about_again(
    http: aiohttp.ClientSession,
) -> None:
    assert {path.name for path in PAGES.iterdir() if path.is_file()} == {*FILES, "shop.html", "two.html"}
    for name in FILES:
        kind = KINDS[Path(name).suffix]
        async with http.get(f"/static/{name}") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == f"{kind}; charset=utf-8"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-cache"
            tag = response.headers["ETag"]
        async with http.get(f"/static/{name}", headers={"If-None-Match": tag}) as response:
            assert response.status == 304


@pytest.mark.parametrize("name", ["shop.html", "../demo.py", "..%2Fdemo.py", "%2e%2e/app.py", "no.js", ""])
async def test_nothing_but_those_files_leaves_the_folder(http: aiohttp.ClientSession, name: str) -> None:
    from yarl import URL

    async with http.get(URL(f"/static/{name}", encoded=True)) as response:
        assert response.status == 404
        assert (await response.json())["error"]["code"] == "no_such_address"


async def test_no_script_of_the_page_writes_markup() -> None:  # as the others: a mark holds for the file
    for path in [*PAGES.glob("*.js"), SDK / NAME]:
        source = path.read_text()
        for risky in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "http://",
        ):
            assert risky not in source, f"{path.name}: {risky}"


async def test_a_picture_is_an_svg_that_can_do_nothing(http: aiohttp.ClientSession) -> None:
    async with http.get("/pictures/camp-0001.svg") as response:
        assert response.status == 200
        assert response.content_type == "image/svg+xml"
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        ElementTree.fromstring(await response.text())
    async with http.get("/pictures/nasty-1.svg") as response:
        assert "<script" not in await response.text()
    assert (await body(http, "/pictures/none-1.svg", 404))["error"]["code"] == "unknown_item"


async def test_the_shelf_knows_every_department(http: aiohttp.ClientSession) -> None:
    found = (await body(http, "/demo/categories"))["categories"]
    assert [entry["name"] for entry in found] == sorted({item.category for item in demo_catalog()})
    assert sum(entry["count"] for entry in found) == sum(item.in_stock for item in demo_catalog()) + 1


async def test_the_shelf_finds_products_by_department_and_by_words(http: aiohttp.ClientSession) -> None:
    camping = (await body(http, "/demo/items?category=Camping&limit=30"))["items"]
    assert {card["category"] for card in camping} == {"Camping"}
    assert len(camping) == 30
    assert {"item_id", "title", "price", "currency", "image_url", "url", "brand", "category"} <= set(camping[0])
    for word in ("tent", "tents", "TENT"):
        tents = (await body(http, f"/demo/items?category=Camping&q={word}"))["items"]
        assert len(tents) == 12
        assert all("tent" in card["title"] for card in tents[:4])
    both = (await body(http, "/demo/items?q=oskelund+tent"))["items"]
    assert both
    assert all(card["brand"] == "Oskelund" for card in both)
    assert (await body(http, "/demo/items?q=no+such+thing"))["items"] == []


async def test_the_shelf_shows_several_kinds_and_nothing_out_of_stock(http: aiohttp.ClientSession) -> None:
    gone = {item.item_id for item in demo_catalog() if not item.in_stock}
    kitchen = [card["item_id"] for card in (await body(http, "/demo/items?category=Kitchen&limit=24"))["items"]]
    families = {item.item_id: item.attributes["family"] for item in demo_catalog()}
    assert len({families[item_id] for item_id in kitchen}) == 6
    assert not gone & set(kitchen)


async def test_the_shelf_follows_the_catalog() -> None:
    moment, database = [0.0], MemoryDatabase()
    await database.put_items([item for item in demo_catalog() if item.category == "Camping"])
    shelf = Shelf(database, lambda: moment[0])
    assert await shelf.find("Camping", "brand-new", 5) == ([], 0)
    await database.put_items([Item(item_id="n-1", title="Brand-new tent", category="Camping")])
    moment[0] += 10
    assert [card["item_id"] for card in (await shelf.find("Camping", "brand-new", 5))[0]] == ["n-1"]
    await database.put_items([Item(item_id="n-1", title="Brand-new tent", category="Camping", in_stock=False)])
    moment[0] += 10
    assert await shelf.find(None, "brand-new", 5) == ([], 0)
    await database.put_items([Item(item_id="n-1", title="Brand-new tent", category="Camping")])
    await database.delete_item("n-1")
    moment[0] += 10
    assert await shelf.find(None, "brand-new", 5) == ([], 0)


@pytest.mark.parametrize("query", ["limit=0", "limit=61", "limit=many", "q=" + "x" * 201, "categori=Camping"])
async def test_a_wrong_question_to_the_shelf_names_what_is_wrong(http: aiohttp.ClientSession, query: str) -> None:
    error = (await body(http, f"/demo/items?{query}", 400))["error"]
    assert query.split("=")[0] in error["message"]


async def test_a_token_is_for_a_demo_shopper_and_a_fresh_one_for_a_new_one_each_time(
    http: aiohttp.ClientSession,
) -> None:
    async def ask(**wanted: object) -> Any:
        async with http.post("/demo/token", json=wanted) as response:
            assert response.status == 200
            return await response.json()

    left = await ask(shopper="left")
    assert left["user_id"] == "demo-left"
    assert left["expires_in"] == 900
    one, two = await ask(shopper="left", fresh=True), await ask(shopper="left", fresh=True)
    assert one["user_id"] != two["user_id"]
    assert one["user_id"].startswith("demo-left-")
    assert (await ask(shopper=one["shopper"]))["user_id"] == one["user_id"]


@pytest.mark.parametrize("shopper", ["", "LEFT", "../x", "a" * 33, 7, None])
async def test_a_token_is_for_nobody_else(http: aiohttp.ClientSession, shopper: object) -> None:
    async with http.post("/demo/token", json={"shopper": shopper}) as response:
        assert response.status == 400


async def test_a_page_of_another_origin_gets_no_token(http: aiohttp.ClientSession) -> None:
    headers = {"Origin": "https://evil.example"}
    async with http.post("/demo/token", json={"shopper": "left"}, headers=headers) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1, 203.0.113.9"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
async def test_who_comes_through_a_proxy_on_this_machine_gets_no_token(
    http: aiohttp.ClientSession, headers: dict[str, str]
) -> None:
    async with http.post("/demo/token", json={"shopper": "left"}, headers=headers) as response:
        assert response.status == 403
    async with http.post("/demo/token", json={"shopper": "left"}, headers={"X-Forwarded-For": "::1"}) as response:
        assert response.status == 200


# ------------------------------------------------------------------ the SDK, and what the system sees
async def test_the_sdk_is_served_to_pages_of_any_origin_and_packed(http: aiohttp.ClientSession) -> None:
    source = (SDK / NAME).read_bytes()
    headers = {"Origin": "https://shop.example", "Accept-Encoding": "gzip"}
    async with http.get("/shunxi.js", headers=headers) as response:
        assert await response.read() == source
        assert response.headers["Content-Type"] == "text/javascript; charset=utf-8"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
        assert response.headers["Content-Encoding"] == "gzip"
        assert int(response.headers["Content-Length"]) <= 10_000
        assert "Accept-Encoding" in response.headers["Vary"]
        tag = response.headers["ETag"]
    async with http.get("/shunxi.js", headers={"If-None-Match": tag}) as response:
        assert response.status == 304
    async with http.get("/shunxi.js", headers={"Accept-Encoding": "identity"}) as response:
        assert "Content-Encoding" not in response.headers
        assert await response.read() == source


async def bearer(http: aiohttp.ClientSession, shopper: str) -> dict[str, str]:
    async with http.post("/demo/token", json={"shopper": shopper}) as response:
        return {"Authorization": f"Bearer {(await response.json())['token']}"}


async def test_a_shopper_sees_what_is_kept_of_them_and_can_end_it(http: aiohttp.ClientSession, shop: Shop) -> None:
    me = await bearer(http, "zoe")
    async with http.get("/demo/me", headers=me) as response:
        nothing = await response.json()
    assert (nothing["events"], nothing["interests"], nothing["consent"]) == (0, [], None)
    items = [{"item_id": "camp-0001"}]
    events = [
        {"event": name, "event_id": f"e-{name}", "user_id": "demo-zoe", "items": items}
        for name in ("view_item", "add_to_cart")
    ]
    async with http.post("/v1/events", json={"events": events}, headers=me) as response:
        assert (await response.json())["accepted"] == 2
    await state_of(shop, "demo-zoe", lambda state: state.applied == 2)
    async with http.get("/demo/me", headers=me) as response:
        seen = await response.json()
    assert (seen["events"], seen["cart"], seen["half_life_s"]) == (2, ["camp-0001"], 1_800)
    [interest] = seen["interests"]
    assert interest["name"] == "Camping"
    assert 3.9 < interest["now"] <= 4.0
    async with http.post("/demo/forget", headers=me) as response:
        assert response.status == 202
        receipt = await response.json()
    assert "connections" in [step["store"] for step in receipt["steps"]]
    async with http.get(f"/demo/erasures/{receipt['erasure_id']}") as response:
        assert (await response.json())["erasure_id"] == receipt["erasure_id"]
    [entry] = [entry for entry in await shop.local.database.recent() if entry["action"] == "erase user"]
    assert entry["actor"] == "demo shopper"


async def test_nobody_but_a_demo_shopper_is_shown_or_ended_there(http: aiohttp.ClientSession, shop: Shop) -> None:
    before = await shop.local.database.erasures()
    async with http.post("/v1/tokens", json={"user_id": "u1"}, headers={"Authorization": "Bearer key"}) as response:
        other = {"Authorization": f"Bearer {(await response.json())['token']}"}
    for headers, status in ((other, 403), ({"Authorization": "Bearer key"}, 403), ({}, 401)):
        async with http.get("/demo/me", headers=headers) as response:
            assert response.status == status
        async with http.post("/demo/forget", headers=headers) as response:
            assert response.status == status
    assert (await body(http, f"/demo/erasures/{'0' * 32}", 404))["error"]["code"] == "unknown_erasure"
    assert await shop.local.database.erasures() == before
