"""behavior → **hold** → mailbox. How eagerly a list on a screen is replaced: not sooner than `hold_s` after the last.

Events alone are held, and the newest of a user is let go when the time is over, so no change is lost: a list is late by
at most `hold_s` (`rec.policy.strategy`, at most 3 s, which the promise of 5 s leaves room for). It is that of the
strategy which made the list; of several screens of a user the longest counts, as their lists are made together. At 0
nothing is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agents.mailbox import Waiting

REMEMBERED = 10_000  # users; beyond that those go whose time is over


class Hold:
    """Who had a list a moment ago. `release` gets what was held; all on the event loop."""

    def __init__(self, release: Callable[[Waiting], None]) -> None:
        self._release = release
        self._until: dict[str, float] = {}  # of the event loop's clock
        self._kept: dict[str, Waiting] = {}

    def made(self, user_id: str, hold_s: float) -> None:
        """This user has a new list, that is to stay for `hold_s` seconds."""
        if hold_s <= 0:
            return
        now = asyncio.get_running_loop().time()
        if len(self._until) >= REMEMBERED:
            self._until = {user: until for user, until in self._until.items() if until > now}
        self._until[user_id] = max(self._until.get(user_id, 0.0), now + hold_s)

    def waits(self, user_id: str) -> bool:
        """Whether something of this user is held, and will be let go."""
        return user_id in self._kept

    def keeps(self, entry: Waiting) -> bool:
        """Whether it is too early for this one; then it is let go later, or a newer one of this user in its place."""
        if (until := self._until.get(entry.user_id)) is None:
            return False
        loop = asyncio.get_running_loop()
        if (left := until - loop.time()) <= 0:
            return False
        if entry.user_id not in self._kept:
            loop.call_later(left, self._let_go, entry.user_id)
        self._kept[entry.user_id] = entry
        return True

    def _let_go(self, user_id: str) -> None:
        self._release(self._kept.pop(user_id))
