"""users table → **idling** → log `requests`. Drops the states of people who have not come for a long time.

Asked for by way of the log, as a state has one writer: whoever comes back meanwhile is found not to be idle any more.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from agents.behavior import Users
from agents.presence import Presence
from rec.errors import Unavailable
from rec.idle import is_idle
from rec.ports import Log
from rec.requests import Expire, encode_request

log = logging.getLogger(__name__)

EVERY_S = 3_600.0
SLICE = 1_000  # states looked at between two turns of the event loop
MOST = 20_000  # asked for in one turn; the rest comes with the next


class Idling:
    """Looks through the states of this worker, every hour."""

    def __init__(
        self,
        users: Users,
        *,
        owned: Callable[[str], bool],
        presence: Presence,
        to: Log,
        requests_topic: str,
        idle_s: float,
        every_s: float = EVERY_S,
    ) -> None:
        self._users, self._owned, self._presence = users, owned, presence
        self._to, self._topic = to, requests_topic
        self._idle_s, self._every_s = idle_s, every_s

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.turn(time.time())
            except Unavailable as error:
                log.warning("idle users stay until the log is there again: %s", error)

    async def turn(self, now: float) -> int:
        """How many were asked to go."""
        keys, idle = list(self._users), list[str]()
        for at in range(0, len(keys), SLICE):
            for key in keys[at : at + SLICE]:
                state, user_id = self._users.get(key), key.decode()
                if state is not None and is_idle(state, now, self._idle_s) and not self._presence.screens(user_id):
                    idle.append(user_id)
            if len(idle) >= MOST:
                break
            await asyncio.sleep(0)
        theirs = [user_id for user_id in idle[:MOST] if self._owned(user_id)]
        for at in range(0, len(theirs), SLICE):
            some = theirs[at : at + SLICE]
            await self._to.publish_many(self._topic, [(user_id, encode_request(Expire(user_id))) for user_id in some])
        return len(theirs)
