"""client → **admission** → socket, sse. Whether there is room for one more connection that stays open."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rec.config import Settings
from rec.errors import RateLimited, Unavailable
from web.limits import Buckets
from web.origins import check


class Admission:
    """Origin, rate per address, and number of connections; `connected` counts those that are open."""

    def __init__(self, settings: Settings, connected: Callable[[], int]) -> None:
        self._origins, self._most = frozenset(settings.allowed_origins), settings.max_connections
        self._connected = connected
        self._opening = 0
        self._rates = Buckets(settings.connect_rate_per_s, burst=settings.connect_rate_per_s)

    def check(self, request: web.Request, now: float) -> None:
        """Raises Forbidden (403), RateLimited (429) or Unavailable (503). `now` is the loop's time."""
        check(request, self._origins)
        if wait := self._rates.take(request.remote or "", now):
            message = f"Too many new connections from your address. Wait {wait:.2g} s."
            raise RateLimited(message, retry_after=wait)
        if self._connected() + self._opening >= self._most:
            message = f"This server holds {self._most} connections and takes no more. Try again, or another one."
            raise Unavailable(message, code="full", retry_after=5)

    def __enter__(self) -> None:
        """Count a connection that has not said who it is yet."""
        self._opening += 1

    def __exit__(self, *exc: object) -> None:
        self._opening -= 1
