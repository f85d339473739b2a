"""erasure → **unlearning** → weights that have never seen the user. The last line of an erasure's receipt.

What a user taught cannot be taken out of weights; so the weights are made again without them: the newest checkpoint
older than the user's first example, and from there the retained examples of everybody else. What serves meanwhile is
the version that served. Afterwards no version and no checkpoint that had learned from the user is left, and their
examples are marked as deleted in the log: not before, or whoever is interrupted would find that there were none.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from agents.checkpoints import Checkpoints
from agents.examples import erased_key
from agents.reading import lesson_of, retained
from rec.errors import NotFound
from rec.examples import WEIGHTS, Erased, Example, Rewarded
from rec.ports import Database, Log, Record
from rec.privacy import VISITOR_ROW

log = logging.getLogger(__name__)

NOTHING = "the model had learned nothing of this user"
NEVER = float("inf")


class Base(NamedTuple):
    """Where to begin: a checkpoint (None: a new lineage) and the offset of the first record to learn from."""

    checkpoint: str | None
    offset: int
    untouched: Callable[[Mapping[str, Any]], bool] = lambda _: True  # by a meta.json: made before any of the users


class Unlearning:
    """Finds where to begin again, and closes the receipts when it is done."""

    def __init__(self, *, source: Log, topic: str, checkpoints: Checkpoints, database: Database) -> None:
        self._source, self._topic, self._checkpoints, self._database = source, topic, checkpoints, database
        self._found: dict[str, dict[int, Record]] = {}  # erasure line → their examples that were ever found, by offset

    async def base(self, users: list[Erased], end: int, log_id: str) -> Base | None:
        """Where to begin again so that none of these users is in the weights; None if none of them ever was.

        May be called again, if it or what follows from it could not be done. Raises Unavailable.
        """
        scanned, began = await self._scan(users, end)
        found: dict[str, list[Record]] = {}
        for erased in users:
            known = self._found.setdefault(_row(erased), {})
            known |= {record.offset: record for record in scanned[_row(erased)]}
            found[_row(erased)] = list(known.values())
        first = min((record.offset for records in found.values() for record in records), default=end)
        since = min(taught_since(erased, found[_row(erased)], began) for erased in users)
        if since == NEVER:
            return None

        def untouched(meta: Mapping[str, Any]) -> bool:
            through = meta.get("heard_through", meta["learned_through"])  # what is older than the name says the latter
            here, older = meta["log"] == log_id, float(through) < since
            return older and (not here or int(meta["offset"]) <= first)

        base = Base(None, 0, untouched)
        doomed = []
        for name, meta in await self._checkpoints.metas():
            if base.checkpoint is None and untouched(meta):
                base = Base(name, int(meta["offset"]) if meta["log"] == log_id else 0, untouched)
            elif base.checkpoint is None:
                doomed.append(name)
        await self._checkpoints.drop(doomed)
        return base

    async def _scan(self, users: list[Erased], end: int) -> tuple[dict[str, list[Record]], float]:
        """Examples before `end` by erasure, and the time of the oldest record that the log still has (else NEVER).

        What is older was learned from what is gone. What somebody who came back has done since their erasure is not of
        the life that it ends: it is learned from, and another erasure is to find it.
        """
        found: dict[str, list[Record]] = {_row(erased): [] for erased in users}
        of: dict[str, list[Erased]] = {}
        for erased in users:
            of.setdefault(erased.user_id, []).append(erased)
        began = NEVER
        newest = sum((await self._source.ends(self._topic)).values())  # the oldest may be one that nobody has read yet
        async with contextlib.aclosing(retained(self._source, self._topic, newest)) as records:
            async for record in records:
                if began == NEVER:
                    began = record.timestamp
                if record.offset >= end:
                    break
                subject, at = _who_and_when(record)
                for erased in of.get(subject, ()):
                    if at <= erased.at:
                        found[_row(erased)].append(record)
        return found, began

    async def orphans(self) -> list[Erased]:
        """Erasures whose record was lost with the log before the model had followed. Of whom they are, nobody knows."""
        return [
            Erased("", receipt.requested_at.timestamp(), 0.0, receipt.erasure_id, WEIGHTS)
            for receipt in await self._database.erasures()
            if not receipt.erasure_id.startswith(VISITOR_ROW)
            and not any(step["store"] == WEIGHTS for step in receipt.steps)
        ]

    async def close(self, users: list[Erased], version: str | None) -> None:
        """Write the receipts: which version is the first without them. Then their examples are marked as deleted.

        Kafka drops them at the next compaction. May be called again. Raises Unavailable.
        """
        now, gone = datetime.now(UTC), list[str]()
        for erased in users:
            note = f"gone from version {version} on; no earlier one can serve again" if version else NOTHING
            found = self._found.get(_row(erased), {})
            with contextlib.suppress(NotFound):  # an erasure that nobody opened has no receipt
                await self._database.add_step(erased.erasure_id, erased.line, len(found), now, note)
            gone += [record.key.decode() for record in found.values()]
        gone += [erased_key(erased) for erased in users]
        await self._source.publish_many(self._topic, [(key, None) for key in gone])
        for erased in users:
            self._found.pop(_row(erased), None)


def taught_since(erased: Erased, examples: list[Record], began: float) -> float:
    """Since when the model may have learned from a user; NEVER if it has not.

    `examples` are theirs that the log still has, `began` is the time of the oldest record of all.
    """
    if erased.since == 0 or 0 < erased.since < began:
        return erased.since
    if not examples:
        return NEVER
    lessons = [lesson for each in examples if isinstance(lesson := lesson_of(each), Example | Rewarded)]
    oldest = min(each.at if isinstance(each, Rewarded) else each.event.at for each in lessons)
    return min(oldest, erased.since) if erased.since > 0 else oldest


def _row(erased: Erased) -> str:
    return f"{erased.erasure_id} {erased.line}"


def _who_and_when(record: Record) -> tuple[str, float]:
    """Whose record it is, and the time that says to which of their lives it belongs, as in `Forgetting.is_late`."""
    match lesson_of(record):
        case Example(event=event):
            return event.subject, event.at
        case Rewarded(user_id=user_id, at=at):
            return user_id, at
        case _:
            return "", NEVER
