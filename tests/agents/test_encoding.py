"""The worker's encoder process: what happens to the texts when it is killed."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Mapping

import pytest

from agents.catalog_sync import ENCODE_BATCH, NEWEST, CatalogSync
from rec.catalog import Catalog, Item
from rec.model.weights import DEFAULT, encoder_id
from rec.ports import Hint
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory_db import MemoryDatabase
from tests.stack import until
from tests.unit.shop import items

pytestmark = pytest.mark.usefixtures("warm_children")


async def ignored(_: set[str]) -> None:
    """Nobody looks at a list here."""


async def test_a_killed_encoder_is_started_again_and_every_text_gets_its_vector() -> None:
    database, catalog, encoder = MemoryDatabase(), Catalog(), await asyncio.to_thread(encoder_id, DEFAULT)
    await database.put_items(items())
    sync = CatalogSync(
        catalog=catalog,
        database=database,
        exchange=MemoryExchange().connect(),
        encoder=DEFAULT,
        encoder_id=encoder,
        holder="here",
        traffic=lambda _: 0.0,
        on_change=ignored,
    )
    await sync.load()
    task = asyncio.create_task(sync.encode_for_ever())
    try:
        assert await until(started, 10)
        killed = children()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        assert await until(lambda: bool(catalog.view().has_vector.all()), 60)
        assert not task.done()
        assert not killed & children()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert await until(ended, 10)


async def test_a_new_text_finds_the_encoder_warm_however_long_there_was_nothing_to_read() -> None:
    database, catalog, encoder = MemoryDatabase(), Catalog(), await asyncio.to_thread(encoder_id, DEFAULT)
    exchange = MemoryExchange().connect()
    sync = CatalogSync(
        catalog=catalog, database=database, exchange=exchange, encoder=DEFAULT, encoder_id=encoder,
        holder="here", traffic=lambda _: 0.0, on_change=ignored,
    )  # fmt: skip
    await sync.load()
    tasks = [asyncio.create_task(sync.encode_for_ever()), asyncio.create_task(sync.run())]
    try:
        assert await until(started, 10)  # before there is anything to read
        before = children()
        for new in items()[:2]:
            await database.put_items([new])
            await exchange.hint(Hint("catalog", new.item_id))
            assert await until(lambda: bool(len(catalog) and catalog.view().has_vector.all()), 60)
        assert children() == before
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def children() -> set[int]:
    """Processes of `agents.process` that there are."""
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


def started() -> bool:
    return bool(children())


def ended() -> bool:
    return not children()


class Reads(MemoryDatabase):
    """A database that remembers which texts were read, batch by batch."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[set[str]] = []

    async def put_vectors(self, encoder: str, vectors: Mapping[str, bytes]) -> None:
        self.batches.append(set(vectors))
        await super().put_vectors(encoder, vectors)


async def test_a_catalog_that_is_read_anew_is_read_by_traffic_and_the_newest_products_still_at_once() -> None:
    database, encoder = Reads(), await asyncio.to_thread(encoder_id, DEFAULT)
    catalog = [Item(item_id=f"{n}", title=f"Thing {n}") for n in range(2 * ENCODE_BATCH)]
    await database.put_items(catalog)
    sync = CatalogSync(
        catalog=Catalog(), database=database, exchange=MemoryExchange().connect(), encoder=DEFAULT,
        encoder_id=encoder, holder="here", traffic=lambda item_id: -abs(int(item_id) - 20), on_change=ignored,
    )  # fmt: skip
    await sync.load()
    task = asyncio.create_task(sync.encode_for_ever())
    try:
        assert await until(lambda: len(database.batches) > 0, 60)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    newest, busiest = catalog[-NEWEST:], catalog[20 - 12 : 20 + 12]
    assert database.batches[0] - {item.digest() for item in newest} <= {item.digest() for item in catalog[7:34]}
    assert {item.digest() for item in [*newest, *busiest[1:]]} <= database.batches[0]
