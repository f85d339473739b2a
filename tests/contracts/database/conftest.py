"""The databases that the suite runs on: memory, SQLite in a file, PostgreSQL. Each test has one of its own."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from rec.ports import Database
from rec.store.memory_db import MemoryDatabase
from rec.store.sql import SqlDatabase, migrate
from rec.store.sql.models import Base, CounterRow
from tests.backends import Postgres, start_postgres

Opener = Callable[[], AbstractAsyncContextManager[Database]]
KINDS = ["memory", "sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with start_postgres() as server:
        yield server


def _now(coroutine: Coroutine[Any, Any, None]) -> None:
    """In a thread: the first test to ask for the fixture may have a loop running."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, coroutine).result()


@pytest.fixture(scope="session")
def postgres_url(postgres: Postgres) -> str:
    """A database of the newest schema, emptied for each test."""
    url = postgres.create("rec")
    _now(migrate(url))
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("sqlite") / "newest.db"
    _now(migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def make_url(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """An empty database of a kind, of the newest schema; its URL."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            shutil.copy(request.getfixturevalue("sqlite_template"), tmp_path / "rec.db")
            return f"sqlite:///{tmp_path}/rec.db"
        url: str = request.getfixturevalue("postgres_url")
        tables = ", ".join(name for name in Base.metadata.tables if name != CounterRow.__tablename__)
        script = [f"TRUNCATE {tables}", "UPDATE counters SET value = 0"]
        server: Postgres = request.getfixturevalue("postgres")
        server.execute("rec", "; ".join(script))
        return url

    return make


@pytest.fixture(params=KINDS[1:])
def url(request: pytest.FixtureRequest, make_url: Callable[[str], str]) -> str:
    """An SQL database of the newest schema."""
    return make_url(request.param)


@pytest.fixture(params=KINDS)
def opener(request: pytest.FixtureRequest, make_url: Callable[[str], str]) -> Opener:
    """Makes clients of one and the same database, as several processes have them; memory has one client only."""
    if request.param == "memory":
        only = MemoryDatabase()
        return lambda: only
    place = make_url(request.param)
    return lambda: SqlDatabase(place)


@pytest.fixture
async def database(opener: Opener) -> AsyncIterator[Database]:
    async with opener() as opened:
        yield opened
