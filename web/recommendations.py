"""GET /v1/recommendations, /v1/search and /v1/suggest: one answer for one asker."""

from __future__ import annotations

from aiohttp import web

from rec.errors import DeadlineExceeded, Unavailable
from rec.protocol import SUGGEST_REMEDIES, Search, check_query
from web.connection import shortened
from web.edge import EDGE, Edge
from web.front import answer
from web.parsing import RecommendationQuery, SearchQuery, SuggestQuery, query_of

STALE = "Shunxi-Stale"


async def get_recommendations(request: web.Request) -> web.Response:
    """A slate made now; if no worker answers in time, the latest that is stored, marked as stale."""
    edge = request.app[EDGE]
    who = edge.identify(request)
    edge.may_ask(who)
    query = query_of(request, RecommendationQuery)
    user_id = who.user(query.user_id)
    try:
        return answer(await edge.asker.slate(user_id, query.placement, query.n, query.item_id))
    except (DeadlineExceeded, Unavailable):
        stored = None if query.item_id is not None else await _stored(edge, user_id, query)
        if stored is None:
            raise
        edge.metrics.stale.inc()
        return answer(stored, headers={STALE: "true"})


async def get_search(request: web.Request) -> web.Response:
    """Products for a query, for this user. There is no older answer to fall back on: no worker, an error."""
    edge = request.app[EDGE]
    who = edge.identify(request)
    edge.may_ask(who)
    query = query_of(request, SearchQuery)
    user_id = who.user(query.user_id)
    return answer(await edge.asker.search(user_id, checked(query)))


async def get_suggest(request: web.Request) -> web.Response:
    """What can be searched for, of what begins like this."""
    edge = request.app[EDGE]
    who = edge.identify(request)
    edge.may_ask(who)
    query = query_of(request, SuggestQuery, SUGGEST_REMEDIES)
    if query.user_id is not None:
        who.user(query.user_id)  # a browser may name nobody else
    check_query(query.q)
    return answer(b'{"suggestions":' + await edge.asker.suggest(query.q, query.n) + b"}")


def checked(wanted: Search) -> Search:
    """The search as it goes to the worker. Raises BadInput for what no type can say."""
    wanted.check()
    return Search(**{name: getattr(wanted, name) for name in Search.__struct_fields__})


async def _stored(edge: Edge, user_id: str, query: RecommendationQuery) -> bytes | None:
    try:
        slate = await edge.exchange.latest(user_id, query.placement)
    except Unavailable:
        return None
    return None if slate is None else shortened(slate, query.n)
