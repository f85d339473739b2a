"""`rec.ports.Archive` in SQL: every accepted event, exactly one row per event_id, in the order of arrival.

Invariant: sequence numbers come from a locked counter, so they become visible in order; gaps are repeated events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.elements import KeyedColumnElement

from rec.archive_rules import archive_row, one_each
from rec.events import Event
from rec.ports import ChoiceKey, Chosen
from rec.store.sql.connection import Connected, lock_counter
from rec.store.sql.models import ARCHIVE, CHOICES, EVENTS, ChoiceRow, EventRow
from rec.store.sql.pieces import pieces

PAGE = 2_000  # rows in one answer of the database


class SqlArchive(Connected):
    """Behavior events as `rec.archive_rules` lets them be kept."""

    async def append(
        self, events: Sequence[tuple[Event, bytes]], choices: Mapping[ChoiceKey, Chosen] | None = None
    ) -> int:
        if not events:
            return 0
        rows = [row._asdict() for row in one_each(archive_row(event, payload) for event, payload in events)]
        insert = self._insert(EVENTS)
        theirs = insert.excluded
        insert = insert.on_conflict_do_update(
            index_elements=[EVENTS.c.event_id],
            set_={name: theirs[name] for name in rows[0]},
            where=_says_more(theirs),
        )
        async with self._unit() as session:
            first = await lock_counter(session, ARCHIVE, add=len(rows)) - len(rows) + 1
            for seq, row in enumerate(rows, start=first):
                row["seq"] = seq
            if choices:
                await self._keep_choices(session, choices)
            written = await session.execute(insert.returning(EVENTS.c.seq), rows)
            return sum(seq >= first for (seq,) in written)  # one that took another's place has the other's number

    async def _keep_choices(self, session: AsyncSession, choices: Mapping[ChoiceKey, Chosen]) -> None:
        upsert = self._insert(CHOICES)
        upsert = upsert.on_conflict_do_update(
            index_elements=[CHOICES.c.subject_hash, CHOICES.c.use],
            set_={name: upsert.excluded[name] for name in Chosen._fields},
            where=upsert.excluded.at >= CHOICES.c.at,
        )
        rows = [{"subject_hash": digest, "use": use, **chosen._asdict()} for (digest, use), chosen in choices.items()]
        await session.execute(upsert, rows)

    async def choices_of(self, hashes: Sequence[str]) -> dict[ChoiceKey, Chosen]:
        found: dict[ChoiceKey, Chosen] = {}
        columns = [CHOICES.c[name] for name in ("subject_hash", "use", *Chosen._fields)]
        async with self._unit() as session:
            for some in pieces(hashes):
                rows = await session.execute(select(*columns).where(ChoiceRow.subject_hash.in_(some)))
                found.update({(digest, use): Chosen._make(rest) for digest, use, *rest in rows})
        return found

    async def forget_choices(self, subject_hash: str) -> int:
        gone = delete(CHOICES).where(CHOICES.c.subject_hash == subject_hash).returning(CHOICES.c.use)
        async with self._unit() as session:
            return len((await session.execute(gone)).all())

    async def read(
        self, chunk: int = 2_000, after: int = 0, since: datetime | None = None, until: datetime | None = None
    ) -> AsyncIterator[list[tuple[int, bytes]]]:
        query = select(EventRow.seq, EventRow.payload).order_by(EventRow.seq).limit(chunk)
        if since is not None:
            query = query.where(EventRow.event_ts >= since)
        if until is not None:
            query = query.where(EventRow.event_ts < until)
        while True:
            async with self._unit() as session:  # one unit a page: a slow reader holds no connection
                page = [(seq, payload) for seq, payload in await session.execute(query.where(EventRow.seq > after))]
            if not page:
                return
            yield page
            after = page[-1][0]

    async def count_events(self) -> int:
        async with self._unit() as session:
            return await session.scalar(select(func.count()).select_from(EventRow)) or 0

    async def events_of(self, user_id: str, visitors: Sequence[str] = ()) -> list[bytes]:
        found: dict[int, bytes] = {}
        for some in _owners(user_id, visitors):
            query = select(EventRow.seq, EventRow.payload).where(some).order_by(EventRow.seq.desc()).limit(PAGE)
            page, before = [(0, b"")], None
            while page:
                older = query if before is None else query.where(EventRow.seq < before)
                async with self._unit() as session:  # one unit a page, as in `read`
                    page = [(seq, payload) for seq, payload in await session.execute(older)]
                found.update(page)
                before = page[-1][0] if page else None
        return [found[seq] for seq in sorted(found, reverse=True)]

    async def delete_events_of(
        self, user_id: str | None, visitors: Sequence[str] = (), until: datetime | None = None
    ) -> int:
        removed = 0
        async with self._unit() as session:
            await lock_counter(session, ARCHIVE)
            for some in _owners(user_id, visitors):
                chosen = some if until is None else and_(some, EVENTS.c.event_ts <= until)
                removed += len((await session.execute(delete(EVENTS).where(chosen).returning(EVENTS.c.seq))).all())
        return removed


def _says_more(new: ReadOnlyColumnCollection[str, KeyedColumnElement[Any]]) -> ColumnElement[bool]:
    """`rec.archive_rules.says_more`, of a row that comes in and the one that is there."""
    old = EVENTS.c
    return and_(
        new.visitor_id.is_not_distinct_from(old.visitor_id),
        or_(new.user_id.is_(None), old.user_id.is_(None), new.user_id == old.user_id),
        or_(
            and_(old.withheld, not_(new.withheld)),
            and_(old.withheld == new.withheld, old.user_id.is_(None), new.user_id.is_not(None)),
        ),
    )


def _owners(user_id: str | None, visitors: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together choose what this user did, and what these visitors did without one."""
    if user_id is not None:
        yield EVENTS.c.subject == user_id
    for some in pieces(visitors):
        yield and_(EVENTS.c.subject.in_(some), EVENTS.c.user_id.is_(None))
