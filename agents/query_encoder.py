"""queries → **vectors**, for search and for the lists after it. A text encoder in a child of its own, kept warm.

The catalog's encoder reads products in the background; a query has somebody waiting. So this child has normal priority
once its model is loaded, and whoever waits for it waits `within_s` at most: a search without its vector is answered
from the words alone. It holds a model of its own in memory, so it starts when there is a sign of use, and before the
first query if there is one (`start`): a search heard of before a restart, or somebody who begins to type. Vectors are
kept by query; what waits is read together.

Where the encoder is tuned, the worker says which epoch of it search reads (`follow`): that of the version that serves.
The child of the one before answers until the next has loaded its model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import NamedTuple

import numpy as np

from agents.process import Process
from rec.config import Settings
from rec.errors import Unavailable
from rec.model.encoder import encode_batch, warm
from rec.pairs import as_read
from rec.recent import Recent
from rec.recommend import World
from rec.search.meaning import Meaning
from rec.search.nearness import ReadQuery

log = logging.getLogger(__name__)

KEPT = 20_000  # queries' vectors, 1.5 kB each
BATCH = 8
# Two batches begin so far apart, unless one is full. A lone query does not wait; of 50 a second two are read at once,
# which costs a quarter more than one does: of so few words it is the weights that take the time.
APART_S = 0.04
AGAIN_S = 60.0  # an epoch that could not be loaded is tried again after this long
WAITING = 256  # queries; more than that are answered from their words


class _Loaded(NamedTuple):
    """A child that has loaded its encoder."""

    child: Process
    encoder: str


class QueryEncoderDied(Unavailable):
    """The process that reads queries is gone; another one is started."""


class QueryEncoder:
    """One child for one encoder: the base, until `follow` says another. Nothing is read before `run` runs.

    `name`: of the base encoder, as the settings have it; `base`: its encoder_id; `adapters`: where those of tuned ones
    are. A vector says whose it is; those of two encoders are never kept at the same time.
    """

    def __init__(self, name: str, base: str, adapters: str = "", kept: int = KEPT, device: str = "cpu") -> None:
        self._name, self._base, self._adapters, self._device = name, base, adapters, device
        self._encoder = self._wanted = base
        self._kept = kept
        self._not_before = 0.0  # another encoder than the base could not be loaded until then
        self._next = 0.0  # when the next batch may begin
        self._vectors: Recent[str, ReadQuery] = Recent(kept)
        self._waiting: dict[str, asyncio.Future[ReadQuery | None]] = {}
        self._wake = asyncio.Event()
        self._warm = asyncio.Event()

    @property
    def is_warm(self) -> bool:
        """Whether the child has answered before."""
        return self._warm.is_set()

    def known(self, query: str) -> ReadQuery | None:
        """A query as it was read before, if it was. Any thread may ask."""
        return self._vectors.peek(as_read(query))

    def start(self) -> None:
        """Begin to load the model, if it is not there: a query will come."""
        if not self.is_warm:
            self._wake.set()

    def follow(self, encoder: str) -> None:
        """Read with this encoder (an encoder_id: the base or an epoch of it) as soon as it is loaded; until then with
        the one before. Nothing is loaded that nobody needs yet."""
        self._wanted, self._not_before = encoder, 0.0
        if self.is_warm:
            self._wake.set()

    async def read(self, query: str, within_s: float, *, cold: bool = False) -> ReadQuery | None:
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

    # ------------------------------------------------------------------ the child
    async def run(self) -> None:
        """Read for ever; the child starts with the first query, or with `start`."""
        while True:
            await self._wake.wait()
            encoder = self._wanted if time.monotonic() >= self._not_before else self._base
            child = await self._loaded(encoder)
            if child is None and encoder != self._base:
                continue  # with the base, for who waits
            while child is not None:
                child = await self._read_with(*child)
            self._give_up()
            await asyncio.sleep(1.0)

    async def _loaded(self, encoder: str) -> _Loaded | None:
        """A child that reads with this encoder, once it has answered; None if there can be none."""
        args = self._name, 1, True, self._device, self._adapters, encoder
        child, loaded = Process("the queries' encoder", QueryEncoderDied, warm, *args), False
        try:
            await child.open()
            await child.call(encode_batch, [])  # it has loaded its model when it answers
            loaded = True
        except Unavailable as error:
            log.warning("queries cannot be read with %s for now: %s", encoder, error)
            self._not_before = time.monotonic() + AGAIN_S
        finally:
            if not loaded:
                await child.close()
        return _Loaded(child, encoder) if loaded else None

    async def _read_with(self, child: Process, encoder: str) -> _Loaded | None:
        """Until the child has died, or another encoder is wanted and loaded, which is the next one."""
        if encoder != self._encoder:
            self._vectors = Recent(self._kept)
            self._encoder = encoder
        log.info("queries are read with %s", encoder)
        self._warm.set()
        other: asyncio.Task[_Loaded | None] | None = None
        following = False
        try:
            while True:
                if other is None and self._wanted != encoder and time.monotonic() >= self._not_before:
                    other = asyncio.create_task(self._loaded(self._wanted))
                    other.add_done_callback(lambda _: self._wake.set())
                if other is not None and other.done():
                    found, other = other.result(), None
                    if found is not None:
                        following = True
                        return found
                await self._wake.wait()
                self._wake.clear()
                await self._read_waiting(child, encoder)
        except Unavailable as error:
            log.warning("queries are answered from their words alone for now: %s", error)
            return None
        finally:
            if not following:
                self._warm.clear()
                self._give_up()
            if other is not None:
                other.cancel()
                for late in await asyncio.gather(other, return_exceptions=True):
                    if isinstance(late, _Loaded):
                        await late.child.close()
            await child.close()

    async def _read_waiting(self, child: Process, encoder: str) -> None:
        while self._waiting:
            if len(self._waiting) < BATCH and (wait := self._next - time.monotonic()) > 0:
                await asyncio.sleep(wait)
            self._next = time.monotonic() + APART_S
            keys = list(self._waiting)[:BATCH]
            dim, raw = await child.call(encode_batch, keys)
            for key, vector in zip(keys, np.frombuffer(raw, "<f4").reshape(len(keys), dim), strict=True):
                read = ReadQuery(encoder, vector)
                self._vectors.put(key, read)
                if not (waiting := self._waiting.pop(key)).done():
                    waiting.set_result(read)

    def _give_up(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)
        self._waiting.clear()


def query_reader(settings: Settings, base: str, world: World, device: str) -> QueryEncoder | None:
    """What reads this worker's queries, for search and for its lists; None where the settings want no vectors."""
    if not settings.search_vectors:
        return None
    encoder = QueryEncoder(settings.encoder, base, f"{settings.models_location}/adapters", device=device)
    world.meaning = Meaning(encoder.known)
    return encoder
