"""SQL → the catalog that workers score with: rows, then vectors; missing vectors are computed in a child process.

SQL is the truth, and `agents.hints` says when to look at it. Of what is missing, what is acted on most comes first,
beside what changed last (`next_texts`).
Torch lives in the child alone, and the worker's event loop never waits for it. Only who holds the lease has a child.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence

from agents.catalog_reader import CatalogReader
from agents.hints import follow
from agents.process import Process
from rec.catalog import Catalog, Item, vectors_of
from rec.errors import Unavailable
from rec.model.encoder import encode_batch, warm
from rec.ports import Database, Exchange

log = logging.getLogger(__name__)

POLL_S = 5.0
ENCODE_BATCH = 32
NEWEST = 8  # of a batch: somebody may be waiting to see them, whatever else is to be read
LEASE_S = 30.0


class EncoderDied(Unavailable):
    """The process that reads texts is gone; another one goes on where it was."""


def next_texts(waiting: Sequence[Item], traffic: Callable[[str], float], size: int = ENCODE_BATCH) -> list[Item]:
    """Which of the items that wait, the last change last, are read next: the newest few, then by traffic.

    So a new product is seen within seconds, and after a change of the encoder shoppers meet few items without a vector.

    >>> items = [Item(item_id=name, title=name) for name in ("dear", "dull", "dearest", "new")]
    >>> [item.item_id for item in next_texts(items, lambda name: name.count("e") - name.count("l"), 3)]
    ['new', 'dearest', 'dear']
    """
    newest = list(waiting[: -max(1, size * NEWEST // ENCODE_BATCH) - 1 : -1])
    others = waiting[: len(waiting) - len(newest)]
    return newest + heapq.nlargest(size - len(newest), others, key=lambda item: traffic(item.item_id))


class CatalogSync:
    """Keeps `catalog` equal to SQL."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        database: Database,
        exchange: Exchange,
        encoder: str,
        encoder_id: str,
        holder: str,
        traffic: Callable[[str], float],
        on_change: Callable[[set[str]], Awaitable[None]],
        follow_items: Callable[[Iterable[Item], Iterable[str]], None] = lambda items, deleted: None,
        device: str = "cpu",  # of the encoder
    ) -> None:
        self._catalog, self._database, self._exchange = catalog, database, exchange
        self._encoder, self._holder, self._on_change, self._device = encoder, holder, on_change, device
        self._encoder_id, self._traffic, self._follow_items = encoder_id, traffic, follow_items
        self._reader = CatalogReader(database, encoder_id)
        self._missing = asyncio.Event()
        self._touched = set[str]()  # has changed, and `on_change` has not been told

    async def load(self) -> int:
        """All rows, and the vectors that are cached; how many items there are. Raises Unavailable."""
        while await self._pull():
            pass
        await self._take_cached()
        return len(self._catalog)

    async def run(self) -> None:
        """Follow changes for ever."""
        await follow(self._exchange, "catalog", self._look, POLL_S, "the catalog")

    async def _look(self) -> None:
        """What has changed, and whoever it concerns, until they have been told. Raises Unavailable."""
        while ids := await self._pull():
            self._touched |= ids
        if self._touched:
            await self._take_cached()
            await self._on_change(set(self._touched))
            self._touched.clear()

    async def _pull(self) -> set[str]:
        """One page of changes; the ids in it."""
        changes = await self._reader.changes()
        self._catalog.delete(changes.deleted)
        self._catalog.upsert(changes.items)
        self._follow_items(changes.items, changes.deleted)
        return changes.ids

    async def _take_cached(self) -> None:
        """Give rows the vectors that somebody computed before."""
        self._set(await self._reader.cached_vectors())
        if self._reader.without_vector:
            self._missing.set()

    def _set(self, vectors: dict[str, bytes]) -> None:
        self._catalog.set_vectors(vectors_of(vectors))
        self._reader.has_vectors(vectors)

    async def encode_for_ever(self) -> None:
        """Compute what vectors are missing. One worker at a time; the others find them in SQL."""
        while True:
            try:
                await self._encode_as_holder()
                await asyncio.sleep(LEASE_S / 3)
            except Unavailable as error:
                log.warning("texts could not be encoded, trying again: %s", error)
                await asyncio.sleep(1.0)

    async def _encode_as_holder(self) -> None:
        """For as long as this worker has the lease. The child is warm all that time: it takes longer to start than a
        new product may wait for its vector."""
        if not await self._exchange.lease("encoder", self._holder, LEASE_S):
            return
        child = Process("the encoder's child process", EncoderDied, warm, self._encoder, 1, False, self._device)
        await child.open()
        try:
            await self._take_cached()
            while await self._exchange.lease("encoder", self._holder, LEASE_S):
                if self._reader.without_vector:
                    await self._encode_some(child)
                    continue
                self._missing.clear()
                with contextlib.suppress(TimeoutError):  # time to renew the lease
                    async with asyncio.timeout(LEASE_S / 3):
                        await self._missing.wait()
        finally:
            await child.close()

    async def _encode_some(self, child: Process) -> None:
        """One batch. Chosen in a thread: there may be a whole catalog to choose from."""
        batch = await asyncio.to_thread(next_texts, list(self._reader.without_vector.values()), self._traffic)
        dim, raw = await child.call(encode_batch, [item.text() for item in batch])
        size = dim * 4
        vectors = {item.digest(): raw[at * size : (at + 1) * size] for at, item in enumerate(batch)}
        await self._database.put_vectors(self._encoder_id, vectors)
        for item in batch:  # a text that changed meanwhile has another digest, and still waits
            if (now := self._reader.without_vector.get(item.item_id)) is not None and now.digest() in vectors:
                self._set({item.item_id: vectors[now.digest()]})
        log.info("encoded %d product texts, %d to go", len(batch), len(self._reader.without_vector))
