"""values → **outbox** → a topic. What waits to be published, behind the agents' backs: in batches, in order, bounded.

A value is encoded when its batch goes, so that leaving it here costs next to nothing. What lies here when the process
is killed is not published; when it ends in order, what lies here goes out first, for as long as `LAST_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

from prometheus_client import Counter

from rec.errors import Unavailable
from rec.ports import Log

log = logging.getLogger(__name__)

LAST_S = 2.0
AGAIN_S = 0.5
SEND_S = 5.0

T = TypeVar("T")


class Outbox(ABC, Generic[T]):
    """At most `most` values; who cannot be kept is counted in `lost`. A subclass says what their records are."""

    what = "records"  # in the log's words
    most, batch, every_s = 20_000, 500, 0.05  # values that wait; of a batch; seconds that they gather

    def __init__(self, *, to: Log, topic: str, lost: Counter) -> None:
        self._to, self._topic, self._lost = to, topic, lost
        self._waiting: deque[T] = deque()
        self._wake, self._turn = asyncio.Event(), asyncio.Lock()

    @abstractmethod
    async def records_of(self, batch: Sequence[T]) -> list[tuple[str, bytes]]:
        """Keys and values."""

    def may_go(self, value: T) -> bool:
        """Whether it may be dropped where there is no room."""
        return True

    def add(self, value: T) -> None:
        """Sync: callable from the middle of a fold."""
        self._waiting.append(value)
        self._bound()
        self._wake.set()

    async def send(self, value: T) -> None:
        """The same, and return once the broker has acknowledged it, and all that came before it.

        For what may not go. Raises Unavailable after `SEND_S`; the value stays here, and is not there twice if it is
        sent again.
        """
        if value not in self._waiting:
            self.add(value)
        try:
            async with asyncio.timeout(SEND_S):
                await self._flush()
        except TimeoutError:
            raise Unavailable(f"{self.what}: not acknowledged by the broker within {SEND_S:g} s") from None

    async def _flush(self) -> None:
        """Publish until nothing waits; one at a time, so that nothing is overtaken."""
        async with self._turn:
            while self._waiting:
                await self._publish()

    def _bound(self) -> None:
        """The oldest that may go, go."""
        while len(self._waiting) > self.most:
            at = next((at for at, value in enumerate(self._waiting) if self.may_go(value)), None)
            if at is None:
                return
            del self._waiting[at]
            self._lost.inc()

    async def run(self) -> None:
        """Publish for ever, and what is left at the end."""
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                await asyncio.sleep(self.every_s)
                await self._flush()
        except asyncio.CancelledError:
            with contextlib.suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(LAST_S):
                    await self._flush()
            raise

    async def _publish(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(self.batch, len(self._waiting)))]
        try:
            await self._to.publish_many(self._topic, await self.records_of(batch))
        except Unavailable as error:
            log.warning("%s could not be published, trying again: %s", self.what, error)
            self._put_back(batch)
            await asyncio.sleep(AGAIN_S)
        except asyncio.CancelledError:  # they may be there or not; what comes twice counts once, what is lost does not
            self._put_back(batch)
            raise

    def _put_back(self, batch: list[T]) -> None:
        self._waiting.extendleft(reversed(batch))
        self._bound()
