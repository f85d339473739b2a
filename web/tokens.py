"""POST /v1/tokens: a backend gets a browser its token."""

from __future__ import annotations

from aiohttp import web

from web.edge import EDGE
from web.front import answer
from web.parsing import TokenRequest, decode_known, read


async def post_tokens(request: web.Request) -> web.Response:
    """A token for one user, for as long as REC_TOKEN_TTL_S says."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    wanted = decode_known(await read(request), TokenRequest)
    token = edge.authority.issue(wanted.user_id, wanted.visitor_id, edge.clock())
    return answer({"token": token, "token_type": "Bearer", "expires_in": edge.authority.ttl_s})
