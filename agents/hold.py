"""behavior → **hold** → mailbox. How eagerly a list on a screen is replaced: not sooner than `hold_s` after the last.

Events alone are held, and the newest of a user is let go when the time is over, so no change is lost: a list is late by
at most `hold_s` (`rec.policy.strategy`, at most 3 s, which the promise of 5 s leaves room for). At 0 nothing is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from agents.mailbox import Waiting

REMEMBERED = 10_000  # users; beyond that those go whose time is over


class Hold:
    """Who had a list a moment ago. `release` gets what was held; all on the event loop."""

    def __init__(self, hold_s: Callable[[], float], release: Callable[[Waiting], None]) -> None:
        self._hold_s, self._release = hold_s, release
        self._made_at: dict[str, float] = {}
        self._kept: dict[str, Waiting] = {}

    def made(self, user_id: str) -> None:
        """This user has a new list."""
        hold_s = self._hold_s()
        if hold_s <= 0:
            return
        now = asyncio.get_running_loop().time()
        if len(self._made_at) >= REMEMBERED:
            self._made_at = {user: at for user, at in self._made_at.items() if now - at < hold_s}
        self._made_at[user_id] = now

    def keeps(self, entry: Waiting) -> bool:
        """Whether it is too early for this one; then it is let go later, or a newer one of this user in its place."""
        hold_s = self._hold_s()
        if hold_s <= 0:
            return False
        loop = asyncio.get_running_loop()
        left = self._made_at.get(entry.user_id, float("-inf")) + hold_s - loop.time()
        if left <= 0:
            return False
        if entry.user_id not in self._kept:
            loop.call_later(left, self._let_go, entry.user_id)
        self._kept[entry.user_id] = entry
        return True

    def _let_go(self, user_id: str) -> None:
        self._release(self._kept.pop(user_id))
