"""/v1/users/{user_id}, GET /v1/erasures/{erasure_id}: what is stored about somebody, what lists follow, and its end.

An erasure travels through the log as a record of its own, in order with the user's events; every store adds a line
to the receipt when its part is done. Invariant: the receipt is opened before anything is removed, and holds no id.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import datetime

import msgspec
from aiohttp import web

from rec.errors import NotFound, Unavailable
from rec.events import ERASE, Event, Id, encode_event, instant
from rec.ports import Hint
from rec.protocol import Count, Placement
from rec.topics import BEHAVIOR
from web.edge import BACKEND_ACTOR, EDGE, Edge
from web.front import answer
from web.intake import PUBLISH_S, broker_away
from web.parsing import ErasurePath, UserPath, path_of, query_of

_UNTOLD = (
    "was away and may not have been told: sent again, the erasure has another id, and its lines are on that receipt"
)


class _Visitors(msgspec.Struct, frozen=True):
    """What of a state says who became this user."""

    visitors: dict[str, str] = {}


async def get_user(request: web.Request) -> web.Response:
    """All that is stored about one user. 404 if that is nothing; an error, never half of it, if a store is away."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    user_id = path_of(request, UserPath).user_id
    (state, trail, windows), keys = await asyncio.gather(edge.asker.known(user_id), edge.exchange.keys_of(user_id))
    events = await edge.database.events_of(user_id, visitors_of(state))
    erased_at = edge.suppression.erased_at(user_id)
    if (
        (state, trail, windows) == (b"null", b"[]", b"[]")
        and not events
        and not any(keys.values())
        and erased_at is None
    ):
        raise NotFound("Nothing is stored about this user.", code="unknown_user", field="user_id")
    return answer(
        {
            "user_id": user_id,
            "state": msgspec.Raw(state),
            "trail": msgspec.Raw(trail),
            "feedback": msgspec.Raw(windows),
            "events": [msgspec.Raw(event) for event in events],
            "exchange": keys,
            "erased_at": erased_at,
        }
    )


class CandidatesQuery(msgspec.Struct, frozen=True):
    """GET /v1/users/{user_id}/candidates. `top`: so many of the best candidates, and all that are on the list."""

    placement: Placement = "home"
    n: Count = 20
    item_id: Id | None = None
    top: Count = 30


async def get_candidates(request: web.Request) -> web.Response:
    """A list made now, for nobody's screen, and where each of the best candidates fell out of it, and why."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    user_id, query = path_of(request, UserPath).user_id, query_of(request, CandidatesQuery)
    return answer(await edge.asker.explained(user_id, query.placement, query.n, query.item_id, query.top))


async def delete_user(request: web.Request) -> web.Response:
    """Begin an erasure: the receipt so far. The stores add their lines within seconds."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    return await erase(edge, path_of(request, UserPath).user_id, BACKEND_ACTOR)


async def erase(edge: Edge, user_id: str, actor: str) -> web.Response:
    """Begin the erasure of a user for `actor`, a name in the audit trail; the answer is the receipt so far."""
    now, erasure_id = instant(edge.clock()), secrets.token_hex(16)
    digest = edge.suppression.hash(user_id)
    await edge.database.open_erasure(erasure_id, digest, now)
    await edge.database.record(actor, "erase user", digest, {"erasure_id": erasure_id})
    edge.suppression.note(digest, now)
    try:
        await _tell_the_log(edge, user_id, erasure_id, now)
    except Unavailable:
        await edge.database.add_step(erasure_id, "log", 0, now, _UNTOLD)
        raise
    closed = edge.hub.close_user(user_id, "erased")
    await _write_receipt(edge, erasure_id, closed, await _forget(edge, user_id))
    return await receipt(edge, erasure_id, 202)


async def get_erasure(request: web.Request) -> web.Response:
    """The receipt of an erasure."""
    edge = request.app[EDGE]
    edge.backend_only(request)
    return await receipt(edge, path_of(request, ErasurePath).erasure_id, 200)


def visitors_of(state: bytes) -> list[str]:
    """Pure: the visitors who became this user, out of the state as JSON.

    >>> visitors_of(b'{"visitors":{"v1":"merged","v2":"asked"}}'), visitors_of(b"null")
    (['v1'], [])
    """
    known = msgspec.json.decode(state, type=_Visitors | None) or _Visitors()
    return [visitor_id for visitor_id, mark in known.visitors.items() if mark == "merged"]


async def _tell_the_log(edge: Edge, user_id: str, erasure_id: str, now: datetime) -> None:
    record = Event(event=ERASE, event_id=erasure_id, user_id=user_id, received_ts=now, event_ts=now)
    with broker_away("The erasure could not be stored. Send it again."):
        async with asyncio.timeout(PUBLISH_S):
            await edge.log.publish(edge.settings.topic(BEHAVIOR), user_id, encode_event(record))


async def _forget(edge: Edge, user_id: str) -> int | None:
    """Tell the other edges, and remove what Redis has; None if it is away. The worker does so again, at the end."""
    try:
        await edge.exchange.hint(Hint("erased", user_id))
        return await edge.exchange.forget(user_id)
    except Unavailable:
        return None


async def _write_receipt(edge: Edge, erasure_id: str, closed: int, keys: int | None) -> None:
    """The lines of what this process did itself, and of what remains."""
    days = edge.settings.retention_days
    redis = "was away; the worker removes it" if keys is None else "before the worker has its turn; see its own line"
    lines = (
        ("connections", closed, "of the process that took the request; others close theirs when they are told"),
        ("redis, at the edge", keys or 0, redis),
        ("log", 0, f"records of the behavior topic expire {days:g} days after they were written"),
        ("suppression list", 0, "a keyed hash of the id stays, so that late events are refused"),
    )
    for store, removed, note in lines:
        await edge.database.add_step(erasure_id, store, removed, instant(edge.clock()), note)


async def receipt(edge: Edge, erasure_id: str, status: int) -> web.Response:
    """The receipt as it stands. Raises NotFound."""
    erasure = await edge.database.get_erasure(erasure_id)
    if erasure is None:
        raise NotFound("There is no such erasure.", code="unknown_erasure", field="erasure_id")
    body = {"erasure_id": erasure.erasure_id, "requested_at": erasure.requested_at, "steps": erasure.steps}
    return answer(body, status, {"Location": f"/v1/erasures/{erasure_id}"} if status == 202 else None)
