"""bytes that are no request → **runner** → JSON. aiohttp's runner, whose parser refuses as everything else here does.

What the parser cannot read never comes to the application: aiohttp answers it by itself, with plain text that quotes
the request. Invariant: such an answer is in the form of all our errors, quotes nothing, and ends the connection.
"""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.http_exceptions import ContentEncodingError, LineTooLong

from rec.errors import BadInput, RecError, UnknownEncoding
from rec.protocol import MAX_QUERY
from web.front import error_answer
from web.parsing import ENCODING_REMEDY

MAX_FIELD_BYTES = 8190  # of one header
# q, category and brand at their longest, each character four bytes and each of those %XX; and the rest of the line
MAX_LINE_BYTES = 3 * 4 * 3 * MAX_QUERY + MAX_FIELD_BYTES


class Runner(web.AppRunner):
    """As `web.AppRunner`, for an application of `make_app`."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        made.__class__ = _Server  # aiohttp has no other place to say which class speaks to a connection
        return made


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class _Handler(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        error = refusal(exc) if status < 500 else RecError("Something broke here.")
        if not isinstance(error, UnknownEncoding):  # that is no fault of this process: no stack of it in the log
            super().handle_error(request, status, exc, message)  # logs it; raises if an answer is under way already
            error.http_status = status
        response = error_answer(error)
        response.headers.update({"X-Content-Type-Options": "nosniff", hdrs.CACHE_CONTROL: "no-store"})
        response.force_close()
        return response


def refusal(error: BaseException | None) -> BadInput:
    """What is wrong with bytes that aiohttp's parser did not take, without a word of theirs. Pure."""
    if isinstance(error, LineTooLong):
        most = f"at most {MAX_LINE_BYTES} bytes, q in it at most {MAX_QUERY} characters"
        message = f"The request's first line or a header is too long. Send {most}, and headers of {MAX_FIELD_BYTES}."
        return BadInput(message, code="line_too_long")
    if isinstance(error, ContentEncodingError):  # br and zstd, for which aiohttp has no library here
        return UnknownEncoding(ENCODING_REMEDY)
    return BadInput("This is no HTTP request that can be read here. See RFC 9112.", code="not_http")
