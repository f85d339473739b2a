"""/health/live, /health/ready, /metrics, /version, /openapi.json: for operators. No key is needed, no user is named."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

from aiohttp import web

from rec import __version__
from rec.errors import RecError
from rec.topics import BEHAVIOR
from web.edge import EDGE, Edge
from web.front import answer
from web.metrics import CONTENT_TYPE

PROBE_S = 2.0

OPENAPI = (Path(__file__).parent / "openapi.json").read_bytes()


async def get_live(request: web.Request) -> web.Response:
    """The process answers."""
    return answer({"status": "live"})


async def get_ready(request: web.Request) -> web.Response:
    """Whether events are taken and lists are made: every neighbour answers, and a worker is ready, none recovering."""
    edge = request.app[EDGE]
    names = ("broker", "redis", "database", "workers")
    probes = (
        edge.log.ends(edge.settings.topic(BEHAVIOR)),
        edge.exchange.ping(),
        edge.database.ping_database(),
        _workers(edge),
    )
    results = await asyncio.gather(*(_probe(probe) for probe in probes))
    checks = dict(zip(names, results, strict=True))
    ready = all(result == "ok" for result in results)
    headers = {} if ready else {"Retry-After": "1"}
    return answer({"status": "ready" if ready else "not ready", "checks": checks}, 200 if ready else 503, headers)


async def _probe(probe: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PROBE_S):
            await probe
    except RecError as error:
        return error.message
    except TimeoutError:
        return f"did not answer within {PROBE_S:g} s"
    return "ok"


async def _workers(edge: Edge) -> None:
    states = list((await edge.exchange.worker_states()).values())
    if not states:
        raise RecError("no worker has reported; start one: rec worker")
    if "recovering" in states:
        raise RecError(f"{states.count('recovering')} of {len(states)} are recovering")


async def get_metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    body = await asyncio.to_thread(request.app[EDGE].metrics.exposition)  # it reads /proc
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


async def get_version(request: web.Request) -> web.Response:
    """The version of the package and of the database's schema."""
    return answer({"version": __version__, "schema": await request.app[EDGE].database.schema_revision()})


async def get_openapi(request: web.Request) -> web.Response:
    """The description of this interface (OpenAPI 3.1)."""
    return answer(OPENAPI)
