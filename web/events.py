"""POST /v1/events."""

from __future__ import annotations

from aiohttp import web

from web.edge import EDGE
from web.front import answer
from web.parsing import read


async def post_events(request: web.Request) -> web.Response:
    """Up to 500 events; each is accepted, a duplicate, or refused by itself. 202 once the broker has them.

    A browser sends so often a minute; before its body is read it is told how long to wait.
    """
    edge = request.app[EDGE]
    who = edge.identify(request)
    edge.may_send(who)
    return answer(await edge.intake.take_body(await read(request), who), 202)
