"""Wire → **typed errors**: whatever a server, a status or a close code says becomes one class of `rec.errors`.

Pure. Invariant: every answer that is not a success maps to a RecError, and `temporary` is right for retrying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from rec.errors import BadInput, Forbidden, RecError, Unauthorized, Unavailable
from rec.protocol import CloseCode


def _classes(root: type[RecError] = RecError) -> Iterator[type[RecError]]:
    yield root
    for child in root.__subclasses__():
        yield from _classes(child)


_BY_CODE = {cls.code: cls for cls in _classes() if cls.__module__ == "rec.errors"}
# Two classes share a status (500: the root and ModelError): the first of the tree is the general one.
_BY_STATUS = {cls.http_status: cls for cls in reversed(_BY_CODE.values())}


class _Body(msgspec.Struct, frozen=True):
    """An error as the server writes it (`RecError.as_dict`)."""

    code: str = ""
    message: str = ""
    temporary: bool | None = None
    field: str | None = None
    did_you_mean: str | None = None
    retry_after: float | None = None


def from_wire(raw: Mapping[str, Any], status: int | None = None, retry_after: float | None = None) -> RecError:
    """The error of an `{"error":{…}}` frame or of a response with this status.

    >>> error = from_wire({"code": "rate_limited", "message": "slow down", "retry_after": 1.5})
    >>> type(error).__name__, error.temporary, error.retry_after
    ('RateLimited', True, 1.5)
    >>> type(from_wire({"code": "unknown_item", "message": "…"}, status=404)).__name__
    'NotFound'
    """
    try:
        body = msgspec.convert(raw, _Body)
    except msgspec.ValidationError:
        body = _Body(message=str(raw)[:200])
    cls = _BY_CODE.get(body.code) or (_BY_STATUS.get(status) if status else None)
    if cls is None:
        cls = _class_of_family(status, body.temporary)
    error = cls(
        body.message or f"the server answered {status}",
        code=body.code or None,
        field=body.field,
        did_you_mean=body.did_you_mean,
        retry_after=body.retry_after if body.retry_after is not None else retry_after,
    )
    if body.temporary is not None:
        error.temporary = body.temporary
    return error.refused()


def _class_of_family(status: int | None, temporary: bool | None) -> type[RecError]:
    """For a code of the server's own. A frame has no status, and refuses what was sent, or something is away."""
    if status is None:
        return Unavailable if temporary else BadInput
    if 400 <= status < 500:
        return BadInput
    return Unavailable if status > 500 else RecError


def from_response(status: int, body: bytes, headers: Mapping[str, str], now: float) -> RecError:
    """The error of an HTTP response of 400 or more; `now` in seconds since 1970 reads a dated Retry-After.

    A body that is no JSON of ours (a proxy's page) is not quoted: the status says enough.
    """
    try:
        parsed = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = {}
    if isinstance(parsed, dict) and isinstance(parsed.get("error"), dict):
        parsed = parsed["error"]
    return from_wire(parsed if isinstance(parsed, dict) else {}, status, parse_retry_after(headers, now))


def parse_retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds to wait by RFC 9110 §10.2.3: a number or a date; None when absent or unreadable.

    >>> parse_retry_after({"Retry-After": "3"}, 0.0)
    3.0
    >>> parse_retry_after({"Retry-After": "Thu, 01 Jan 1970 00:01:40 GMT"}, 40.0)
    60.0
    """
    value = headers.get("Retry-After", "").strip()
    if not value:
        return None
    try:
        return max(0.0, float(value) if value[0].isdigit() else parsedate_to_datetime(value).timestamp() - now)
    except ValueError:
        return None


_TERMINAL: dict[int, tuple[type[RecError], str, str]] = {
    CloseCode.INVALID_TOKEN: (Unauthorized, "invalid_token", "the server refused the token; get a new one"),
    CloseCode.BAD_REQUEST: (BadInput, "bad_request", "the server could not read a frame; update the client"),
    CloseCode.STALE: (Unauthorized, "stale", "the server saw no connect frame in time"),
    CloseCode.FORCED: (Forbidden, "forced", "the server ended this user's connections; the user may be erased"),
    CloseCode.TOO_MANY: (
        Forbidden,
        "too_many",
        "the client sends faster than it may and did not slow down",
    ),
}


def from_close(code: int, reason: str = "") -> RecError | None:
    """Why a connection that was closed with `code` must not be opened again; None: reconnect.

    4000–4499 and everything that is not ours (1006 and the like): reconnect. 4500–4999: an error.

    >>> from_close(4008), from_close(1006), from_close(4503).code
    (None, None, 'forced')
    """
    if not 4500 <= code <= 4999:
        return None
    cls, name, remedy = _TERMINAL.get(code, (RecError, "closed", "the server closed the connection for good"))
    return cls(f"{remedy} (close code {code}{': ' + reason if reason else ''})", code=name).refused()


def closed() -> BadInput:
    """Of every call on a client after its context was left."""
    return BadInput("this client is closed; make another: async with RecClient(…) as client", code="closed")
