"""registry → **model sync** → `world.brain`. A worker follows the live version, off the loop, one assignment a swap.

A hint over Redis makes a swap immediate, a look at SQL every few seconds makes a lost hint harmless. A version that
cannot be loaded is said so once and not tried again; what serves goes on serving.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from rec.catalog import View
from rec.contest import UNTAUGHT
from rec.errors import ModelError, Unavailable
from rec.model.checkpoint import MODEL, load
from rec.ports import Database, Exchange
from rec.recommend import Brain, World
from rec.versions import ModelVersion

log = logging.getLogger(__name__)


class ModelSync:
    """Keeps `world.brain` equal to what the registry says. `on_swap` is told the version."""

    def __init__(
        self,
        *,
        world: World,
        database: Database,
        exchange: Exchange,
        poll_s: float,
        on_swap: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._world, self._database, self._exchange = world, database, exchange
        self._poll_s, self._on_swap = poll_s, on_swap
        self._changed = asyncio.Event()
        self._refused = ""

    async def prepare(self) -> None:
        """Load torch before anybody waits for a list: it takes a second or more, and the interpreter with it."""
        await asyncio.to_thread(_with_torch)

    async def run(self) -> None:
        """Follow for ever."""
        await asyncio.gather(self._hear(), self._follow())

    async def _hear(self) -> None:
        async for hint in self._exchange.hints():
            if hint is None or hint.kind == "model":
                self._changed.set()

    async def _follow(self) -> None:
        while True:
            try:
                await self.look()
            except Unavailable as error:
                log.warning("the live version could not be read, going on with the one in memory: %s", error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_s):
                    await self._changed.wait()
            self._changed.clear()

    async def look(self) -> None:
        """Swap, if another version is live. Raises Unavailable."""
        live = await self._database.live_version()
        wanted = live.version if live is not None else UNTAUGHT
        if wanted in (self._refused, self._world.brain.version if self._world.brain else ""):
            return
        try:
            brain = await self._loaded(live) if live is not None and wanted != UNTAUGHT else Brain.untaught()
        except ModelError as error:
            self._refused = wanted
            log.error("%s does not serve here: %s", wanted, error.message)  # noqa: TRY400  the remedy is in it
            return
        self._world.brain = brain
        log.info("the version %s serves", wanted)
        self._on_swap(wanted)

    async def _loaded(self, version: ModelVersion) -> Brain:
        """Read it in a thread, and let it see the catalog there: the first list need not wait."""
        if version.url is None:
            raise ModelError(f"the version {version.version} has no weights")
        return await asyncio.to_thread(_read, version.url, version.version, self._world.catalog.view())


def _read(url: str, name: str, view: View) -> Brain:
    from rec.model.served import brain_of

    tensors, meta = load(url, name)
    gate, served = brain_of(name, tensors[MODEL], meta)
    served.warm(view)
    return Brain(gate, served, name, float(meta["learned_through"]))


def _with_torch() -> None:
    from rec.model.served import one_thread

    one_thread()
