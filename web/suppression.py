"""SQL → **suppression** → events. Who was erased when, so that what happened before cannot come back.

Only keyed hashes are held. Invariant: a refusal is final, because moments are only ever added or moved forward.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta

from rec.errors import Unavailable
from rec.events import Event
from rec.ports import Erasures, Exchange
from rec.privacy import user_hash

REFRESH_S = 30.0
_OVERLAP = timedelta(minutes=5)  # an erasure may become visible later than its own time says


class Suppression:
    """The erased users of all processes, kept up to date from SQL. `on_erased` is told each user that is erased."""

    def __init__(self, secret: str, database: Erasures, on_erased: Callable[[str], None]) -> None:
        self._secret, self._database, self._on_erased = secret, database, on_erased
        self._erased: dict[str, datetime] = {}
        self._nudged = asyncio.Event()
        self._whole = True  # read all of SQL the next time, rather than what is newest there

    def hash(self, user_id: str) -> str:
        """The form in which an erased user is remembered."""
        return user_hash(self._secret, user_id)

    def note(self, digest: str, at: datetime) -> None:
        """An erasure, known before SQL is asked again."""
        self._erased[digest] = max(at, self._erased.get(digest, at))

    def erased_at(self, user_id: str) -> datetime | None:
        return self._erased.get(self.hash(user_id)) if self._erased else None

    def refuses(self, event: Event) -> bool:
        """Whether an event belongs to a life of its user or visitor that was erased since."""
        if not self._erased or event.event_ts is None:
            return False
        moments = (self.erased_at(who) for who in (event.user_id, event.visitor_id) if who)
        return any(at is not None and event.event_ts <= at for at in moments)

    async def refresh(self) -> None:
        """Read from SQL what is new, and after a gap everything. Raises Unavailable."""
        newest = None if self._whole else max(self._erased.values(), default=None)
        since = newest - _OVERLAP if newest is not None else None
        for digest, at in (await self._database.suppressed(since)).items():
            self.note(digest, at)
        self._whole = False

    async def keep_fresh(self) -> None:
        """Read at the start, at every nudge, and every 30 s."""
        while True:
            await self.refresh()
            try:
                async with asyncio.timeout(REFRESH_S):
                    await self._nudged.wait()
            except TimeoutError:
                continue
            self._nudged.clear()

    async def follow(self, exchange: Exchange) -> None:
        """Take hints of other processes."""
        async for hint in exchange.hints():
            if hint is None:
                self._read_all()
            elif hint.kind == "erased":
                self._on_erased(hint.subject)
                await self._look_up(hint.subject)

    async def _look_up(self, user_id: str) -> None:
        """Of one who was erased: when. A visitor's row has the time of their user's erasure, which may be long past."""
        digest = self.hash(user_id)
        try:
            at = await self._database.erased_at(digest)
        except Unavailable:
            self._read_all()
            return
        if at is not None:
            self.note(digest, at)

    def _read_all(self) -> None:
        self._whole = True
        self._nudged.set()
