"""The edge, wired: settings and backends in, an aiohttp application out. Nothing here is global.

Each thing that runs is a context of its own and ends in the reverse order: sockets first, then the loops that fed
them, then the announcements. The backends belong to the caller.
"""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from rec.clock import SharedClock
from rec.config import Settings
from rec.looptime import watch_gaps
from rec.ports import Database, Exchange, Log
from rec.privacy import erasure_secret
from rec.protocol import MAX_BODY_BYTES
from rec.topics import BEHAVIOR, REQUESTS
from rec.vitals import tell
from web.admission import Admission
from web.asker import Asker
from web.auth import Authority
from web.background import running
from web.demo import add_demo
from web.edge import EDGE, Edge
from web.front import front, safe_headers
from web.hub import Hub
from web.intake import Intake
from web.limits import Buckets
from web.metrics import Metrics
from web.routes import add_routes
from web.runner import MAX_FIELD_BYTES, MAX_LINE_BYTES
from web.suppression import Suppression


def make_app(
    settings: Settings,
    log: Log,
    exchange: Exchange,
    database: Database,
    *,
    now: Callable[[], float] = time.time,
    rng: random.Random | None = None,
) -> web.Application:
    """One edge process on connected backends. `now`: wall time, seconds since 1970. Raises ConfigError."""
    edge = _wire(settings, log, exchange, database, now, rng or random.Random())
    origins = frozenset(settings.allowed_origins)
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[front(edge.metrics, origins)],
        handler_args={"max_line_size": MAX_LINE_BYTES, "max_field_size": MAX_FIELD_BYTES},
    )
    app[EDGE] = edge
    app.on_response_prepare.append(safe_headers(origins))
    app.on_shutdown.append(_close_connections)
    app.cleanup_ctx.extend((_presence, _loops))
    add_routes(app)
    if settings.demo:
        add_demo(app)
    return app


def _wire(
    settings: Settings,
    log: Log,
    exchange: Exchange,
    database: Database,
    now: Callable[[], float],
    rng: random.Random,
) -> Edge:
    node = f"web-{rng.getrandbits(64):016x}"
    metrics = Metrics()
    hub = Hub(
        exchange,
        metrics,
        node=node,
        send_timeout_s=settings.send_timeout_s,
        clock=now,
        rng=rng,
    )
    suppression = Suppression(erasure_secret(settings), database, lambda user_id: _forced(hub, user_id))
    return Edge(
        settings=settings,
        log=log,
        exchange=exchange,
        database=database,
        clock=now,
        metrics=metrics,
        authority=Authority(settings),
        admission=Admission(settings, hub.__len__, lambda user_id: len(hub.of(user_id))),
        hub=hub,
        questions=Buckets(settings.requests_per_minute / 60, burst=settings.requests_per_minute),
        deliveries=Buckets(settings.requests_per_minute / 60, burst=settings.requests_per_minute),
        asker=Asker(
            log,
            exchange,
            node=node,
            topic=settings.topic(REQUESTS),
            timeout_s=settings.request_timeout_s,
            clock=SharedClock(exchange, now),
        ),
        suppression=suppression,
        intake=Intake(
            log,
            exchange,
            suppression,
            metrics,
            topic=settings.topic(BEHAVIOR),
            dedupe_window_s=settings.dedupe_window_s,
            clock=now,
        ),
    )


def _forced(hub: Hub, user_id: str) -> None:
    hub.close_user(user_id, "erased")


async def _presence(app: web.Application) -> AsyncIterator[None]:
    """Nobody is announced here before the start, nor after the end."""
    presence = app[EDGE].hub.presence
    yield
    await presence.retire()


async def _loops(app: web.Application) -> AsyncIterator[None]:
    """Everything that runs beside the requests."""
    edge = app[EDGE]
    await edge.suppression.refresh()
    async with running(
        edge.metrics,
        pushes=edge.hub.follow,
        resync=edge.hub.keep_current,
        sweep=edge.hub.keep_sweeping,
        presence=edge.hub.presence.keep_tending,
        replies=edge.asker.run,
        clock=edge.asker.clock.run,
        hints=lambda: edge.suppression.follow(edge.exchange),
        erasures=edge.suppression.keep_fresh,
        gaps=lambda: watch_gaps(edge.metrics.loop_gap.observe),
        vitals=lambda: tell(
            edge.exchange, edge.metrics.told(), role="web", name=edge.hub.presence.node, clock=edge.clock
        ),
    ):
        yield


async def _close_connections(app: web.Application) -> None:
    await app[EDGE].hub.close_all()
