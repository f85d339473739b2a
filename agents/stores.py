"""The outside world of every process of `agents`, opened: Kafka, Redis, SQL, and what was erased."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from agents.forget import Forgetting
from rec.config import Settings
from rec.ports import Database, Exchange, Log
from rec.privacy import erasure_secret
from rec.store import open_exchange, open_log
from rec.store.sql import open_database
from rec.topics import BEHAVIOR, REQUESTS


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[tuple[Log, Exchange, Database]]:
    """Connect to Kafka, Redis and SQL; raises Unavailable naming the one that is away."""
    async with open_log(settings) as to, open_exchange(settings) as exchange, open_database(settings) as database:
        yield to, exchange, database


def forgetting_of(settings: Settings, to: Log, exchange: Exchange, database: Database) -> Forgetting:
    """What was erased when, for whichever process asks; it knows nothing until `load`."""
    return Forgetting(
        secret=erasure_secret(settings),
        database=database,
        exchange=exchange,
        to=to,
        behavior_topic=settings.topic(BEHAVIOR),
        requests_topic=settings.topic(REQUESTS),
    )
