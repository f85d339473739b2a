"""client → **origins** → handlers. Which browser pages may talk to the edge: its own, and an exact allowlist.

aiohttp checks no Origin, so a page elsewhere could open a socket (CWE-1385). Requests without Origin come from no
browser; they pass, because the token is what authenticates. Pure.
"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from rec.errors import Forbidden

_ALLOW = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID",
    "Access-Control-Max-Age": "600",
}
_EXPOSE = {"Access-Control-Expose-Headers": "Retry-After, Shunxi-Stale"}


def allowed(origin: str | None, host: str, origins: Collection[str]) -> bool:
    """Whether a page of this origin may come in. `host` is the server's own, with port.

    >>> allowed("https://shop.example", "api.example", ["https://shop.example"]), allowed(None, "api.example", [])
    (True, True)
    >>> allowed("https://evil.example", "api.example", []), allowed("null", "api.example", [])
    (False, False)
    """
    return origin is None or origin in origins or is_own(origin, host)


def is_own(origin: str, host: str) -> bool:
    """Whether the page was served from here. Either scheme: a proxy may have ended TLS."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(host) and parts.netloc.lower() == host.lower()


def check(request: web.Request, origins: Collection[str]) -> None:
    """Raises Forbidden for a browser page that is not welcome."""
    if not allowed(request.headers.get(hdrs.ORIGIN), request.host, origins):
        raise Forbidden(
            "Pages of this origin may not connect. Add it to REC_ALLOWED_ORIGINS, scheme and port included.",
            code="foreign_origin",
        )


def preflight(request: web.Request, origins: Collection[str]) -> web.Response | None:
    """The answer to a browser that asks whether its page may send a request (Fetch standard), if this is one."""
    if request.method != hdrs.METH_OPTIONS or hdrs.ACCESS_CONTROL_REQUEST_METHOD not in request.headers:
        return None
    return web.Response(status=204, headers=_ALLOW) if request.headers.get(hdrs.ORIGIN) in origins else None


def readable(request: web.BaseRequest, origins: Collection[str]) -> dict[str, str]:
    """Headers that let an allowed page of another origin read the answer. Cookies are not used."""
    origin = request.headers.get(hdrs.ORIGIN)
    return {**_EXPOSE, "Access-Control-Allow-Origin": origin} if origin is not None and origin in origins else {}
