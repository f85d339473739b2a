"""SQL → **epochs** → who reads them. Vectors of tuned encoders, each for its own epoch and no other.

An epoch is an encoder id: the base encoder, or the base with an adapter. The base's vectors are the catalog's. Those
of the others come from here: to a worker for the version that it serves, to the trainer's child for the lineage and
for the versions that it scores. Where there is no epoch but the base, nothing here is done.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any

from agents.catalog_reader import EpochReader
from agents.gpu import Gpu
from agents.reading import lesson_of, retained
from rec.errors import ModelError
from rec.examples import Epoch
from rec.model.checkpoint import delete, load_meta, names
from rec.model.weights import adapter_of, tuned_id
from rec.ports import Database, Log

log = logging.getLogger(__name__)


class Epochs:
    """The trainer's: which there are, and what its child is told of them."""

    def __init__(self, *, database: Database, gpu: Gpu, base: str, location: str) -> None:
        self._database, self._gpu, self.base, self.location = database, gpu, base, location
        self._readers: dict[str, EpochReader] = {}
        self._withdrawn: set[str] = set()

    # ------------------------------------------------------------------ reading
    def begin_again(self) -> None:
        """The child knows nothing any more."""
        self._readers.clear()

    async def feed(self, wanted: Collection[str]) -> None:
        """Tell the child what is new of these epochs, and that the others are read no longer. Raises Unavailable."""
        for encoder in [each for each in self._readers if each not in wanted]:
            del self._readers[encoder]
            await self._gpu.untell(encoder)
        for encoder in wanted:
            if encoder != self.base:
                reader = self._readers.setdefault(encoder, EpochReader(self._database, encoder))
                if news := await reader.look():
                    await self._gpu.tell(encoder, news.vectors, news.deleted)

    def incomplete(self) -> list[str]:
        """Epochs that the child reads and of which vectors are missing."""
        return [encoder for encoder, reader in self._readers.items() if not reader.is_complete]

    def has_vectors(self, encoder: str) -> bool:
        """Whether anything was found of an epoch that the child was told of."""
        reader = self._readers.get(encoder)
        return encoder == self.base or (reader is not None and reader.found > 0)

    # ------------------------------------------------------------------ adapters
    async def is_usable(self, encoder: str) -> bool:
        """Whether a lineage may enter this epoch: the base, or one of its adapters that is whole and not withdrawn."""
        if encoder == self.base:
            return True
        adapter = adapter_of(encoder)
        if adapter is None or encoder != tuned_id(self.base, adapter) or encoder in self._withdrawn:
            return False
        try:
            await asyncio.to_thread(load_meta, self.location, adapter)
        except ModelError as error:
            log.warning("the epoch %s cannot be entered: %s", encoder, error.message)
            return False
        return True

    async def metas(self) -> dict[str, dict[str, Any]]:
        """Encoder id → meta.json of every adapter that can be read."""
        found = {}
        for name in await asyncio.to_thread(names, self.location):
            with contextlib.suppress(ModelError):
                meta = await asyncio.to_thread(load_meta, self.location, name)
                found[tuned_id(str(meta["base"]), str(meta["digest"]))] = meta
        return found

    async def withdraw(self, may_stay: Callable[[dict[str, Any]], bool], source: Log, topic: str, end: int) -> None:
        """Adapters that have learned from somebody who is erased are never entered again, their switches leave the log.

        They are removed when the lineage is made again (`remove_withdrawn`): until then a version of theirs serves.
        """
        doomed = {encoder for encoder, meta in (await self.metas()).items() if not may_stay(meta)}
        if not doomed:
            return
        self._withdrawn |= doomed
        keys = []
        async with contextlib.aclosing(retained(source, topic, end)) as records:
            async for record in records:
                lesson = lesson_of(record)
                if isinstance(lesson, Epoch) and lesson.encoder in doomed:
                    keys.append(record.key.decode())
        await source.publish_many(topic, [(key, None) for key in keys])

    async def remove_withdrawn(self) -> None:
        """Their vectors, then they themselves: whoever is interrupted finds them again by their adapter."""
        for encoder in sorted(self._withdrawn):
            await self.forget_vectors([encoder])
            await asyncio.to_thread(delete, self.location, adapter_of(encoder) or "")
            self._withdrawn.discard(encoder)

    async def forget_vectors(self, encoders: Iterable[str]) -> None:
        """Nobody reads them; the adapter, which is small, could make them again."""
        for encoder in encoders:
            if encoder != self.base and (count := await self._database.drop_vectors(encoder)):
                log.info("%d vectors of the epoch %s removed", count, encoder)
