"""GET /v1/ads: what each campaign has spent today, of what, and whether p(click) is true."""

from __future__ import annotations

from aiohttp import web

from web.edge import EDGE
from web.front import answer
from web.parsing import AdsQuery, query_of


async def get_ads(request: web.Request) -> web.Response:
    """Campaigns as a worker has them; for backends. It names nobody who saw an ad."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    query = query_of(request, AdsQuery)
    return answer(await edge.asker.ads(query.n, query.campaign))
