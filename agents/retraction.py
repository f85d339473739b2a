"""erasure, denial → **retraction** → topic `feedback`. The examples of a user that are out, marked as deleted.

The topic is keyed by the list, so all of it is read to find a user's, at the lowest pace and seldom: whoever withdraws
waits a moment for others. Kafka drops what is marked at the next compaction. An erasure's receipt gets its line when
that is done. A worker that starts finds erasures without that line in SQL, by the keyed hash: a kill ends none of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from agents.forget import Forgetting
from rec.as_of_now import as_of_now
from rec.errors import NotFound, Unavailable
from rec.events import Event
from rec.ports import Database, Exchange, Log
from rec.privacy import VISITOR_ROW

log = logging.getLogger(__name__)

LINE = "feedback"
AFTER = "state table and changelog"  # the worker's own line: where it is, this one is due
NOTE = "open windows, and lists with what became of them, marked as deleted; counts over all users stay"
GATHER_S = 0.5
LOOK_AGAIN_S = 5.0  # whether the worker that sees to what is owed has done so
PATIENCE_S = 30.0
SLICE = 200  # records looked at before the event loop has its turn


class Retraction:
    """Takes back what is out of users who were erased or denied."""

    def __init__(
        self,
        *,
        to: Log,
        topic: str,
        partitions: int,
        forgetting: Forgetting,
        database: Database,
        exchange: Exchange,
        holder: str,
        gather_s: float = GATHER_S,
    ) -> None:
        self._to, self._topic, self._partitions = to, topic, partitions
        self._forgetting, self._database, self._exchange = forgetting, database, exchange
        self._holder, self._gather_s = holder, gather_s
        self._erased: list[tuple[Event, int]] = []
        self._denied: dict[str, float] = {}
        self._wake = asyncio.Event()

    def erased(self, event: Event, windows: int) -> None:
        """An `$erase` took so many windows; the rest is done behind everybody's back."""
        self._erased.append((event, windows))
        self._wake.set()

    def denied(self, user_id: str, at: float) -> None:
        """The user denied at `at`: nothing that was made of them before is to stay."""
        self._denied[user_id] = at
        self._wake.set()

    async def run(self) -> None:
        """Take back for ever; what an earlier life has left undone first."""
        finished = False
        while True:
            try:
                finished = finished or await self._finish()
                if self._erased or self._denied:
                    await self.turn()
            except Unavailable as error:
                log.warning("feedback is taken back later: %s", error)
                await asyncio.sleep(self._gather_s)
                continue
            if finished:
                await self._wake.wait()
                self._wake.clear()
            await asyncio.sleep(self._gather_s if finished else LOOK_AGAIN_S)

    async def turn(self) -> None:
        """All that waits, in one reading of the topic. Raises Unavailable, and nothing is forgotten."""
        erased, denied = list(self._erased), dict(self._denied)
        found = await self._take_back(denied)
        for event, windows in erased:
            count = found[self._forgetting.hash(event.subject)]
            await self._forgetting.receipt(event, LINE, windows + count, NOTE)
        self._erased = self._erased[len(erased) :]
        self._denied = {user: at for user, at in self._denied.items() if denied.get(user) != at}

    async def _finish(self) -> bool:
        """Write the lines that a killed worker owes. False while another worker sees to that, or it is too early."""
        if not await self._exchange.lease("feedback retraction", self._holder, 60):
            return False
        owed = [
            (receipt.erasure_id, receipt.user_hash, step["store"].removeprefix(AFTER))
            for receipt in await self._database.erasures()
            if not receipt.erasure_id.startswith(VISITOR_ROW)
            for step in receipt.steps
            if step["store"].startswith(AFTER)
            and not any(other["store"] == step["store"].replace(AFTER, LINE) for other in receipt.steps)
        ]
        if owed:
            found = await self._take_back({})
            for erasure_id, digest, suffix in owed:
                with contextlib.suppress(NotFound):
                    count = 0 if suffix else found[digest]  # whose visitor it was, nobody knows any more
                    await self._database.add_step(erasure_id, LINE + suffix, count, datetime.now(UTC), NOTE)
        return True

    async def _take_back(self, denied: dict[str, float]) -> Counter[str]:
        """Mark the examples of whoever was ever erased, or is among `denied`; how many by the hash of the user."""

        def is_meant(whose: _Whose) -> bool:
            user_id, at = whose.user_id, whose.served_at
            return self._forgetting.is_late(user_id, at) or at <= denied.get(user_id, -1.0)

        theirs = await self._read(is_meant)
        await self._to.publish_many(self._topic, [(slate_id, None) for slate_id in sorted(theirs)])
        return Counter(map(self._forgetting.hash, theirs.values()))

    async def _read(self, is_meant: Callable[[_Whose], bool]) -> dict[str, str]:
        """list → user, of those in the topic as of now that are meant. Raises Unavailable after a long silence."""
        theirs: dict[str, str] = {}
        async with contextlib.aclosing(as_of_now(self._to, self._topic, self._partitions, PATIENCE_S)) as batches:
            async for records in batches:
                for at, record in enumerate(records, 1):
                    key = record.key.decode(errors="replace")
                    theirs.pop(key, None)
                    if (whose := _whose(record.value)) is not None and is_meant(whose):
                        theirs[key] = whose.user_id
                    if at % SLICE == 0:
                        await asyncio.sleep(0)
        return theirs


class _Whose(msgspec.Struct):
    """What of an example says whose it is."""

    user_id: str
    served_at: float


_decode = msgspec.msgpack.Decoder(_Whose).decode


def _whose(raw: bytes | None) -> _Whose | None:
    try:
        return _decode(raw) if raw is not None else None
    except msgspec.MsgspecError:
        return None
