"""`rec.ports.Archive` in SQL: every accepted event, exactly one row per event_id, in the order of arrival.

Invariant: sequence numbers come from a locked counter, so they become visible in order; gaps are repeated events.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from rec.archive_rules import archive_row
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
        rows = [archive_row(event, payload)._asdict() for event, payload in events]
        insert = self._insert(EVENTS).on_conflict_do_nothing(index_elements=[EVENTS.c.event_id])
        async with self._unit() as session:
            last = await lock_counter(session, ARCHIVE, add=len(rows))
            for seq, row in enumerate(rows, start=last - len(rows) + 1):
                row["seq"] = seq
            if choices:
                await self._keep_choices(session, choices)
            return len((await session.execute(insert.returning(EVENTS.c.seq), rows)).all())

    async def _keep_choices(self, session: AsyncSession, choices: Mapping[ChoiceKey, Chosen]) -> None:
        upsert = self._insert(CHOICES)
        upsert = upsert.on_conflict_do_update(
            index_elements=[CHOICES.c.subject_hash, CHOICES.c.use],
            set_={"denied": upsert.excluded.denied, "at": upsert.excluded.at},
            where=upsert.excluded.at >= CHOICES.c.at,
        )
        rows = [{"subject_hash": digest, "use": use, **chosen._asdict()} for (digest, use), chosen in choices.items()]
        await session.execute(upsert, rows)

    async def choices_of(self, hashes: Sequence[str]) -> dict[ChoiceKey, Chosen]:
        found: dict[ChoiceKey, Chosen] = {}
        columns = (ChoiceRow.subject_hash, ChoiceRow.use, ChoiceRow.denied, ChoiceRow.at)
        async with self._unit() as session:
            for some in pieces(hashes):
                rows = await session.execute(select(*columns).where(ChoiceRow.subject_hash.in_(some)))
                found.update({(digest, use): Chosen(denied, at) for digest, use, denied, at in rows})
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


def _owners(user_id: str | None, visitors: Sequence[str]) -> Iterator[ColumnElement[bool]]:
    """Conditions that together choose what this user did, and what these visitors did without one."""
    if user_id is not None:
        yield EVENTS.c.subject == user_id
    for some in pieces(visitors):
        yield and_(EVENTS.c.subject.in_(some), EVENTS.c.user_id.is_(None))
