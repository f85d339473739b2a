"""catalog, rules, sweep → **anew** → log `requests`. Lists on screens that change without an event of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agents.presence import Presence
from agents.shown import Shown
from rec.ports import Log
from rec.requests import Refresh, encode_request
from rec.screens import split_screen
from rec.slates import Cause


class Anew:
    """By way of the log, for such a list needs a version of its own, and the state has one writer."""

    def __init__(
        self, to: Log, requests_topic: str, *, presence: Presence, shown: Shown, owned: Callable[[str], bool]
    ) -> None:
        self._to, self._topic = to, requests_topic
        self._presence, self._shown, self._owned = presence, shown, owned

    async def make(self, screens: Iterable[tuple[str, str]], cause: Cause) -> None:
        """The lists of these (user, screen)."""
        wanted = [(user_id, *split_screen(screen)) for user_id, screen in screens]
        refreshes = [Refresh(user_id, cause, placement, 0, None, item) for user_id, placement, item in wanted]
        await self._to.publish_many(self._topic, [(request.user_id, encode_request(request)) for request in refreshes])

    async def on_catalog_change(self, item_ids: set[str]) -> None:
        """Lists on a screen that show a changed item (price, stock, gone), or have room for one."""
        await self.make([each for each in self._shown.touched_by(item_ids) if self._owned(each[0])], Cause("catalog"))

    async def on_rule_change(self) -> None:
        """Of everybody who looks, one screen each: with it all of theirs are made anew."""
        looking = self._presence
        whom = [(user_id, next(iter(looking.screens(user_id)), "home")) for user_id in looking if self._owned(user_id)]
        await self.make(whom, Cause("rule"))
