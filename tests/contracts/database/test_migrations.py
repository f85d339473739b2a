"""Migrations make what the models say, forwards and backwards, from a checkout and from code."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from rec.catalog import Item
from rec.store.sql import SqlDatabase, migrate
from rec.store.sql.engine import make_engine
from rec.store.sql.models import Base
from rec.store.sql.schema import SCHEMA_HEAD, alembic_config
from tests.backends import Postgres

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without any table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/folder/rec.db"  # the folder is the migrations' to make
        return
    server: Postgres = request.getfixturevalue("postgres")
    yield server.create("empty")
    server.drop("empty")


async def inspected(url: str, look: Any) -> Any:
    engine = await asyncio.to_thread(make_engine, url, pooled=False)
    async with engine.connect() as connection:
        found = await connection.run_sync(look)
    await engine.dispose()
    return found


async def test_the_migrations_make_what_the_models_say(empty_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata))

    await migrate(empty_url)
    assert await inspected(empty_url, differences) == []


async def test_up_down_and_up_again(empty_url: str) -> None:
    def tables(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    await migrate(empty_url)
    await asyncio.to_thread(command.downgrade, alembic_config(empty_url), "base")
    assert await inspected(empty_url, tables) == {"alembic_version"}
    await migrate(empty_url)
    await migrate(empty_url)  # nothing to do is no error
    assert await inspected(empty_url, tables) == {"alembic_version", *Base.metadata.tables}
    async with SqlDatabase(empty_url) as database:
        await database.put_items([Item(item_id="1", title="Tent")])
        assert await database.count_items() == 1


async def test_migrating_twice_at_once_in_one_process_is_migrating_once(empty_url: str) -> None:
    await asyncio.gather(migrate(empty_url), migrate(empty_url))
    async with SqlDatabase(empty_url) as database:
        assert await database.schema_revision() == SCHEMA_HEAD


def test_the_code_asks_for_the_newest_migration() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [SCHEMA_HEAD]


def upgrade_head(url: str, folder: Path) -> subprocess.Popen[str]:
    """`alembic upgrade head` as a release runs it, from any folder."""
    words = [sys.executable, "-m", "alembic", "-c", str(CHECKOUT / "alembic.ini"), "upgrade", "head"]
    environment = {**os.environ, "REC_DATABASE_URL": url}
    return subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)


def test_the_command_migrates_the_database_of_the_settings(empty_url: str, tmp_path: Path) -> None:
    _, messages = (process := upgrade_head(empty_url, tmp_path)).communicate(timeout=60)
    assert process.returncode == 0, messages
    assert f"-> {SCHEMA_HEAD}" in messages


@pytest.mark.needs_postgres
def test_two_releases_that_start_together_migrate_one_after_the_other(postgres: Postgres, tmp_path: Path) -> None:
    releases = [upgrade_head(postgres.create("twice"), tmp_path), upgrade_head(postgres.url("twice"), tmp_path)]
    messages = [release.communicate(timeout=60)[1] for release in releases]
    assert [release.returncode for release in releases] == [0, 0], messages
    assert sum(f"-> {SCHEMA_HEAD}" in text for text in messages) == 1
    postgres.drop("twice")
