"""queue → **sender** → web. One task that brings queued events to the server, however long the server is away.

What happens to an event: accepted or duplicate → settled; rejected → dropped with its error; a temporary failure,
or one that is not the event's fault (a wrong key, a wrong address) → kept and tried again with back-off. A user of whom
there is no token that the server takes has a back-off of their own: the others' events go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rec.client.backoff import Backoff
from rec.client.events import TrackResult, make_batch
from rec.client.journal import Journal
from rec.client.queue import EventQueue, Queued
from rec.client.timing import Timing
from rec.errors import BadInput, DeadlineExceeded, Forbidden, RecError, TooLarge, Unauthorized
from rec.events import Event
from rec.protocol import MAX_EVENTS

log = logging.getLogger("rec.client")

Post = Callable[[bytes, str], Awaitable[TrackResult]]  # (body, subject of its first event) → acknowledgment
OnDrop = Callable[[Event, RecError], None]


class _Held(NamedTuple):
    """A user whose events wait: how the next tries are spaced, and when the next one is (the loop's time)."""

    backoff: Backoff
    until: float


class Sender:
    """`by_subject`: a request may carry one subject's events only (a user's token allows no others)."""

    def __init__(
        self,
        post: Post,
        queue: EventQueue,
        journal: Journal | None,
        backoff: Backoff,
        timing: Timing,
        on_drop: OnDrop | None,
        by_subject: bool,
    ) -> None:
        self._post, self._queue, self._journal = post, queue, journal
        self._backoff, self._timing, self._on_drop, self._by_subject = backoff, timing, on_drop, by_subject
        self._limit = MAX_EVENTS  # smaller while the culprit of a refused request is looked for
        self._saved = 0  # tickets up to this one are in the journal
        self._saving = asyncio.Lock()
        self._fresh = asyncio.Event()  # something is queued that may not be in the journal
        self._error: RecError | None = None  # of the last try
        self._defects = 0  # of our own code, so far
        self._held: dict[str, _Held] = {}  # by subject
        self._resting = False  # all that waits is held
        self._work = asyncio.Event()
        self._hurry = asyncio.Event()
        self._progress = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._saver: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take up what the journal holds from the last run."""
        if self._journal is not None:
            opening = asyncio.get_running_loop().run_in_executor(None, self._journal.open)
            try:
                left = await asyncio.shield(opening)
            except asyncio.CancelledError:
                await asyncio.wait([opening])  # its thread would lock the file after we are gone
                self._journal.close()
                raise
            for event in left:
                self._keep(event)
            self._saved = self._queue.last_ticket
            self._saver = asyncio.create_task(self._save_for_ever(), name="rec-client-saver")
        self._task = asyncio.create_task(self._run(), name="rec-client-sender")
        if self._queue:
            self._work.set()

    def put(self, event: Event) -> None:
        """Queue an event; never waits."""
        self._keep(event)
        self._work.set()
        self._fresh.set()
        if self._resting:
            self._hurry.set()

    async def flush(self, timeout_s: float) -> None:
        """Return when all that is queued now has been settled or dropped; else raise what stands in the way."""
        target, before = self._queue.last_ticket, self._defects
        self._held = {subject: held._replace(until=0.0) for subject, held in self._held.items()}
        self._hurry.set()
        try:
            async with asyncio.timeout(timeout_s), self._progress:
                await self._progress.wait_for(lambda: self._queue.settled_through(target) or self._defects > before)
        except TimeoutError:
            waiting = f"{len(self._queue)} events are still queued after {timeout_s:g} s"
            raise DeadlineExceeded(f"{waiting}: {self._error}" if self._error else waiting) from self._error
        if self._defects > before and not self._queue.settled_through(target):
            raise self._error or RecError("the sender failed by a defect; see the log")

    async def close(self, timeout_s: float) -> None:
        """Try once more to send what waits; what cannot be sent stays in the journal or is lost, and is counted."""
        if self._task is None:
            return
        try:
            if self._queue:
                with contextlib.suppress(RecError):
                    await self.flush(timeout_s)
        finally:
            tasks = [task for task in (self._task, self._saver) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if self._journal is not None:
                with contextlib.suppress(OSError):  # logged by _save
                    await self._save()
                self._journal.close()
        if self._queue:
            fate = "lost" if self._journal is None else "kept in the queue's file"
            log.warning("%d events could not be sent and are %s: %s", len(self._queue), fate, self._error)

    # -------------------------------------------------------------- inside
    def _keep(self, event: Event) -> None:
        if (dropped := self._queue.put(event)) is not None:
            self._drop(dropped, TooLarge("the event queue is full; the oldest event was dropped", code="queue_full"))

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except Exception as defect:  # noqa: BLE001 - the last net: whoever waits is told, and the queue goes on
                await self._defect(defect)

    async def _round(self) -> None:
        with contextlib.suppress(OSError):  # logged by _save: a full disk must not stop the sending
            await self._save()
        if not self._queue:
            self._work.clear()
            await self._work.wait()
            await asyncio.sleep(self._timing.gather_s)
            return
        batch = self._batch()
        self._hurry.clear()
        if not batch:
            await self._rest()
            return
        try:
            body = make_batch([queued.event for queued in batch], datetime.now(UTC), self._limit)
            batch = batch[: body.length]
            result = await self._post(body.body, batch[0].event.subject)
        except RecError as error:
            await self._failed(batch, error)
        else:
            await self._done(batch, result)

    async def _defect(self, defect: Exception) -> None:
        log.error("sending queued events failed by a defect; they stay queued", exc_info=defect)
        self._error = RecError(f"queued events could not be sent, by a defect: {defect!r}")
        self._error.__cause__ = defect
        self._defects += 1
        async with self._progress:
            self._progress.notify_all()
        self._hurry.clear()  # whoever hurried us has been told
        await self._pause()

    def _batch(self) -> list[Queued]:
        if not self._by_subject:
            return self._queue.head(self._limit)
        now = asyncio.get_running_loop().time()
        held = {subject for subject, each in self._held.items() if each.until > now}
        head = self._queue.head(len(self._queue) if held else self._limit)
        free = [queued for queued in head if queued.event.subject not in held][: self._limit]
        others = (k for k, queued in enumerate(free) if queued.event.subject != free[0].event.subject)
        return free[: next(others, len(free))]

    async def _rest(self) -> None:
        """Until the first of those who are held is to be tried again, or something else is queued."""
        waiting = {queued.event.subject for queued in self._queue.head(len(self._queue))}
        self._held = {subject: held for subject, held in self._held.items() if subject in waiting}
        until = min(each.until for each in self._held.values())
        self._resting = True
        try:
            async with asyncio.timeout_at(until):
                await self._hurry.wait()
        except TimeoutError:
            pass  # somebody's turn has come
        finally:
            self._resting = False

    async def _done(self, batch: Sequence[Queued], result: TrackResult) -> None:
        for rejection in result.rejected:
            if 0 <= rejection.index < len(batch):
                self._drop(batch[rejection.index].event, rejection.error())
        self._error = None
        self._held.pop(batch[0].event.subject, None)
        self._limit = min(MAX_EVENTS, self._limit * 2)
        self._backoff.reset()
        await self._settle(batch)

    async def _failed(self, batch: Sequence[Queued], error: RecError) -> None:
        # A refused request as a whole (400, 413): halve it until the event at fault is alone, and drop that one.
        if type(error) is BadInput or isinstance(error, TooLarge):
            if len(batch) > 1:
                self._limit = len(batch) // 2
            else:
                self._drop(batch[0].event, error)
                await self._settle(batch)
            return
        if self._error is None:
            log.warning("events are queued until the server takes them again: %s", error)
        self._error = error
        if self._by_subject and (isinstance(error, Unauthorized | Forbidden) or error.code == "token"):
            self._hold(batch[0].event.subject, error.retry_after or 0.0)
        else:
            await self._pause(error.retry_after)

    def _hold(self, subject: str, at_least_s: float) -> None:
        low_s, high_s = self._timing.backoff_low_s, self._timing.backoff_high_s
        backoff = self._held[subject].backoff if subject in self._held else Backoff(low_s, high_s, random.Random())
        delay = max(backoff.next_delay(), at_least_s)
        self._held[subject] = _Held(backoff, asyncio.get_running_loop().time() + delay)

    async def _pause(self, retry_after: float | None = None) -> None:
        delay = self._backoff.next_delay()
        if retry_after is not None:
            await asyncio.sleep(max(delay, retry_after))
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._hurry.wait()

    async def _settle(self, batch: Sequence[Queued]) -> None:
        self._queue.settle([queued.ticket for queued in batch])
        async with self._progress:
            self._progress.notify_all()

    async def _save_for_ever(self) -> None:
        """Beside the sending, which may wait for the server for long: what is queued meanwhile outlives us, too."""
        while True:
            await self._fresh.wait()
            self._fresh.clear()
            with contextlib.suppress(OSError):  # logged by _save; the next event tries again
                await self._save()
            await asyncio.sleep(self._timing.gather_s)

    async def _save(self) -> None:
        """Bring the journal up to the queue: append what is new, strike out what is settled when it is the most."""
        if self._journal is None:
            return
        async with self._saving:
            await self._bring_up(self._journal)

    async def _bring_up(self, journal: Journal) -> None:
        last = self._queue.last_ticket
        fresh = [queued.event for queued in self._queue.head(len(self._queue), after=self._saved)]
        live = len(self._queue)
        try:
            if journal.lines + len(fresh) > 2 * live + MAX_EVENTS or (not live and journal.lines):
                await asyncio.to_thread(journal.rewrite, [queued.event for queued in self._queue.head(live)])
            elif fresh:
                await asyncio.to_thread(journal.append, fresh)
        except OSError as error:
            log.warning("the event queue's file could not be written: %s", error)
            raise
        self._saved = last

    def _drop(self, event: Event, error: RecError) -> None:
        log.warning("an event was dropped: %s", error)
        if self._on_drop is None:
            return
        try:
            self._on_drop(event, error)
        except Exception:  # the application's code: the events behind this one must go on
            log.exception("on_drop raised")
