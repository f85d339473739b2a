"""archive → **replay** → log `behavior`: history once more, to fill a new log or to run the loop at another speed.

Invariant: events keep their ids and times, and each user's come in the order in which they were archived. Whoever
folded an event shortly before folds it no second time; an event that was never folded, or long ago, is folded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime

from rec.events import Event, decode_event
from rec.ports import Archive, Log

BATCH = 500
TICK_S = 0.01  # what is due within this is published together
Wait = Callable[[float], Awaitable[None]]


async def replay(
    archive: Archive,
    log: Log,
    topic: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    speed: float | None = None,
    told: Callable[[int], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
    wait: Wait = asyncio.sleep,
) -> int:
    """Publish the archived events of [since, until) by `event_ts`; how many.

    `speed`: seconds of history in a second of now; None: as fast as the log takes them. `told` hears how many.
    """
    pages = archive.read(BATCH, since=since, until=until)
    done = 0
    async for batch in _all_at_once(pages) if speed is None else _paced(pages, speed, clock, wait):
        await log.publish_many(topic, [(event.subject, payload) for event, payload in batch])
        done += len(batch)
        told(done)
    return done


Batch = list[tuple[Event, bytes]]


async def _all_at_once(pages: AsyncIterator[list[tuple[int, bytes]]]) -> AsyncIterator[Batch]:
    async for page in pages:
        yield [(decode_event(payload), payload) for _, payload in page]


async def _paced(
    pages: AsyncIterator[list[tuple[int, bytes]]], speed: float, clock: Callable[[], float], wait: Wait
) -> AsyncIterator[Batch]:
    """Each event when its time has come. One that is older than those before it comes at once, and delays nobody."""
    began, first = clock(), None
    async for batch in _all_at_once(pages):
        due: Batch = []
        for event, payload in batch:
            first = event.at if first is None else first
            ahead = (event.at - first) / speed - (clock() - began)
            if ahead > TICK_S:
                if due:
                    yield due
                    due = []
                await wait(ahead)
            due.append((event, payload))
        if due:
            yield due
