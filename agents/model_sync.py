"""registry → **model sync** → `world.brain`. A worker follows the live version, off the loop, one assignment a swap.

What serves goes on serving while a version cannot be loaded. That is said once and tried again, each time after a
longer pause: a file that is broken stays so, but what a store could not give a moment ago it may give now.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import NamedTuple

from agents.catalog_reader import EpochReader
from agents.hints import follow
from rec.catalog import View, vectors_of
from rec.contest import UNTAUGHT
from rec.errors import ModelError
from rec.model.deltas import Shelf, load
from rec.model.texts import Texts
from rec.ports import Database, Exchange
from rec.recommend import Brain, World
from rec.versions import ModelVersion

log = logging.getLogger(__name__)

AGAIN_S = 10.0  # a version that could not be loaded is tried again after this long, and then twice as long each time
AGAIN_MOST_S = 300.0


class _Reading(NamedTuple):
    """Of the version that serves: texts that are not the catalog's, where they come from, and who is to see them."""

    reader: EpochReader
    texts: Texts
    warm: Callable[[View], object]


class _Refused(NamedTuple):
    """A version that could not be loaded, and when it is tried again, on the clock of `ModelSync`."""

    version: str = ""
    at: float = 0.0
    pause_s: float = AGAIN_S / 2

    def again(self, version: str, now: float) -> _Refused:
        pause = min(2 * self.pause_s, AGAIN_MOST_S) if version == self.version else AGAIN_S
        return _Refused(version, now + pause, pause)


class ModelSync:
    """Keeps `world.brain` equal to what the registry says. `on_swap` is told the version, `on_texts` the encoder_id
    that search is to read with: the version's, once every item has a vector of it; else the catalog's."""

    def __init__(
        self,
        *,
        world: World,
        database: Database,
        exchange: Exchange,
        poll_s: float,
        on_swap: Callable[[str], None] = lambda _: None,
        on_texts: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._world, self._database, self._exchange = world, database, exchange
        self._poll_s, self._on_swap, self._on_texts, self._clock = poll_s, on_swap, on_texts, clock
        self._refused = _Refused()
        self._shelf = Shelf()
        self._reading: _Reading | None = None  # of the epoch that the served version reads, if not the catalog's

    async def prepare(self) -> None:
        """Load torch before anybody waits for a list: it takes a second or more, and the interpreter with it."""
        await asyncio.to_thread(_with_torch)

    async def run(self) -> None:
        """Follow for ever."""
        await follow(self._exchange, "model", self.look, self._poll_s, "the live version")

    async def look(self) -> None:
        """Swap, if another version is live. Raises Unavailable."""
        await self._follow_texts()
        await self._follow_live()
        self._tell_texts()

    async def _follow_live(self) -> None:
        live = await self._database.live_version()
        wanted = live.version if live is not None else UNTAUGHT
        if wanted == (self._world.brain.version if self._world.brain else ""):
            return
        if wanted == self._refused.version and self._clock() < self._refused.at:
            return
        try:
            if live is not None and wanted != UNTAUGHT:
                brain, reading = await self._loaded(live)
            else:
                brain, reading = Brain.untaught(), None
        except ModelError as error:
            level = logging.DEBUG if wanted == self._refused.version else logging.ERROR
            self._refused = self._refused.again(wanted, self._clock())
            log.log(level, "%s does not serve here: %s", wanted, error.message)  # the remedy is in it
            return
        self._world.brain, self._reading, self._refused = brain, reading, _Refused()
        log.info("the version %s serves", wanted)
        self._on_swap(wanted)

    async def _follow_texts(self) -> None:
        """The rows of the version's epoch that are new or changed, if it has one of its own."""
        if self._reading is not None and (news := await self._reading.reader.look()):
            await asyncio.to_thread(self._reading.texts.change, vectors_of(news.vectors), news.deleted)
            await asyncio.to_thread(self._reading.warm, self._world.catalog.view())

    def _tell_texts(self) -> None:
        """What search reads. Of the catalog's encoder all texts are there, or on their way: it stands in for an epoch
        that is not whole. What came later than the switch to an epoch waits for its vector there."""
        meaning, reading = self._world.meaning, self._reading
        texts = None
        if reading is not None and (reading.reader.is_complete or reading.texts is meaning.texts):
            texts = reading.texts
        if texts is not meaning.texts:
            meaning.serve(texts)
            if self._on_texts is not None:
                self._on_texts(self._world.catalog.encoder if texts is None else texts.encoder)

    async def _loaded(self, version: ModelVersion) -> tuple[Brain, _Reading | None]:
        """Read it in a thread, and let it see the catalog there: the first list need not wait.

        With it what reads the texts of its epoch; none where that is the catalog's own.
        """
        if version.url is None:
            raise ModelError(f"the version {version.version} has no weights")
        model, meta = await asyncio.to_thread(load, version.url, version.version, self._shelf)
        texts = Texts(str(meta.get("encoder", "")))
        reader = None
        if texts.encoder != self._world.catalog.encoder:
            reader = EpochReader(self._database, texts.encoder)
            if self._reading is not None and self._reading.texts.encoder == texts.encoder:
                reader, texts = self._reading.reader, self._reading.texts  # versions of an epoch read the same
            news = await reader.look()
            await asyncio.to_thread(texts.change, vectors_of(news.vectors), news.deleted)  # maybe a whole catalog
        view = self._world.catalog.view()

        def warm() -> tuple[Brain, _Reading | None]:
            from rec.model.served import brain_of

            gate, served = brain_of(version.version, model, meta, texts)
            served.warm(view)
            reading = _Reading(reader, texts, served.warm) if reader is not None else None
            return Brain(gate, served, version.version, float(meta["learned_through"])), reading

        return await asyncio.to_thread(warm)


def _with_torch() -> None:
    from rec.model.served import one_thread

    one_thread()
