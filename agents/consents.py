"""A choice, and everybody who has to learn of it: the user's visitors through the log, the edge through Redis.

The log is the truth: a `$consent` record in a visitor's own partition reaches the table, the counters and the archive
in order with their events. The marks in Redis only spare the log what is withheld anyway. They are written again from
the table, so a Redis that has forgotten is healed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, MutableMapping

from rec.choices import choices_of
from rec.errors import Unavailable
from rec.events import Event, encode_event
from rec.ports import Exchange, Log
from rec.state import UserState

log = logging.getLogger(__name__)

EVERY_S = 30.0
CHUNK = 2_000


class Consents:
    """Passes choices on. `users` is the table, `owned` says who of it this worker may speak for."""

    def __init__(
        self,
        *,
        users: MutableMapping[bytes, UserState],
        owned: Callable[[str], bool],
        exchange: Exchange,
        to: Log,
        behavior_topic: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users, self._owned, self._exchange = users, owned, exchange
        self._to, self._behavior_topic, self._clock = to, behavior_topic, clock
        self._soon = asyncio.Event()

    async def tell(self, state: UserState, visitors: Iterable[str]) -> None:
        """Write where a user stands into their visitors' partitions. Raises Unavailable; it is told again then."""
        now = self._clock()
        events = [one for visitor_id in sorted(visitors) for one in choices_of(state, now, visitor_id=visitor_id)]
        await self._publish([(event.subject, encode_event(event)) for event in events])

    async def bring(self, visitor: UserState, user_id: str) -> None:
        """Write a visitor's choices into the partition of the user they became: they are the user's from now on.

        Raises Unavailable.
        """
        events = choices_of(visitor, self._clock(), user_id=user_id)
        await self._publish([(event.subject, encode_event(event)) for event in events])

    async def _publish(self, records: list[tuple[str, bytes]]) -> None:
        if records:
            await self._to.publish_many(self._behavior_topic, records)

    async def follow(self, event: Event, before: UserState | None, after: UserState) -> None:
        """Move the mark in Redis if the choice has changed, or if the edge has it wrong: that of the visitor, too."""
        denied, says = after.consent is False, event.personalization
        changed = denied != (before is not None and before.consent is False)
        mistaken = (says is not None and (says == "denied") != denied) or (event.withheld and after.consent is True)
        if changed or mistaken:
            await self.mark(event.subject, denied)
        if mistaken and event.visitor_id is not None and after.visitors.get(event.visitor_id) == "merged":
            await self.mark(event.visitor_id, denied)

    async def mark(self, user_id: str, denied: bool) -> None:
        """Tell the edge. The log's readers know in any case."""
        try:
            await self._exchange.set_denied(user_id, denied)
        except Unavailable as error:
            log.warning("a consent mark was not written: %s", error)

    def soon(self) -> None:
        """The table is whole: write its marks now."""
        self._soon.set()

    async def run(self) -> None:
        """Write all marks when told so, and regularly."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY_S):
                    await self._soon.wait()
            self._soon.clear()
            try:
                await self.write_marks()
            except Unavailable as error:
                log.warning("consent marks were not written: %s", error)

    async def write_marks(self) -> None:
        """The marks of all who denied. Raises Unavailable. Whoever changed in between is not left with an old mark."""
        keys = list(self._users)
        for start in range(0, len(keys), CHUNK):
            if denied := [key.decode() for key in keys[start : start + CHUNK] if self._denied(key)]:
                await self._exchange.set_all_denied(denied, True)
                if changed := [user_id for user_id in denied if not self._denied(user_id.encode())]:
                    await self._exchange.set_all_denied(changed, False)
            await asyncio.sleep(0)

    def _denied(self, key: bytes) -> bool:
        state = self._users.get(key)
        return state is not None and state.consent is False and self._owned(key.decode())
