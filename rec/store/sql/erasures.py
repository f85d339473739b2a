"""`rec.ports.Erasures` in SQL: receipts of what was removed, and whose events are refused since when."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from rec.errors import NotFound
from rec.ports import Erasure
from rec.store.sql.connection import Connected
from rec.store.sql.models import ERASURE_STEPS, ERASURES, ErasureRow, ErasureStepRow, UtcDateTime


class SqlErasures(Connected):
    """Erasures by id; the user appears as a keyed hash alone."""

    async def open_erasure(self, erasure_id: str, user_hash: str, requested_at: datetime) -> None:
        row = {"erasure_id": erasure_id, "user_hash": user_hash, "requested_at": requested_at}
        async with self._unit() as session:
            await session.execute(self._insert(ERASURES).values(row).on_conflict_do_nothing())

    async def add_step(self, erasure_id: str, store: str, removed: int, at: datetime, note: str = "") -> None:
        line = {"removed": removed, "at": at, "note": note}
        insert = self._insert(ERASURE_STEPS).values(erasure_id=erasure_id, store=store, **line)
        key = [ERASURE_STEPS.c.erasure_id, ERASURE_STEPS.c.store]
        try:
            async with self._unit() as session:
                larger = insert.excluded.removed >= ERASURE_STEPS.c.removed
                await session.execute(insert.on_conflict_do_update(index_elements=key, set_=line, where=larger))
        except IntegrityError as error:
            raise NotFound(
                "There is no such erasure; open it before its steps are added.", field="erasure_id"
            ) from error

    async def get_erasure(self, erasure_id: str) -> Erasure | None:
        steps = select(ErasureStepRow).where(ErasureStepRow.erasure_id == erasure_id)
        async with self._unit() as session:
            row = await session.get(ErasureRow, erasure_id)
            if row is None:
                return None
            lines = (await session.scalars(steps.order_by(ErasureStepRow.at, ErasureStepRow.store))).all()
        return _erasure(row, lines)

    async def erasures(self) -> list[Erasure]:
        rows = select(ErasureRow).order_by(ErasureRow.requested_at, ErasureRow.erasure_id)
        steps = select(ErasureStepRow).order_by(ErasureStepRow.at, ErasureStepRow.store)
        lines: dict[str, list[ErasureStepRow]] = {}
        async with self._unit() as session:
            for line in await session.scalars(steps):
                lines.setdefault(line.erasure_id, []).append(line)
            return [_erasure(row, lines.get(row.erasure_id, ())) for row in await session.scalars(rows)]

    async def erased_at(self, user_hash: str) -> datetime | None:
        newest = func.max(ErasureRow.requested_at, type_=UtcDateTime)
        async with self._unit() as session:
            found: datetime | None = await session.scalar(select(newest).where(ErasureRow.user_hash == user_hash))
        return found

    async def suppressed(self, since: datetime | None = None) -> dict[str, datetime]:
        newest = func.max(ErasureRow.requested_at, type_=UtcDateTime)
        query = select(ErasureRow.user_hash, newest).group_by(ErasureRow.user_hash)
        if since is not None:
            query = query.where(ErasureRow.requested_at >= since)
        async with self._unit() as session:
            return {user_hash: at for user_hash, at in await session.execute(query)}


def _erasure(row: ErasureRow, lines: Iterable[ErasureStepRow]) -> Erasure:
    steps = [{"store": line.store, "removed": line.removed, "at": line.at, "note": line.note} for line in lines]
    return Erasure(row.erasure_id, row.user_hash, row.requested_at, steps)
