"""The schema's version: which one this code needs, which one a database has, and how to get from one to the other.

The migrations travel in the wheel as the package `migrations`, so `rec up` can run them without a checkout.
"""

from __future__ import annotations

import asyncio
import threading
from importlib.resources import files
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import ResolutionError
from alembic.util import CommandError
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncSession

from rec.errors import ConfigError
from rec.store.sql.engine import ANOTHER, driver_errors

_one_at_a_time = threading.Lock()  # Alembic keeps its context in module globals
SCHEMA_HEAD = "0006"  # the newest migration; a test compares it with what Alembic finds


def alembic_config(url: str | None = None) -> Config:
    """Alembic's configuration for the packaged migrations; without `url` they read REC_DATABASE_URL themselves."""
    config = Config()
    config.set_main_option("script_location", str(files("migrations")).replace("%", "%%"))
    config.attributes["url"] = url
    return config


async def migrate(url: str, revision: str = "head") -> None:
    """Bring a database up to `revision`. Safe to call in a running event loop.

    Alembic runs in a thread of its own, because its asyncio recipe starts a loop. An SQLite file is made where there is
    none, with its folder. Raises ConfigError for a database of a later version, or a damaged one.
    """

    def run() -> None:
        target = make_url(url)
        if target.get_backend_name() == "sqlite" and target.database:
            Path(target.database).parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time, driver_errors():
            try:
                command.upgrade(alembic_config(url), revision)
            except CommandError as error:
                if isinstance(why := error.__cause__, ResolutionError) and why.argument != revision:
                    raise later(why.argument) from error
                raise

    await asyncio.to_thread(run)


async def current_revision(session: AsyncSession) -> str | None:
    """The revision that a database says it has; None before the first migration."""

    def read(connection: Connection) -> str | None:
        return MigrationContext.configure(connection).get_current_revision()

    return await (await session.connection()).run_sync(read)


async def is_behind(revision: str | None) -> bool:
    """Whether code of this version needs more than `revision`. One that we do not know is from a later version."""
    return revision is None or await asyncio.to_thread(_known, revision)


def later(revision: str) -> ConfigError:
    """The error of a database that a later version has migrated."""
    message = f"The database is of a later version: revision {revision}, where this one knows {SCHEMA_HEAD}."
    return ConfigError(f"{message} Install that version, or {ANOTHER}.", field="REC_DATABASE_URL")


def _known(revision: str) -> bool:
    try:
        return ScriptDirectory.from_config(alembic_config()).get_revision(revision) is not None
    except CommandError:
        return False
