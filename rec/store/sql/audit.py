"""`rec.ports.Audit` in SQL: who did what, when; append only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from rec.store.sql.connection import Connected
from rec.store.sql.models import AUDIT, AuditRow


async def enter(session: AsyncSession, actor: str, action: str, target: str, detail: Mapping[str, Any]) -> None:
    """A line in the transaction of what it tells of."""
    entry = {"at": datetime.now(UTC), "actor": actor, "action": action, "target": target, "detail": dict(detail)}
    await session.execute(insert(AUDIT).values(entry))


class SqlAudit(Connected):
    """Entries are written with this machine's clock and read back newest first."""

    async def record(self, actor: str, action: str, target: str, detail: Mapping[str, Any]) -> None:
        async with self._unit() as session:
            await enter(session, actor, action, target, detail)

    async def recent(self, limit: int = 100) -> list[dict[str, Any]]:
        query = select(AuditRow.at, AuditRow.actor, AuditRow.action, AuditRow.target, AuditRow.detail)
        async with self._unit() as session:
            rows = await session.execute(query.order_by(AuditRow.id.desc()).limit(limit))
            return [dict(row) for row in rows.mappings()]
