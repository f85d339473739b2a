"""socket → **arrivals** → aiohttp. Connections that never ask anything are not kept.

aiohttp closes what is idle between two requests (its keep-alive), a later head that stays incomplete included. Until
the first request it would wait as long. Invariant: a connection that has not sent the whole head of its first request
within `HEAD_S` is closed, without a word.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

HEAD_S = 10.0
KEEP_ALIVE_S = 75.0  # longer than a proxy keeps its side, or it would send into a connection that is being closed
LINGER_S = 2.0  # for the rest of a body that nobody will read
LOOK_S = 2.0


class Arrivals:
    """The connections of a server that does not listen yet. It must not be made twice for one server.

    Of those that have asked nothing, `most` are kept at each look, the newest.
    """

    def __init__(self, server: web.Server, most: int) -> None:
        self._server, self._make, self._most = server, server.request_factory, most
        self._since: dict[web.RequestHandler, float] = {}  # those that have asked nothing yet
        self._heard: set[web.RequestHandler] = set()
        server.request_factory = self._made

    def _made(self, message: Any, payload: Any, protocol: web.RequestHandler, *more: Any) -> web.BaseRequest:
        self._heard.add(protocol)
        return self._make(message, payload, protocol, *more)

    def sweep(self, now: float) -> None:
        """Close who had their time. `now` is the loop's."""
        connections = set(self._server.connections)
        self._heard &= connections
        self._since = {one: self._since.get(one, now) for one in connections - self._heard}
        beyond = len(self._since) - self._most
        for place, (one, since) in enumerate(sorted(self._since.items(), key=lambda item: item[1])):
            if place < beyond or now - since >= HEAD_S:
                one.force_close()

    async def keep_sweeping(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(LOOK_S)
            self.sweep(loop.time())
