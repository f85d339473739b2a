"""socket, sse → **subscribing** → hub, exchange, log. How a screen is opened, without a gap in which a list is lost.

First the slot, the watch and the announcement; then the latest slate is read; then the owner of the user is asked
whether there is a newer one. Whatever is stored in between fills the slot, and newest wins.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import NamedTuple

from rec.errors import RateLimited, Unavailable
from rec.ports import StoredSlate
from rec.requests import Refresh, encode_request
from rec.screens import screen_key
from rec.slates import Cause, Position
from rec.topics import REQUESTS
from web.connection import Connection, Screen
from web.edge import Edge

log = logging.getLogger(__name__)

_REQUEST = Cause("request")


class Opening(NamedTuple):
    """A screen that is about to be answered. `recovered`: what the client shows is a list that was there before."""

    connection: Connection
    placement: str
    n: int
    item_id: str | None
    latest: StoredSlate | None
    resume: Position | None
    recovered: bool


async def prepare(
    edge: Edge, connection: Connection, placement: str, n: int, item_id: str | None, resume: Position | None
) -> Opening:
    """Slot, watch, announcement, latest. Raises Unavailable, or RateLimited for too many screens of one user; then
    nothing is left of it, and what the placement showed before stays.

    A position counts only if the stored list has reached it, and only for a placement as such: beside a product it
    may be another product's.
    """
    before = edge.hub.show(connection, placement, n, item_id)
    try:
        await edge.hub.presence.settle(connection.user_id)
        latest = await edge.exchange.latest(connection.user_id, screen_key(placement, item_id))
    except (Unavailable, RateLimited):
        edge.hub.put_back(connection, placement, before)
        await _catch_up(edge, connection, placement, before)
        raise
    recovered = item_id is None and resume is not None and latest is not None and _covers(latest.position, resume)
    if resume is not None:
        edge.metrics.recoveries.labels(str(recovered).lower()).inc()
    return Opening(connection, placement, n, item_id, latest, resume, recovered)


async def _catch_up(edge: Edge, connection: Connection, placement: str, screen: Screen | None) -> None:
    """Announce again what is shown, and offer what the slot missed; as far as the exchange is there."""
    with contextlib.suppress(Unavailable, RateLimited):
        await edge.hub.presence.settle(connection.user_id)
        if screen is not None:
            latest = await edge.exchange.latest(connection.user_id, screen_key(placement, screen.item_id))
            edge.hub.open(connection, placement, latest)


def _covers(latest: Position, resume: Position) -> bool:
    return latest.epoch == resume.epoch and latest.version >= resume.version


async def finish(edge: Edge, opening: Opening) -> None:
    """After the answer: let the slot out, and ask the owner for what is newer or longer than the latest."""
    latest = opening.latest
    edge.hub.open(opening.connection, opening.placement, latest, opening.resume if opening.recovered else None)
    have = latest.position if latest is not None and latest.n >= opening.n else None
    user_id = opening.connection.user_id
    request = Refresh(user_id, _REQUEST, opening.placement, opening.n, have, opening.item_id, opening.resume)
    try:
        async with asyncio.timeout(edge.settings.request_timeout_s):
            await edge.log.publish(edge.settings.topic(REQUESTS), user_id, encode_request(request))
    except (Unavailable, TimeoutError):  # the announcement was heard, and every owner sweeps who is online
        edge.metrics.refreshes_lost.inc()
        log.debug("a refresh was not published")
