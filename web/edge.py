"""What handlers work with: the parts of one edge process, wired once in `web.app`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from rec.config import Settings
from rec.errors import RateLimited
from rec.ports import Database, Exchange, Log
from web.admission import Admission
from web.asker import Asker
from web.auth import Authority, Identity
from web.hub import Hub
from web.intake import Intake
from web.limits import Buckets
from web.metrics import Metrics
from web.suppression import Suppression


class Edge(NamedTuple):
    """One edge process. `clock` is wall time, seconds since 1970."""

    settings: Settings
    log: Log
    exchange: Exchange
    database: Database
    clock: Callable[[], float]
    metrics: Metrics
    authority: Authority
    admission: Admission
    hub: Hub
    questions: Buckets  # of each browser's user: lists and searches asked for over HTTP
    deliveries: Buckets  # of each browser's user: events sent over HTTP
    asker: Asker
    suppression: Suppression
    intake: Intake

    def identify(self, request: web.Request) -> Identity:
        """Who sent this request. Raises Unauthorized."""
        return self.authority.identify(request, self.clock())

    def may_ask(self, who: Identity) -> None:
        """Count one question. A backend asks for many users, and its key is trusted. Raises RateLimited."""
        _not_too_often(self.questions, who)

    def may_send(self, who: Identity) -> None:
        """Count one request with events, as `may_ask` does: what a browser sends takes nothing from what it asks."""
        _not_too_often(self.deliveries, who)

    def backend_only(self, request: web.Request) -> None:
        """Raises Unauthorized, or Forbidden for a browser's token."""
        self.authority.backend(request, self.clock())


def _not_too_often(taken: Buckets, who: Identity) -> None:
    if who.user_id is None:
        return
    if wait := taken.take(who.user_id, asyncio.get_running_loop().time()):
        raise RateLimited(f"Too many requests. Wait {wait:.2g} s.", retry_after=round(wait, 3))


EDGE = web.AppKey("edge", Edge)
BACKEND_ACTOR = "api key"  # who does it, in the audit trail: all backends have the same key
