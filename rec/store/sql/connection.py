"""The unit of work that all SQL ports share: an open engine, a transaction per block, numbers handed out in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from rec.errors import ConfigError
from rec.store.sql.engine import MIGRATE, SQLITE, driver_errors, engine_url, make_engine
from rec.store.sql.models import CounterRow
from rec.store.sql.schema import SCHEMA_HEAD, current_revision, is_behind


class Connected:
    """What the ports build on: an open engine, and a session per unit of work that commits when its block ends."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._opened: tuple[AsyncEngine, async_sessionmaker[AsyncSession]] | None = None
        self._insert = sqlite.insert if engine_url(url).get_backend_name() == SQLITE else postgresql.insert

    async def __aenter__(self) -> Self:
        engine = await asyncio.to_thread(make_engine, self._url)  # imports the driver, looks at the file system
        self._opened = engine, async_sessionmaker(engine, expire_on_commit=False)
        try:
            revision = await self.schema_revision()
            if revision != SCHEMA_HEAD and await is_behind(revision):
                at = revision or "none"
                raise ConfigError(f"The database schema is behind ({at}, not {SCHEMA_HEAD}). {MIGRATE}")
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._opened is not None:
            engine, self._opened = self._opened[0], None
            await engine.dispose()

    @asynccontextmanager
    async def _unit(self) -> AsyncIterator[AsyncSession]:
        """One transaction."""
        if self._opened is None:
            raise RuntimeError("the database is not open: use it as an async context manager")
        with driver_errors():
            async with self._opened[1].begin() as session:
                yield session

    async def ping_database(self) -> float:
        started = time.perf_counter()
        async with self._unit() as session:
            await session.execute(select(1))
        return time.perf_counter() - started

    async def schema_revision(self) -> str | None:
        async with self._unit() as session:
            return await current_revision(session)


async def lock_counter(session: AsyncSession, name: str, add: int = 0) -> int:
    """Take the counter's lock until the transaction ends, and its value after adding `add`.

    To be the first statement of its transaction: all writers queue here, so none can deadlock with another later.
    """
    statement = (
        update(CounterRow)
        .where(CounterRow.name == name)
        .values(value=CounterRow.value + add)
        .returning(CounterRow.value)
        .execution_options(synchronize_session=False)
    )
    return (await session.execute(statement)).scalar_one()
