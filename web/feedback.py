"""GET /v1/feedback: how often what was seen was clicked and bought, by item, category, placement or strategy."""

from __future__ import annotations

from aiohttp import web

from web.edge import EDGE
from web.front import answer
from web.parsing import FeedbackQuery, query_of


async def get_feedback(request: web.Request) -> web.Response:
    """CTR and CVR as the workers count them, with intervals; for backends. It names nobody."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    query = query_of(request, FeedbackQuery)
    return answer(await edge.asker.rates(query.by, query.n, query.key))
