"""What handlers work with: the parts of one edge process, wired once in `web.app`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aiohttp import web

from rec.config import Settings
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
    asker: Asker
    suppression: Suppression
    intake: Intake

    def identify(self, request: web.Request) -> Identity:
        """Who sent this request. Raises Unauthorized."""
        return self.authority.identify(request, self.clock())

    def backend_only(self, request: web.Request) -> None:
        """Raises Unauthorized, or Forbidden for a browser's token."""
        self.authority.backend(request, self.clock())


EDGE = web.AppKey("edge", Edge)
BACKEND_ACTOR = "api key"  # who does it, in the audit trail: all backends have the same key
