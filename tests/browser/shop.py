"""The demo shop in this process: worker and web as in production, on the memory backends, at a free port."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

from rec.catalog import Item
from rec.demo.shoppers import demo_history
from rec.demo.world import demo_catalog
from rec.events import encode_event
from rec.store.memory import MemoryLog
from rec.topics import BEHAVIOR, topics
from tests.loop.local import Local, local_worker, loop_settings
from web.app import make_app
from web.runner import Runner


class Front:
    """The web process's part: it can be taken away and put back at the same address."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self) -> None:
        local = self._local
        app = make_app(local.settings, local.log, local.exchange.connect(), local.database)
        self._runner = Runner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Stop as at SIGTERM: everybody is told."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def kill(self) -> None:
        """End as at SIGKILL: connections break, nobody is told."""
        assert self._runner is not None
        assert self._runner.server is not None
        for connection in list(self._runner.server.connections):
            if connection.transport is not None:
                connection.transport.abort()
        await self.close()


class Shop(NamedTuple):
    """What a test can reach of it."""

    url: str
    front: Front
    local: Local


@contextlib.asynccontextmanager
async def open_shop(
    folder: Path, more: Sequence[Item] = (), events: int = 1_500, **settings_: object
) -> AsyncIterator[Shop]:
    """The demo catalog, `more` items, a past of `events` events; more settings as `rec.config` has them."""
    # Greedy: what a test clicks away is all that goes. That two new shoppers see one list holds with a draw, too:
    # tests/unit/test_chain.py.
    settings = loop_settings(folder, demo=True, **{"strategy": {}, **settings_})
    catalog = demo_catalog()
    history = demo_history(catalog, shoppers=120, events=events, seed=7, until=datetime.now(UTC))
    log = MemoryLog()
    await log.create(topics(settings))
    await log.publish_many(settings.topic(BEHAVIOR), [(event.subject, encode_event(event)) for event in history])
    async with local_worker(settings, [*catalog, *more], log=log) as local:
        front = Front(local)
        await front.open()
        try:
            yield Shop(f"http://127.0.0.1:{front.port}", front, local)
        finally:
            await front.close()
