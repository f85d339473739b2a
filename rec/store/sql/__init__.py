"""`rec.ports.Database` in SQL, on SQLite (one machine) and PostgreSQL (many): one module per port, one pool for all.

async with open_database(settings) as database:
    await database.put_items([...])
"""

from __future__ import annotations

from rec.config import Settings
from rec.store.sql.archive import SqlArchive
from rec.store.sql.audit import SqlAudit
from rec.store.sql.catalog import SqlCatalogs
from rec.store.sql.erasures import SqlErasures
from rec.store.sql.rules import SqlRules
from rec.store.sql.schema import migrate
from rec.store.sql.strategies import SqlStrategies
from rec.store.sql.vectors import SqlVectors
from rec.store.sql.versions import SqlVersions

__all__ = ["SqlDatabase", "migrate", "open_database"]


class SqlDatabase(SqlCatalogs, SqlVectors, SqlArchive, SqlErasures, SqlAudit, SqlVersions, SqlRules, SqlStrategies):
    """All of SQL behind one connection pool.

    Entering raises Unavailable if the database is away, and ConfigError if its schema is behind this version's.
    """


def open_database(settings: Settings) -> SqlDatabase:
    """The database of the settings, to be entered with `async with`."""
    return SqlDatabase(settings.database_url)
