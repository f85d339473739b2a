"""The demo shop: its pages, pictures of its products, shelves, and tokens for its shoppers. Only with REC_DEMO.

Invariants: nothing here names a user who is not a demo shopper; no page runs a script or takes a style that is not a
file of ours; only the files listed below leave the folder.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from rec.demo.pictures import picture
from rec.errors import Forbidden, NotFound
from web.assets import load, send
from web.edge import EDGE
from web.front import LOST, answer
from web.origins import is_own
from web.parsing import ItemPath, body_of, path_of, query_of
from web.proxies import from_here
from web.shelf import Shelf
from web.storefront import PREFIX, add_storefront

PAGES = Path(__file__).parent / "pages"
FILES = (
    "ask.js",
    "card.js",
    "cart.js",
    "dom.js",
    "facets.js",
    "feed.js",
    "film.js",
    "home.js",
    "icon.svg",
    "panel.js",
    "product.js",
    "router.js",
    "search.js",
    "sees.js",
    "shelf.js",
    "shop.css",
    "shop.js",
    "shopper.js",
    "start.js",
    "stay.js",
    "style.css",
    "ticker.js",
    "two.css",
    "two.js",
    "who.js",
    "words.js",
)
VIEWS = ("/", "/product/{item_id}", "/read/{item_id}", "/department/{name}", "/feed", "/cart", "/search")
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self' ws: wss:; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PICTURE_HEADERS = {"Content-Security-Policy": "default-src 'none'; sandbox", "Cache-Control": "max-age=300"}
SHELF = web.AppKey("shelf", Shelf)
_ASSETS = load(PAGES, ("shop.html", "two.html", *FILES))
SEARCH = "/v1/suggest"  # a server that has this address has search


class _Wanted(msgspec.Struct, frozen=True):
    shopper: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]
    fresh: bool = False


class _Browse(msgspec.Struct, frozen=True):
    category: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=60)] = 12
    offset: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0


class _FilePath(msgspec.Struct, frozen=True):
    name: str


def add_demo(app: web.Application) -> None:
    """Routes of the pages."""
    app[LOST] = get_lost
    app[SHELF] = Shelf(app[EDGE].database, time.monotonic)
    app.router.add_routes(
        [
            *(web.get(path, get_shop) for path in VIEWS),
            web.get("/two", get_two),
            web.get("/static/{name}", get_file),
            web.get("/pictures/{item_id}.svg", get_picture),
            web.get("/demo/categories", get_categories),
            web.get("/demo/items", get_items),
            web.post("/demo/token", post_demo_token),
        ]
    )
    add_storefront(app)


async def get_shop(request: web.Request) -> web.Response:
    """The shop, under a policy that lets it load only what this server sends. The page knows its own addresses."""
    return send(request, _ASSETS["shop.html"], PAGE_HEADERS)


def get_lost(request: web.Request) -> web.Response:
    """The shop for an address that is none: its page says so, and where to go."""
    response = send(request, _ASSETS["shop.html"], PAGE_HEADERS, 404)
    response.headers[hdrs.VARY] = f"{hdrs.ACCEPT}, {hdrs.ACCEPT_ENCODING}"
    return response


async def get_two(request: web.Request) -> web.Response:
    """Two shoppers side by side, under the same policy."""
    return send(request, _ASSETS["two.html"], PAGE_HEADERS)


async def get_file(request: web.Request) -> web.Response:
    """A script, a style or the icon of the pages."""
    name = path_of(request, _FilePath).name
    if name not in FILES:
        raise NotFound("There is no such file.", code="no_such_address")
    return send(request, _ASSETS[name], PAGE_HEADERS)


async def get_picture(request: web.Request) -> web.Response:
    """The drawing of a product. It holds nothing that runs or loads."""
    item = await request.app[EDGE].database.get_item(path_of(request, ItemPath).item_id)
    if item is None:
        raise NotFound("There is no such item.", code="unknown_item", field="item_id")
    return web.Response(text=picture(item), content_type="image/svg+xml", headers=_PICTURE_HEADERS)


async def get_categories(request: web.Request) -> web.Response:
    """The departments with how many products each has; whether there is search, and anything to read or
    to watch; whether products are generated."""
    search = any(resource.canonical == SEARCH for resource in request.app.router.resources())
    shelf = request.app[SHELF]
    departments = await shelf.departments()
    return answer({"categories": departments, "search": search, "generated": shelf.generated, "reading": shelf.reading})


async def get_items(request: web.Request) -> web.Response:
    """Some products of a department, or with some words in their title, to click on; `total`: how many there are."""
    browse = query_of(request, _Browse)
    items, total = await request.app[SHELF].find(browse.category or None, browse.q, browse.limit, browse.offset)
    return answer({"items": items, "total": total})


async def post_demo_token(request: web.Request) -> web.Response:
    """A token for `demo-<shopper>`, for the page itself and for this machine. `fresh`: for one never seen before."""
    edge = request.app[EDGE]
    origin = request.headers.get(hdrs.ORIGIN)
    welcome = from_here(request) if origin is None else is_own(origin, request.host)
    if not welcome:
        raise Forbidden("Demo tokens are for the demo page and for this machine.", code="foreign_origin")
    wanted = await body_of(request, _Wanted)
    shopper = f"{wanted.shopper[:23]}-{secrets.token_hex(4)}" if wanted.fresh else wanted.shopper
    user_id = f"{PREFIX}{shopper}"
    token = edge.authority.issue(user_id, None, edge.clock())
    body = {"token": token, "user_id": user_id, "shopper": shopper, "expires_in": edge.authority.ttl_s}
    return answer({**body, "token_type": "Bearer"})
