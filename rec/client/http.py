"""client ──**HTTP**──► web: one call = one typed answer or one RecError, always within the time given.

Invariant: nothing of aiohttp leaves this module; the borders of its errors are in `_translated`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec

from rec.client.checks import check_id
from rec.client.errors import from_response
from rec.errors import BadInput, DeadlineExceeded, NotSupported, RecError, Unavailable
from rec.protocol import SUBPROTOCOL

T = TypeVar("T")
Authorize = Callable[[], Awaitable[str]]  # gives the Authorization header's value

MAX_ANSWER_BYTES = 16 * 1024 * 1024  # a user's whole archive is the largest answer
MAX_PUSH_BYTES = 4 * 1024 * 1024


def check_url(url: str) -> str:
    """The server's address without a trailing slash; BadInput if it is none.

    >>> check_url("http://127.0.0.1:8080/")
    'http://127.0.0.1:8080'
    """
    if not url.startswith(("http://", "https://")) or len(url.split("/")) < 3 or not url.split("/")[2]:
        raise BadInput(f"url: {url!r} is no address; write http://host:port", field="url")
    return url.rstrip("/")


class Http:
    """HTTP calls and websocket handshakes to one server, over one pool of connections."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        *,
        authorize: Authorize,
        timeout_s: float,
        query: Mapping[str, str | int | None] | None = None,
        body: bytes | None = None,
    ) -> T:
        """One request, authorization included, within `timeout_s`; the answer decoded as `answer`."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        params = {name: value for name, value in (query or {}).items() if value is not None}
        async with self._translated(f"{method} {path}", timeout_s):
            headers["Authorization"] = await authorize()
            async with self._session.request(
                method, self.url + path, params=params, data=body, headers=headers, allow_redirects=False
            ) as response:
                raw = await _bounded(response)
                if response.status >= 300:
                    raise from_response(response.status, raw, response.headers, time.time())
        try:
            return msgspec.json.decode(raw or b"null", type=answer)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RecError(
                f"{method} {path}: the answer is not what this client understands ({error}); "
                "is the server of the same version?",
                code="unreadable",
            ) from error

    async def dial(self, timeout_s: float) -> aiohttp.ClientWebSocketResponse:
        """Open the push websocket. Compression stays off: it costs the server memory per connection."""
        async with self._translated("GET /v1/ws", timeout_s):
            socket = await self._session.ws_connect(
                self.url + "/v1/ws",
                protocols=[SUBPROTOCOL],
                compress=0,
                max_msg_size=MAX_PUSH_BYTES,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            )
        if socket.protocol != SUBPROTOCOL:
            await socket.close()
            raise NotSupported(f"{self.url} does not speak {SUBPROTOCOL}", code="subprotocol")
        return socket

    @asynccontextmanager
    async def _translated(self, what: str, timeout_s: float) -> AsyncIterator[None]:
        """Errors of the network as ours. Refusals of a handshake carry a status and no body."""
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError as error:
            raise DeadlineExceeded(f"{what}: no answer from {self.url} within {timeout_s:g} s") from error
        except aiohttp.WSServerHandshakeError as error:
            refused: RecError = from_response(error.status, b"", error.headers or {}, time.time())
            refused.message = f"{what}: the server refused the websocket with status {error.status}"
            refused.args = (refused.message,)
            raise refused from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(f"{what}: cannot reach {self.url} ({error}). Is it running? Start it: rec up") from error
        except (ValueError, TypeError, RuntimeError) as error:  # of aiohttp, about what it was to send
            raise RecError(f"{what}: the request could not be made ({error})") from error


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or Unavailable when it is larger than any answer of ours."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise RecError(f"the answer is larger than {MAX_ANSWER_BYTES} bytes", code="unreadable")
        chunks.append(chunk)
    return b"".join(chunks)


def encode(body: Any) -> bytes:
    """A request's body as JSON."""
    return msgspec.json.encode(body)


def path_to(before: str, value: str, field: str) -> str:
    """A path whose last part is an id, whatever is in it."""
    return f"{before}/{quote(check_id(value, field), safe='')}"
