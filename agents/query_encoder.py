"""queries → **vectors**, for search and for the lists after it. A text encoder in a child of its own, kept warm.

The catalog's encoder reads products in the background; a query has somebody waiting. So this child has normal priority
once its model is loaded, and whoever waits for it waits `within_s` at most: a search without its vector is answered
from the words alone. It holds a model of its own in memory, so it starts when there is a sign of use, and before the
first query if there is one (`start`): a search heard of before a restart, or somebody who begins to type. Vectors are
kept by query; what waits is read together.
"""

from __future__ import annotations

import asyncio
import logging

import numpy as np

from agents.process import Process
from rec.catalog import Floats
from rec.errors import Unavailable
from rec.model.encoder import encode_batch, warm
from rec.pairs import as_read
from rec.recent import Recent

log = logging.getLogger(__name__)

KEPT = 20_000  # queries' vectors, 1.5 kB each
BATCH = 8
WAITING = 256  # queries; more than that are answered from their words


class QueryEncoderDied(Unavailable):
    """The process that reads queries is gone; another one is started."""


class QueryEncoder:
    """One child for one encoder. Nothing is read before `run` runs."""

    def __init__(self, encoder: str, kept: int = KEPT, device: str = "cpu") -> None:
        self._encoder, self._device = encoder, device
        self._vectors: Recent[str, Floats] = Recent(kept)
        self._waiting: dict[str, asyncio.Future[Floats | None]] = {}
        self._wake = asyncio.Event()
        self._warm = asyncio.Event()

    @property
    def is_warm(self) -> bool:
        """Whether the child has answered before."""
        return self._warm.is_set()

    def known(self, query: str) -> Floats | None:
        """The unit vector [dim] of a query, if it was read before. Any thread may ask."""
        return self._vectors.peek(as_read(query))

    def start(self) -> None:
        """Begin to load the model, if it is not there: a query will come."""
        if not self.is_warm:
            self._wake.set()

    async def vector(self, query: str, within_s: float, *, cold: bool = False) -> Floats | None:
        """The same, read now if need be; None if that takes longer. A cold child is waited for if `cold` says so."""
        key = as_read(query)
        if (found := self._vectors.get(key)) is not None:
            return found
        waiting = self._waiting.get(key)
        if waiting is None:
            if len(self._waiting) >= WAITING:
                return None
            waiting = self._waiting[key] = asyncio.get_running_loop().create_future()
            self._wake.set()
        if not (cold or self.is_warm):
            return None
        try:
            async with asyncio.timeout(within_s):
                return await asyncio.shield(waiting)
        except TimeoutError:
            return None

    async def run(self) -> None:
        """Read for ever; the child starts with the first query, or with `start`."""
        while True:
            await self._wake.wait()
            child = Process("the queries' encoder", QueryEncoderDied, warm, self._encoder, 1, True, self._device)
            await child.open()
            try:
                await self._read_with(child)
            except Unavailable as error:
                log.warning("queries are answered from their words alone for now: %s", error)
                await asyncio.sleep(1.0)
            finally:
                self._warm.clear()
                self._give_up()
                await child.close()

    async def _read_with(self, child: Process) -> None:
        await child.call(encode_batch, [])  # it has loaded its model when it answers
        self._warm.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                keys = list(self._waiting)[:BATCH]
                dim, raw = await child.call(encode_batch, keys)
                for key, vector in zip(keys, np.frombuffer(raw, "<f4").reshape(len(keys), dim), strict=True):
                    self._vectors.put(key, vector)
                    if not (waiting := self._waiting.pop(key)).done():
                        waiting.set_result(vector)

    def _give_up(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()
