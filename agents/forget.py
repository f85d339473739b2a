"""Erasure in the worker: the record `$erase` in a user's own partition ends their state, in order with their events.

Late events of an erased id (from a retrying client, a queue, a replay) are refused by the time at which they
happened. The moments are kept under keyed hashes, loaded from SQL and followed in the log, never the ids.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime

import msgspec

from rec.errors import NotFound, Unavailable
from rec.events import Event, encode_event
from rec.ports import Erasures, Exchange, Log
from rec.privacy import user_hash
from rec.state import UserState

log = logging.getLogger(__name__)

RETRY_S = 2.0


class Forgetting:
    """What was erased when, and the erasing itself."""

    def __init__(
        self,
        *,
        secret: str,
        database: Erasures,
        exchange: Exchange,
        to: Log,
        behavior_topic: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret, self._database, self._exchange = secret, database, exchange
        self._to, self._behavior_topic, self._clock = to, behavior_topic, clock
        self._erased: dict[str, float] = {}
        self._unfinished: list[tuple[Event, int]] = []

    def hash(self, subject: str) -> str:
        """The form in which a subject is remembered in SQL."""
        return user_hash(self._secret, subject)

    async def load(self) -> None:
        """Read every erasure so far from SQL."""
        for digest, at in (await self._database.suppressed()).items():
            self._note(digest, at)

    def note(self, event: Event) -> None:
        """An `$erase` record went by."""
        self._note(user_hash(self._secret, event.subject), event.event_ts or event.received_ts)

    def _note(self, digest: str, at: datetime | None) -> None:
        if at is not None:
            self._erased[digest] = max(at.timestamp(), self._erased.get(digest, 0.0))

    def is_late(self, subject: str, at: float) -> bool:
        """Whether something that happened at `at` belongs to a life of this id that was erased since."""
        return bool(self._erased) and at <= self._erased.get(user_hash(self._secret, subject), -1.0)

    async def erase(self, users: MutableMapping[bytes, UserState], key: bytes, event: Event) -> None:
        """Remove the state, and with it its place in the changelog; pass the erasure on to the user's visitors."""
        self.note(event)
        state = users.get(key)
        for number, visitor_id in enumerate(state.visitors if state is not None else (), 1):
            theirs = msgspec.structs.replace(event, user_id=visitor_id, context={"visitor": number})
            await self._to.publish(self._behavior_topic, visitor_id, encode_event(theirs))
        if key in users:
            del users[key]
        await self._finish(event, int(state is not None))

    async def _finish(self, event: Event, removed: int) -> None:
        """Redis and the receipt. An outage must not hold up the partition: what it interrupts is done later."""
        try:
            keys = await self._exchange.forget(event.subject)
            await self.receipt(event, "state table and changelog", removed)
            await self.receipt(event, "redis", keys)
        except Unavailable as error:
            log.warning("an erasure is not complete yet, trying again: %s", error)
            self._unfinished.append((event, removed))

    async def finish_for_ever(self) -> None:
        """Complete what an outage of Redis or SQL interrupted."""
        while True:
            await asyncio.sleep(RETRY_S)
            waiting, self._unfinished = self._unfinished, []
            for event, removed in waiting:
                await self._finish(event, removed)

    async def receipt(self, event: Event, store: str, removed: int, note: str = "") -> None:
        """One line of the receipt; the visitors who became this user have lines of their own, without their ids.

        Raises Unavailable. An erasure that nobody opened (a record written past the edge) has no receipt to write on.
        """
        visitor = event.context.get("visitor")
        at = datetime.fromtimestamp(self._clock(), UTC)
        line = f"{store}, visitor {visitor}" if visitor else store
        try:
            await self._database.add_step(event.event_id, line, removed, at, note)
        except NotFound:
            log.warning("an erasure without a receipt was carried out")
