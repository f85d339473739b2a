"""The whole loop in one process on the memory backends: what a worker does, without Faust and without a broker."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from agents.again import until_done
from agents.archiver import Archiver
from agents.deps import Deps, wire
from agents.forget import Forgetting
from agents.metrics import Metrics
from rec.catalog import Item
from rec.config import Settings
from rec.feedback import Window
from rec.ports import Database, Record
from rec.state import UserState
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, REQUESTS, SERVED, topics

SECRET = "a-secret-for-tests-of-32-characters"


def loop_settings(folder: Path, **more: object) -> Settings:
    base = {"data_dir": folder, "api_key": "key", "token_secret": SECRET, "partitions": 2, "sweep_interval_s": 0.1}
    # Greedy: with a draw, what a test waits for would depend on the half-hour in which it runs.
    base |= {"feedback": True, "strategy": {}}
    return Settings(_env_file=None, **{**base, **more})  # type: ignore[arg-type,call-arg]


class Local(NamedTuple):
    """A running worker and the memory it shares with others."""

    settings: Settings
    log: MemoryLog
    exchange: MemoryExchange
    database: MemoryDatabase
    users: dict[bytes, UserState]
    deps: Deps
    metrics: Metrics
    windows: dict[bytes, Window]


@contextlib.asynccontextmanager
async def local_worker(
    settings: Settings,
    items: list[Item],
    log: MemoryLog | None = None,
    database: MemoryDatabase | None = None,
    scoring: Executor | None = None,
    exchange: MemoryExchange | None = None,
) -> AsyncIterator[Local]:
    """Handlers wired as in production, fed by two tails instead of Faust."""
    log, database = log or MemoryLog(), database or MemoryDatabase()
    exchange, metrics = exchange or MemoryExchange(), Metrics()
    users, windows = dict[bytes, UserState](), dict[bytes, Window]()
    await log.create(topics(settings))
    if items:
        await database.put_items(items)
    with ThreadPoolExecutor(1, thread_name_prefix="scoring") as executor:
        executor.submit(int).result()  # its thread is there from the start, and so is its owner's: see tests/hygiene.py
        stores = (log, exchange.connect(), database)
        everything = lambda _: True  # noqa: E731  the one worker there is
        if scoring is None:
            deps = await wire(settings, users, windows, everything, metrics, *stores, executor)
        else:  # every list, however cheap
            deps = await wire(settings, users, windows, everything, metrics, *stores, scoring, inline_s=0.0)

        async def feed(topic: str, handler: str) -> None:
            async for records in log.tail(settings.topic(topic)):
                for record in records:
                    await until_done(getattr(deps, handler).handle, record, lambda: True, pause_s=0.01)

        aside = ("snapshots", "encoder", "query encoder")
        loops = [make() for name, make in deps.loops.items() if name not in aside]
        feeds = [feed(BEHAVIOR, "behavior"), feed(REQUESTS, "requests"), feed(SERVED, "feedback")]
        tasks = [asyncio.create_task(coroutine) for coroutine in loops + feeds]
        try:
            yield Local(settings, log, exchange, database, users, deps, metrics, windows)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def forgetting_of(
    database: Database, exchange: MemoryExchange, log: MemoryLog, clock: Callable[[], float] = time.time
) -> Forgetting:
    """What another process of the same world knows of erasures."""
    return Forgetting(
        secret=SECRET, database=database, exchange=exchange, to=log,
        behavior_topic=BEHAVIOR, requests_topic=REQUESTS, clock=clock,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def archiving(local: Local) -> AsyncIterator[Local]:
    """With an archiver beside the worker; at the end it has archived all there is."""
    archiver = Archiver(
        source=local.log, topic=BEHAVIOR, group="archiver", database=local.database,
        forgetting=forgetting_of(local.database, local.exchange, local.log), metrics=local.metrics, flush_s=0.01,
    )  # fmt: skip
    stop = asyncio.Event()
    task = asyncio.create_task(archiver.run(stop))
    yield local
    stop.set()
    await task


def record(key: str, value: bytes | None, *, topic: str = BEHAVIOR, offset: int = 0) -> Record:
    return Record(topic, 0, offset, 1_700_000_000.0, key.encode(), value)


__all__ = ["Local", "archiving", "forgetting_of", "local_worker", "loop_settings", "record"]
