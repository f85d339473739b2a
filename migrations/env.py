"""Alembic's entry: runs migrations on the database of the settings, or prints their SQL with `--sql`.

Reached two ways: by `alembic` in a checkout (URL from REC_DATABASE_URL) and by `rec.store.sql.migrate(url)`.
"""

from __future__ import annotations

import asyncio
from logging.config import fileConfig
from pathlib import Path

from alembic import context
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from rec.config import load_settings
from rec.store.sql.engine import POSTGRESQL, SQLITE, engine_url, make_engine
from rec.store.sql.models import Base

ONE_AT_A_TIME = 0x5EC0_0001  # PostgreSQL advisory lock: two releases that start together migrate one after the other

config = context.config
if config.config_file_name is not None:  # as a command: alembic.ini says how to log
    fileConfig(config.config_file_name, disable_existing_loggers=False)


def database_url() -> str:
    url: str | None = config.attributes.get("url")
    return url or load_settings().database_url


def run_offline() -> None:
    url = engine_url(database_url())
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()


def run_on(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
    with context.begin_transaction():
        if connection.dialect.name == POSTGRESQL:
            connection.execute(select(func.pg_advisory_xact_lock(ONE_AT_A_TIME)))
        context.run_migrations()


async def run_online(engine: AsyncEngine) -> None:
    try:
        async with engine.connect() as connection:
            await connection.run_sync(run_on)
    finally:
        await engine.dispose()


def main() -> None:
    url = database_url()
    parsed = engine_url(url)
    if parsed.get_backend_name() == SQLITE and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    context.script.get_heads()  # reads all migrations now, before there is a loop that could not wait for files
    asyncio.run(run_online(make_engine(url, pooled=False)))


if context.is_offline_mode():
    run_offline()
else:
    main()
