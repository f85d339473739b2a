"""refresh → **served** → topic `served`. Which lists went out, on their way to the feedback without holding a list up.

A list is on the screen while its record is still being made: only values that never change wait here, and the records
are encoded and published in batches behind the refresher's back. What lies here when the process is killed (a tenth of
a second of lists) is not remembered: clicks on it count as unjoined. It is bounded, the oldest go first.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

from prometheus_client import Counter

from rec.errors import Unavailable
from rec.feedback import encode_told
from rec.ports import Log
from rec.served import CategoryOf, Making, served_of
from rec.slates import Slate
from rec.state import UserState

log = logging.getLogger(__name__)

MAX_WAITING = 5_000
BATCH = 50  # records of some kB, encoded in one go: about 5 ms
EVERY_S = 0.1


class ServedLists:
    """A bounded queue in front of the topic. `consent_default`: whether lists of who never chose are remembered."""

    def __init__(
        self, *, to: Log, topic: str, category_of: CategoryOf, consent_default: bool, lost: Counter, wanted: bool = True
    ) -> None:
        self._wanted = wanted
        self._to, self._topic, self._category_of, self._lost = to, topic, category_of, lost
        self._consent_default = consent_default
        self._waiting: deque[Making] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()

    def put(self, slate: Slate, state: UserState | None) -> None:
        """This list went out; it was made from `state`. Sync. Without consent nothing of it is kept."""
        consent = None if state is None else state.consent
        if not self._wanted or not slate.items or not (self._consent_default if consent is None else consent):
            return
        if len(self._waiting) == MAX_WAITING:
            self._lost.inc()
        self._waiting.append(Making(slate, state))
        self._wake.set()

    async def run(self) -> None:
        """Publish for ever, and what is left at the end."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(EVERY_S)
                while self._waiting:
                    await self._publish()
        except asyncio.CancelledError:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(2.0):
                    while self._waiting:
                        await self._publish()
            raise

    async def _publish(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        records = [(made.slate.user_id, encode_told(served_of(made, self._category_of))) for made in batch]
        try:
            await self._to.publish_many(self._topic, records)
        except Unavailable as error:
            log.warning("lists that went out could not be told of, trying again: %s", error)
            room = MAX_WAITING - len(self._waiting)
            self._lost.inc(max(0, len(batch) - room))
            self._waiting.extendleft(reversed(batch[max(0, len(batch) - room) :]))
            await asyncio.sleep(0.5)
