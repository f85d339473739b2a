"""fold → **examples** → the trainer's topic. What the worker has to teach, on its way without holding anything up.

A list goes out while its example is still being published: batches, in order, behind the agents' backs. What lies here
when the process is killed was folded and is not learned from; it is bounded, and so is what an absent broker holds up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque

from prometheus_client import Counter

from rec.errors import Unavailable
from rec.examples import Erased, Example, Lesson, encode_lesson
from rec.ports import Log

log = logging.getLogger(__name__)

MAX_WAITING = 20_000
BATCH = 500
EVERY_S = 0.05  # examples gather this long: a batch costs a round trip


class Examples:
    """A bounded queue in front of the topic. The oldest go first when it is full; an erasure never does."""

    def __init__(self, *, to: Log, topic: str, lost: Counter) -> None:
        self._to, self._topic, self._lost = to, topic, lost
        self._waiting: deque[tuple[str, Lesson]] = deque()
        self._wake = asyncio.Event()

    def put(self, lesson: Example | Erased) -> None:
        """Sync: callable from the middle of a fold."""
        key = lesson.event.event_id if isinstance(lesson, Example) else f"erased {lesson.erasure_id} {lesson.line}"
        self._waiting.append((key, lesson))
        if len(self._waiting) > MAX_WAITING:
            self._drop()
        self._wake.set()

    def _drop(self) -> None:
        for at, (_, lesson) in enumerate(self._waiting):
            if isinstance(lesson, Example):
                del self._waiting[at]
                self._lost.inc()
                return

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
                    await self._publish(limit=MAX_WAITING)
            raise

    async def _publish(self, limit: int = BATCH) -> None:
        batch = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        try:
            await self._to.publish_many(self._topic, [(key, encode_lesson(lesson)) for key, lesson in batch])
        except Unavailable as error:
            log.warning("examples could not be published, trying again: %s", error)
            self._waiting.extendleft(reversed(batch))
            await asyncio.sleep(0.5)
        except asyncio.CancelledError:  # they may be there or not; what comes twice counts once, what is lost does not
            self._waiting.extendleft(reversed(batch))
            raise
