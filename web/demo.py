"""The two-shoppers page: its files, pictures of its products, and tokens for its shoppers. Only with REC_DEMO.

Invariant: nothing here names a user who is not a demo shopper, and no page runs a script that is not a file of ours.
"""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import msgspec
from aiohttp import hdrs, web

from rec.errors import Forbidden, NotFound
from web.edge import EDGE
from web.front import answer
from web.origins import is_own
from web.parsing import ItemPath, body_of, path_of

PAGES = Path(__file__).parent / "pages"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


class _Shopper(msgspec.Struct, frozen=True):
    shopper: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,32}$")]


def add_demo(app: web.Application) -> None:
    """Routes of the page."""
    app.router.add_get("/", get_page, allow_head=False)
    app.router.add_static("/static", PAGES, append_version=False)
    app.router.add_get("/pictures/{item_id}.svg", get_picture, allow_head=False)
    app.router.add_post("/demo/token", post_demo_token)


async def get_page(request: web.Request) -> web.StreamResponse:
    """The page, under a policy that lets it load only what this server sends."""
    return web.FileResponse(
        PAGES / "index.html",
        headers={
            "Content-Security-Policy": _PAGE_POLICY,
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-cache",
        },
    )


async def get_picture(request: web.Request) -> web.Response:
    """The drawing of a product. It may hold styles, but nothing that runs or loads."""
    from rec.demo.pictures import picture

    item = await request.app[EDGE].database.get_item(path_of(request, ItemPath).item_id)
    if item is None:
        raise NotFound("There is no such item.", code="unknown_item", field="item_id")
    headers = {"Content-Security-Policy": _PICTURE_POLICY, "Cache-Control": "max-age=300"}
    return web.Response(text=picture(item), content_type="image/svg+xml", headers=headers)


async def post_demo_token(request: web.Request) -> web.Response:
    """A token for `demo-<shopper>`, for the page itself and for this machine."""
    edge = request.app[EDGE]
    origin = request.headers.get(hdrs.ORIGIN)
    welcome = _is_loopback(request.remote) if origin is None else is_own(origin, request.host)
    if not welcome:
        raise Forbidden("Demo tokens are for the demo page and for this machine.", code="foreign_origin")
    user_id = f"demo-{(await body_of(request, _Shopper)).shopper}"
    token = edge.authority.issue(user_id, None, edge.clock())
    return answer({"token": token, "user_id": user_id, "token_type": "Bearer", "expires_in": edge.authority.ttl_s})


def _is_loopback(remote: str | None) -> bool:
    try:
        return ip_address(remote or "").is_loopback
    except ValueError:
        return False
