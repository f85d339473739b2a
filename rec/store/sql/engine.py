"""The engine for either database, and the driver's errors in our own words.

Invariant: nothing of SQLAlchemy or of a driver leaves this package on purpose; parameters never enter a message.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from rec.errors import ConfigError, RecError, Unavailable

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_DRIVERS = {SQLITE: "sqlite+aiosqlite", POSTGRESQL: "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_BUSY_MS = 10_000  # SQLite: another process is writing; wait this long for it
MIGRATE = "Run `rec migrate`."
ANOTHER = "name another database: REC_DATABASE_URL, or --data-dir of `rec up`"


def engine_url(url: str) -> URL:
    """The URL with the asyncio driver in it. Raises ConfigError if it names no database that we speak to.

    >>> str(engine_url("sqlite:///rec.db")), engine_url("postgres://me@db/rec?sslmode=require").render_as_string()
    ('sqlite+aiosqlite:///rec.db', 'postgresql+asyncpg://me@db/rec?ssl=require')
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise _bad_url("it is not a URL") from None
    driver = _DRIVERS.get(parsed.get_backend_name())
    if driver is None:
        raise _bad_url(f"{parsed.get_backend_name()} is not supported")
    if parsed.get_backend_name() == SQLITE and parsed.database in (None, "", ":memory:"):
        raise _bad_url("a SQLite database needs a file, since several processes share it")
    if (mode := parsed.query.get("sslmode")) is not None:  # libpq's word, as managed databases hand it out
        parsed = parsed.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
    return parsed.set(drivername=driver)


def _bad_url(why: str) -> ConfigError:
    return ConfigError(
        f"REC_DATABASE_URL: {why}. Give sqlite:///path/to/rec.db or postgresql://user:password@host/database.",
        field="REC_DATABASE_URL",
    )


def make_engine(url: str, *, pooled: bool = True) -> AsyncEngine:
    """An engine with the settings that both databases need here; not connected yet."""
    parsed = engine_url(url)
    options: dict[str, Any] = {"pool_pre_ping": True} if pooled else {"poolclass": NullPool}
    if parsed.get_backend_name() == SQLITE:
        # IMMEDIATE: a writer queues for the lock at its first statement, where waiting is allowed, not at its second.
        options["connect_args"] = {"isolation_level": "IMMEDIATE"}
    else:
        options["connect_args"] = {"timeout": 5, "command_timeout": 60}
    engine = create_async_engine(parsed, hide_parameters=True, **options)
    if parsed.get_backend_name() == SQLITE:
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL: readers and the writer do not wait for each other. NORMAL: a killed process loses nothing, a power cut
    # at most the last transactions, never the file.
    for pragma in (f"busy_timeout={_BUSY_MS}", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn what a driver raises into Unavailable, or into ConfigError where no retry would help.

    A value that the tables refuse is a defect of ours and passes as it is.
    """
    try:
        yield
    except DBAPIError as error:
        if (ours := translated(error)) is None:
            raise
        raise ours from error
    except (OSError, PoolTimeout) as error:  # OSError: refused, unreachable, timed out
        raise _unavailable(type(error).__name__) from error


# Classes of SQLSTATE (PostgreSQL, appendix A) that pass: connection, transaction rollback, resources, lock, operator,
# system, read-only standby. Class 22 and 23 messages quote values, and never get here.
_PASSING = frozenset({"08", "25", "40", "53", "55", "57", "58", "XX"})
_MISSING = ("no such table", "no such column", "has no column named")
_NO_FILE = "unable to open database file"
_DAMAGED = ("file is not a database", "disk image is malformed", "malformed database schema")


def translated(error: DBAPIError) -> RecError | None:
    """A driver's error as one of ours, by SQLSTATE or by SQLite's text; None if it is about a value or a statement."""
    state, text = getattr(error.orig, "sqlstate", None) or "", str(error.orig)
    if state in ("42P01", "42703") or any(words in text for words in _MISSING):
        return ConfigError(f"The database has no up-to-date schema. {MIGRATE}", field="REC_DATABASE_URL")
    if state[:2] == "28" or state == "3D000":  # wrong name or password; no such database
        return ConfigError(f"REC_DATABASE_URL: the database refuses it: {text}.", field="REC_DATABASE_URL")
    if _NO_FILE in text:
        remedy = "Name another file, or make this one with `rec migrate`"
        return ConfigError(f"REC_DATABASE_URL: {text}. {remedy}.", field="REC_DATABASE_URL")
    if any(words in text for words in _DAMAGED):
        remedy = f"Put a backup in its place, or {ANOTHER}"
        return ConfigError(f"The database file is damaged ({text}). {remedy}.", field="REC_DATABASE_URL")
    if state[:2] in _PASSING or isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
        return _unavailable(text.partition(": ")[2] or text)
    return None


def _unavailable(why: str) -> Unavailable:
    return Unavailable(f"The database is away ({why}). Is it running? Try again.", retry_after=1.0)
