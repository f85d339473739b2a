"""Erasure in the worker: the record `$erase` in a user's own partition ends their state, in order with their events.

Late events of an erased id (from a retrying client, a queue, a replay) are refused by the time at which they
happened. The moments are kept under keyed hashes, loaded from SQL and followed in the log, never the ids. A visitor
who had become the user is erased with them, by the visitor's own owner, who alone knows whose they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime

from rec.erased import SUPPRESSED
from rec.errors import NotFound, Unavailable
from rec.events import ERASE, Event, encode_event
from rec.examples import line_of
from rec.merging import may_merge
from rec.ports import Erasures, Exchange, Hint, Log
from rec.privacy import user_hash, visitor_row
from rec.requests import EraseVisitor, encode_request
from rec.state import UserState

log = logging.getLogger(__name__)

RETRY_S = 2.0
WAIT_S = 1.0  # for Redis and SQL, while events of others wait behind an erasure


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
        requests_topic: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret, self._database, self._exchange = secret, database, exchange
        self._to, self._behavior_topic, self._requests_topic, self._clock = to, behavior_topic, requests_topic, clock
        self._erased: dict[str, float] = {}
        self._unfinished: deque[tuple[Event, int, asyncio.Event]] = deque()  # erasures, and what tells they are done
        self._wake, self._held_up = asyncio.Event(), False
        self._again: deque[tuple[float, str]] = deque()  # (from when on, whose latest lists are removed once more)

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

    def note_at(self, subject: str, at: float) -> None:
        """An erasure of this id at that moment (seconds since 1970) went by."""
        self._note(user_hash(self._secret, subject), datetime.fromtimestamp(at, UTC))

    def _note(self, digest: str, at: datetime | None) -> None:
        if at is not None:
            self._erased[digest] = max(at.timestamp(), self._erased.get(digest, 0.0))

    def is_late(self, subject: str, at: float) -> bool:
        """Whether something that happened at `at` belongs to a life of this id that was erased since."""
        moment = self.moment(subject)
        return moment is not None and at <= moment

    def moment(self, subject: str) -> float | None:
        """When this id was last erased, seconds since 1970."""
        return self._erased.get(user_hash(self._secret, subject)) if self._erased else None

    async def erase(self, users: MutableMapping[bytes, UserState], key: bytes, event: Event) -> None:
        """Remove the state, and with it its place in the changelog; pass the erasure on to the user's visitors."""
        state = users.get(key)
        if not is_meant(event, state):
            return
        self.note(event)
        if state is not None:
            await self._pass_on(event, state)
        if key in users:
            del users[key]
        self._again.append((self._clock() + RETRY_S, event.subject))
        await self._soon_finished(event, int(state is not None))

    async def _soon_finished(self, event: Event, removed: int) -> None:
        """Have Redis and the receipt seen to, and wait until that is done: a kill before it repeats the erasure.

        An outage, or a database that hangs, holds the partition up for `WAIT_S` once; then it is done later.
        """
        done = asyncio.Event()
        self._unfinished.append((event, removed, done))
        self._wake.set()
        if self._held_up:
            return
        try:
            async with asyncio.timeout(WAIT_S):
                await done.wait()
        except TimeoutError:
            self._held_up = True
            log.warning("an erasure is not complete yet; Redis and its receipt are seen to later")

    async def _pass_on(self, event: Event, state: UserState) -> None:
        """Raises Unavailable, and the state stays for the next try: after it nobody knows who the visitors were."""
        at = datetime.fromtimestamp(event.at, UTC)
        asked = [visitor_id for visitor_id, mark in state.visitors.items() if mark != "refused"]
        records = [
            (visitor_id, encode_request(EraseVisitor(visitor_id, event.subject, event.event_id, number, at)))
            for number, visitor_id in enumerate(asked, 1)
        ]
        if records:
            await self._to.publish_many(self._requests_topic, records)

    async def erase_visitor(self, users: MutableMapping[bytes, UserState], key: bytes, request: EraseVisitor) -> None:
        """Erase a visitor with the user they became; leave alone who is a user, or somebody else's visitor.

        One who is nobody's yet is the erased user's: their merge was on its way, and the erasure overtook it.
        """
        state = users.get(key)
        if state is None or not may_merge(state, request.of):
            return
        erase = Event(
            event=ERASE,
            event_id=request.erasure_id,
            user_id=request.user_id,
            context={"visitor": request.number},
            received_ts=request.at,
            event_ts=request.at,
        )
        await self._to.publish(self._behavior_topic, request.user_id, encode_event(erase))

    async def suppress(self, event: Event) -> None:
        """See that what an erased visitor did before stays refused, at the edge and after a restart.

        A user's own hash is in SQL before their `$erase` is in the log; a visitor's comes from whoever handles theirs.
        """
        at = datetime.fromtimestamp(event.at, UTC)
        row = visitor_row(self._secret, event.subject, at)
        await self._database.open_erasure(row, user_hash(self._secret, event.subject), at)
        await self.receipt(event, "suppression list", 0, SUPPRESSED)

    async def _finish(self, event: Event, removed: int) -> None:
        """Redis and the receipt. Raises Unavailable, and may be called again."""
        if is_visitors(event):
            await self.suppress(event)
            await self._exchange.hint(Hint("erased", event.subject))
        keys = await self._exchange.forget(event.subject)
        await self.receipt(event, "state table and changelog", removed)
        await self.receipt(event, "redis", keys)

    async def drop_lists(self, subject: str) -> None:
        """Remove the latest lists of somebody who withdrew consent: they were made of what may no longer be used.

        Once now and once more a little later, for one that was on its way; what is on a screen is replaced anyway.
        """
        self._again.append((self._clock() + RETRY_S, subject))
        try:
            await self._exchange.forget_slates(subject)
        except Unavailable as error:
            log.warning("lists made before a withdrawal are removed later: %s", error)

    async def finish_for_ever(self) -> None:
        """Complete erasures as they come, what an outage of Redis or SQL interrupted, and catch what was in flight."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RETRY_S):
                    await self._wake.wait()
            self._wake.clear()
            await self.turn()

    async def turn(self) -> None:
        """One round: the lists of those who were erased or denied `RETRY_S` ago; and erasures that are not complete.

        A list that was on its way to Redis at that moment could have come in after its user was forgotten. Whoever
        came back since loses a list that the sweep makes anew.
        """
        await self._drop_once_more()
        while self._unfinished:
            event, removed, done = self._unfinished[0]
            try:
                await self._finish(event, removed)
            except Unavailable as error:
                log.warning("an erasure is not complete yet, trying again: %s", error)
                self._held_up = True
                done.set()  # nobody is to wait for an outage
                return
            self._unfinished.popleft()
            done.set()
        self._held_up = False

    async def _drop_once_more(self) -> None:
        while self._again and self._again[0][0] <= self._clock():
            try:
                await self._exchange.forget_slates(self._again[0][1])
            except Unavailable as error:
                log.warning("lists made before an erasure or a denial are removed once more later: %s", error)
                return
            self._again.popleft()

    async def receipt(self, event: Event, store: str, removed: int, note: str = "") -> None:
        """One line of the receipt; the visitors who became this user have lines of their own, without their ids.

        Raises Unavailable. An erasure that nobody opened (a record written past the edge) has no receipt to write on.
        """
        at = datetime.fromtimestamp(self._clock(), UTC)
        try:
            await self._database.add_step(event.event_id, line_of(event, store), removed, at, note)
        except NotFound:
            log.warning("an erasure without a receipt was carried out")


def is_meant(event: Event, state: UserState | None) -> bool:
    """False if a user has come to be under this id since it was found to be a visitor's."""
    return not (is_visitors(event) and state is not None and state.is_user)


def is_visitors(event: Event) -> bool:
    """Whether this `$erase` is a visitor's who became the user, rather than the user's own."""
    return "visitor" in event.context
