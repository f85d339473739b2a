"""A migrated SQLite database for the commands that work on one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from rec.store.sql import SqlDatabase, migrate


def new_database(folder: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    """Made, migrated and set in the environment; to be entered. No Redis: its address leads nowhere."""
    monkeypatch.chdir(folder)
    url = f"sqlite:///{folder}/rec.db"
    monkeypatch.setenv("REC_DATABASE_URL", url)
    monkeypatch.setenv("REC_REDIS_URL", "redis://127.0.0.1:1/0")
    asyncio.run(migrate(url))
    return SqlDatabase(url)
