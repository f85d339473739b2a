"""`rec.ports.Models` in SQL: the registry of model versions.

Invariant: whoever changes it holds the lock of the counter `models`, so changes come one after the other and each sees
the one before; two unique indexes refuse a second live version and a second pin whatever happens here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import case, delete, false, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession

from rec.contest import UNTAUGHT
from rec.ports import ModelVersion
from rec.store.sql.connection import Connected, lock_counter
from rec.store.sql.models import MODELS, VERSIONS, VersionRow
from rec.versions import LIVE, WITHDRAWN, may_be_pinned, may_go_live, prunable, replaced, storable, unknown

_V = VERSIONS.c
# The columns of a ModelVersion, in its order.
_FIELDS = [_V.next_offset if field == "offset" else _V[field] for field in ModelVersion._fields]


class SqlVersions(Connected):
    """Versions by name, numbered as they were recorded."""

    async def record_version(self, version: ModelVersion) -> None:
        async with self._unit() as session:
            seq = await lock_counter(session, MODELS, add=1)
            row = _row(storable(version, await _named(session, version.version)))
            insert = self._insert(VERSIONS).values(**row, seq=seq, pinned=False)
            await session.execute(insert.on_conflict_do_update(index_elements=[_V.version], set_=row))

    async def version_of(self, name: str) -> ModelVersion | None:
        async with self._unit() as session:
            return await _named(session, name)

    async def versions(self, limit: int = 50, before: str | None = None) -> list[ModelVersion]:
        query = select(*_FIELDS).order_by(_V.seq.desc()).limit(limit)
        async with self._unit() as session:
            if before is not None:
                seq = await session.scalar(select(VersionRow.seq).where(VersionRow.version == before))
                if seq is None:
                    raise unknown(before)
                query = query.where(_V.seq < seq)
            return [ModelVersion(*row) for row in await session.execute(query)]

    async def live_version(self) -> ModelVersion | None:
        async with self._unit() as session:
            return await _live(session)

    async def go_live(self, name: str, note: str = "", *, rolled_back: bool = False, pin: bool = False) -> ModelVersion:
        async with self._unit() as session:
            await lock_counter(session, MODELS)
            chosen = may_go_live(name, await _named(session, name), None if pin else await _pinned(session))
            live = await _live(session)
            if live is not None and live.version != name:
                await _set(session, live.version, state=replaced(live, rolled_back))
            await _set(session, name, state=LIVE, note=note)
            if pin:
                await _pin(session, name)
        return chosen._replace(state=LIVE, note=note)

    async def withdraw(self, before: str, note: str) -> list[ModelVersion]:
        state = case((_V.state == LIVE, LIVE), else_=WITHDRAWN)
        async with self._unit() as session:
            await lock_counter(session, MODELS)
            seq = await session.scalar(select(VersionRow.seq).where(VersionRow.version == before))
            if seq is None:
                raise unknown(before)
            older = (_V.seq < seq, _V.withdrawn == false(), _V.version != UNTAUGHT)  # as rec.versions.may_be_withdrawn
            query = select(*_FIELDS).where(*older).order_by(_V.seq.desc())
            concerned = [ModelVersion(*row) for row in await session.execute(query)]
            change = update(VERSIONS).where(*older)
            await session.execute(change.values(state=state, withdrawn=True, pinned=False, note=note))
        return concerned

    async def pin(self, name: str | None) -> None:
        async with self._unit() as session:
            await lock_counter(session, MODELS)
            await _pin(session, name)

    async def pinned(self) -> str | None:
        async with self._unit() as session:
            return await _pinned(session)

    async def prune_versions(self, keep: int, needed: Collection[str] = ()) -> list[ModelVersion]:
        async with self._unit() as session:
            await lock_counter(session, MODELS)
            found = [ModelVersion(*row) for row in await session.execute(select(*_FIELDS).order_by(_V.seq))]
            gone = prunable(found, keep, needed, await _pinned(session))
            await session.execute(delete(VERSIONS).where(_V.version.in_([each.version for each in gone])))
            return gone


def _row(version: ModelVersion) -> dict[str, Any]:
    row = version._asdict()
    row["next_offset"] = row.pop("offset")
    return row


async def _named(session: AsyncSession, name: str) -> ModelVersion | None:
    row = (await session.execute(select(*_FIELDS).where(_V.version == name))).one_or_none()
    return ModelVersion(*row) if row else None


async def _live(session: AsyncSession) -> ModelVersion | None:
    row = (await session.execute(select(*_FIELDS).where(_V.state == LIVE))).one_or_none()
    return ModelVersion(*row) if row else None


async def _pinned(session: AsyncSession) -> str | None:
    return await session.scalar(select(VersionRow.version).where(VersionRow.pinned == true()))


async def _pin(session: AsyncSession, name: str | None) -> None:
    if name is not None:
        may_be_pinned(name, await _named(session, name))
    await session.execute(update(VERSIONS).where(_V.pinned == true()).values(pinned=False))
    if name is not None:
        await _set(session, name, pinned=True)


async def _set(session: AsyncSession, name: str, **values: Any) -> None:
    await session.execute(update(VERSIONS).where(_V.version == name).values(**values))
