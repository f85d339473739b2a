"""behavior's searches → **intents** → the list at home, once their words have a vector.

A list that follows from a search waits a moment for the vector of its query, and is made without it if the encoder is
cold or busy. When the vector has come the list is made once more, of a version of its own: a client takes nothing that
is not newer. Who waits is bounded, with the newest query of each alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from agents.query_encoder import QueryEncoder
from rec.errors import Unavailable
from rec.events import Event

log = logging.getLogger(__name__)

WITHIN_S = 0.1  # a warm encoder is waited for so long before the list is made without
READ_WITHIN_S = 60.0  # ... and a cold one for the list after it: it loads its model first
MOST = 256  # who wait; the longest waiting go first

Again = Callable[[], Awaitable[None]]


class Intents:
    """Says when the list of who searched is to be made. `encoder` None: at once, and never again."""

    def __init__(self, encoder: QueryEncoder | None) -> None:
        self._encoder = encoder
        self._waiting: dict[str, tuple[str, Again]] = {}  # subject → the newest query
        self._reading: dict[str, tuple[str, Again]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    def understood(self, event: Event, then: Callable[[], None], again: Again) -> None:
        """Call `then` once the vector of what was searched for is known, if it will be soon; else now, and `again` when
        it is. What is no search is understood at once."""
        encoder, term = self._encoder, event.search_term
        if event.event != "search" or not term or encoder is None:
            then()
            return
        self.forget(event.subject)  # an older search is none of theirs any more
        if encoder.known(term) is not None:
            then()
        elif not encoder.is_warm:
            then()
            self._later(event.subject, term, again)
        else:
            task = asyncio.create_task(self._soon(encoder, event.subject, term, then, again))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def forget(self, subject: str) -> None:
        """Nobody waits for this subject's list any more."""
        self._waiting.pop(subject, None)
        self._reading.pop(subject, None)

    async def run(self) -> None:
        """For ever: what waits is read together, by a cold encoder, too."""
        encoder = self._encoder
        try:
            while encoder is not None:
                await self._wake.wait()
                self._wake.clear()
                self._reading, self._waiting = self._waiting, {}
                wanted = [(subject, term) for subject, (term, _) in self._reading.items()]
                vectors = await asyncio.gather(*(encoder.read(term, READ_WITHIN_S, cold=True) for _, term in wanted))
                for (subject, _), vector in zip(wanted, vectors, strict=True):
                    known = self._reading.pop(subject, None)
                    if known is not None and vector is not None:
                        await _made(known[1])
        finally:
            for task in self._tasks:
                task.cancel()

    def _later(self, subject: str, term: str, again: Again) -> None:
        self._waiting[subject] = term, again
        while len(self._waiting) > MOST:
            del self._waiting[next(iter(self._waiting))]
        self._wake.set()

    async def _soon(
        self, encoder: QueryEncoder, subject: str, term: str, then: Callable[[], None], again: Again
    ) -> None:
        vector = await encoder.read(term, WITHIN_S)
        then()
        if vector is None:
            self._later(subject, term, again)


async def _made(again: Again) -> None:
    try:
        await again()
    except Unavailable as error:
        log.warning("a list does not follow from its search until the next event: %s", error)
