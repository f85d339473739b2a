"""client → **admission** → socket, sse. Whether there is room for one more connection that stays open."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rec.config import Settings
from rec.errors import RateLimited, Unavailable
from web.limits import Buckets
from web.origins import check
from web.proxies import client_address

CROWDED_S = 5.0  # a connection that is gone has been noticed by then, or soon after


def silent_at_most(max_connections: int) -> int:
    """How many connections may be open that have not said yet who they are: a tenth, but always some.

    >>> silent_at_most(20_000), silent_at_most(2)
    (2000, 100)
    """
    return max(100, max_connections // 10)


class Admission:
    """Origin, rate per address, number of connections of everybody and of one user.

    `connected` counts those that are open, `of_user` those of one user.
    """

    def __init__(self, settings: Settings, connected: Callable[[], int], of_user: Callable[[str], int]) -> None:
        self._origins, self._most = frozenset(settings.allowed_origins), settings.max_connections
        self._most_of_user = settings.max_connections_per_user
        self._trusted = settings.trusted_proxies
        self._connected, self._of_user = connected, of_user
        self._opening = 0
        self._rates = Buckets(settings.connect_rate_per_s, burst=settings.connect_rate_per_s)

    def check(self, request: web.Request, now: float) -> None:
        """Raises Forbidden (403), RateLimited (429) or Unavailable (503). `now` is the loop's time."""
        check(request, self._origins)
        if wait := self._rates.take(client_address(request, self._trusted), now):
            message = f"Too many new connections from your address. Wait {wait:.2g} s."
            raise RateLimited(message, retry_after=wait)
        if self._connected() + self._opening >= self._most:
            message = f"This server holds {self._most} connections and takes no more. Try again, or another one."
            raise Unavailable(message, code="full", retry_after=5)
        if self._opening >= silent_at_most(self._most):
            message = "Too many connections have not said yet who they are. Try again, and send connect at once."
            raise Unavailable(message, code="full", retry_after=1)

    def welcome(self, user_id: str) -> None:
        """Whether this user may have one more connection here. Raises RateLimited."""
        if self._of_user(user_id) >= self._most_of_user:
            message = f"A user has at most {self._most_of_user} connections here. Close one first."
            raise RateLimited(message, code="too_many_connections", retry_after=CROWDED_S)

    def __enter__(self) -> None:
        """Count a connection that has not said who it is yet."""
        self._opening += 1

    def __exit__(self, *exc: object) -> None:
        self._opening -= 1
