"""agents/catalog_sync.py: a change of the catalog reaches the lists that show it, whatever is away meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from agents.catalog_sync import CatalogSync
from rec.catalog import Catalog
from rec.errors import Unavailable
from rec.ports import Exchange, Hint
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory_db import MemoryDatabase
from tests.stack import until
from tests.unit.shop import items


async def test_a_change_is_told_until_somebody_could_be_told_and_then_no_more() -> None:
    database, exchange, told = MemoryDatabase(), MemoryExchange(), list[set[str]]()

    async def on_change(item_ids: set[str]) -> None:
        told.append(item_ids)
        if len(told) == 1:
            raise Unavailable("the log is away")

    sync = CatalogSync(
        catalog=Catalog(), database=database, exchange=exchange.connect(), encoder="", encoder_id="none",
        holder="here", traffic=lambda _: 0.0, on_change=on_change,
    )  # fmt: skip
    await sync.load()
    following = asyncio.create_task(sync.run())
    here = exchange.connect()
    try:
        one, other = items()[:2]
        await database.put_items([one])
        assert await until(lambda: _hint(here, lambda: len(told) >= 1), 10)
        assert await until(lambda: _hint(here, lambda: len(told) >= 2), 10)
        await database.put_items([other])
        assert await until(lambda: _hint(here, lambda: len(told) >= 3), 10)
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    assert told == [{one.item_id}, {one.item_id}, {other.item_id}]


async def _hint(here: Exchange, true: Callable[[], bool]) -> bool:
    """Say again that there is something new, until it is true."""
    await here.hint(Hint("catalog", ""))
    return true()
