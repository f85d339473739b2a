"""GET /console and its files: the page an engineer opens. It holds nothing of anybody; what it shows it asks for with
the API key that is typed into it.

Invariants: no script or style runs that is not a file of ours, nothing is loaded from elsewhere or sent there; only
the files listed below leave the folder.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from aiohttp import web

from rec.errors import NotFound
from web.assets import load, send
from web.parsing import path_of

PAGES = Path(__file__).parent / "pages"
OWN = (
    "api.js", "app.js", "catalog.js", "console.css", "console.html", "dead.js", "fates.js", "figures.js", "lists.js",
    "model.js", "overview.js", "parts.js", "plot.js", "results.js", "rules.js", "users.js",
)  # fmt: skip
SHARED = ("dom.js", "icon.svg", "style.css", "words.js")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self'; style-src 'self'; "
    "script-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_ASSETS = {**load(PAGES / "console", OWN), **load(PAGES, SHARED)}


class _FilePath(msgspec.Struct, frozen=True):
    name: str


async def get_page(request: web.Request) -> web.Response:
    """The page."""
    return send(request, _ASSETS["console.html"], HEADERS)


async def get_file(request: web.Request) -> web.Response:
    """One of its files."""
    name = path_of(request, _FilePath).name
    if name not in _ASSETS or name == "console.html":
        raise NotFound("There is no such file.", code="no_such_address")
    return send(request, _ASSETS[name], HEADERS)
