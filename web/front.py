"""client → **front** → handlers → front → client. What holds for every request: JSON errors, timing, safe headers.

Invariants: no answer, but to HEAD, is without a body that says what to do; an unexpected error shows an id and no
details; nothing that is logged or counted holds a query string, a path's ids, or an exception's words (they may quote
a user).
"""

from __future__ import annotations

import logging
import math
import secrets
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import hdrs, web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.typedefs import Handler, Middleware

from rec.errors import BadInput, NotFound, RecError, TooLarge, Unauthorized
from rec.logs import discreet
from rec.protocol import MAX_BODY_BYTES
from web.metrics import Metrics
from web.origins import preflight, readable

log = logging.getLogger(__name__)

# The page for who came to no address of ours.
LOST: web.AppKey[Callable[[web.Request], web.Response]] = web.AppKey("lost")

_encode = msgspec.json.Encoder().encode
_STREAMS = frozenset(("/v1/ws", "/v1/sse"))  # they last; their time is no latency


def answer(body: object, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Anything msgspec can encode, as JSON."""
    raw = body if isinstance(body, bytes) else _encode(body)
    return web.Response(body=raw, status=status, headers=headers, content_type="application/json")


def error_answer(error: RecError) -> web.Response:
    """{"error":{code, message, temporary, …}} with the status and the headers that belong to it."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    if error.temporary:
        headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(error.retry_after or 1)))
    return answer({"error": error.as_dict()}, error.http_status, headers)


def front(metrics: Metrics, origins: frozenset[str]) -> Middleware:
    """The one middleware: a connection that stays open keeps its frame, so there are no more of them."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        try:
            response = preflight(request, origins) or await handler(request)
        except RecError as error:
            response = error_answer(error)
        except web.HTTPException as error:
            response = _http_error(request, error)
        except ConnectionError:
            raise  # the client went away while it was answered: nobody is left to tell
        except Exception as error:  # noqa: BLE001  the last net: an id for the client, the stack for the log
            response = _unexpected(request, error)
        if response.status >= 400 and request.content.exception() is not None:
            response.force_close()  # aiohttp closes after a body that it could not read: who sends next must know
        route = route_of(request)
        if route not in _STREAMS or response.status >= 400:
            metrics.http.labels(route, str(response.status)).observe(time.perf_counter() - started)
        return response

    return middleware


def _http_error(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own errors in our form; redirects and the like pass."""
    if error.status < 400:
        raise error
    if isinstance(error, web.HTTPRequestEntityTooLarge):
        message = f"The body is too large. Send at most {MAX_BODY_BYTES} bytes, the rest in another request."
        return error_answer(TooLarge(message))
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        response = error_answer(BadInput(f"{request.method} is not possible here. Try {allowed}.", code="bad_method"))
        response.set_status(405)
        response.headers[hdrs.ALLOW] = allowed
        return response
    if isinstance(error, web.HTTPNotFound):
        if LOST in request.app and request.method in (hdrs.METH_GET, hdrs.METH_HEAD) and wants_page(request):
            return request.app[LOST](request)
        return error_answer(NotFound("There is no such address. See /openapi.json.", code="no_such_address"))
    response = error_answer(BadInput(error.reason, code="bad_request"))
    response.set_status(error.status)
    return response


def wants_page(request: web.Request) -> bool:
    """Whether a person's browser asks: it says that it reads HTML; a program's "*/*" means JSON here."""
    return "text/html" in request.headers.get(hdrs.ACCEPT, "").lower()


def _unexpected(request: web.Request, error: Exception) -> web.Response:
    error_id = secrets.token_hex(6)
    log.error("error %s at %s: %s", error_id, route_of(request), discreet(error))
    body = RecError(f"Something broke here. The log has it under {error_id}.").as_dict()
    return answer({"error": {**body, "error_id": error_id}}, 500)


class Discreet(logging.Filter):
    """For aiohttp's own logger: what it says of a request that it could not read quotes the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1] is not None:
            record.msg, record.args = f"{record.levelname.lower()} in aiohttp: {discreet(record.exc_info[1])}", ()
            record.exc_info = record.exc_text = None
        return True


def route_of(request: web.BaseRequest) -> str:
    """The pattern that matched, never the path itself: /v1/users/{user_id}."""
    try:
        resource = request.match_info.route.resource if isinstance(request, web.Request) else None
    except AssertionError:  # what was no HTTP never came to the router; aiohttp asserts that it did
        resource = None
    return resource.canonical if resource is not None else "unmatched"


def safe_headers(origins: frozenset[str]) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """A signal handler that sets what every answer has: no sniffing of types, no caching, CORS for the allowlist."""

    async def prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        if origins:
            response.headers.setdefault("Vary", "Origin")
            response.headers.update(readable(request, origins))

    return prepare


class AccessLog(AbstractAccessLogger):
    """One line a request: method, route, status, bytes, milliseconds."""

    @property
    def enabled(self) -> bool:
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        milliseconds = time * 1e3
        self.logger.info(
            "%s %s %d %d B %.1f ms",
            request.method,
            route_of(request),
            response.status,
            response.body_length,
            milliseconds,
        )
