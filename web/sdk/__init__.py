"""The browser SDK: the npm package in this folder, and GET /shunxi.js, which serves the same file.

Any page may load it: a module of another origin needs CORS, and it holds nothing of anybody.
"""

from __future__ import annotations

from pathlib import Path

from aiohttp import hdrs, web

from web.assets import load, send

NAME = "shunxi.js"
_HEADERS = {hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: "*", "Cross-Origin-Resource-Policy": "cross-origin"}
_SCRIPT = load(Path(__file__).parent, [NAME])[NAME]


async def get_sdk(request: web.Request) -> web.Response:
    """The browser SDK, an ES module."""
    return send(request, _SCRIPT, _HEADERS)
