"""The trainer's **child process**: torch lives there, on a GPU if there is one. What crosses are bytes and numbers.

A child that dies (killed, out of memory, a driver's fault) is `GpuDied` for whoever waits for it; `restart` gives a
new one, which knows nothing until `resume`.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import msgspec

from rec.catalog import Item
from rec.errors import Unavailable
from rec.examples import Taken
from rec.model import child
from rec.model.device import Hardware
from rec.model.teaching import Teaching


class GpuDied(Unavailable):
    """The child process is gone, and with it everything since the last checkpoint; `restart`, then `resume`."""


class Gpu:
    """One child, one call at a time. An async context manager."""

    def __init__(self, teaching: Teaching, hardware: Hardware = Hardware()) -> None:
        self._teaching, self._hardware = msgspec.json.encode(teaching), hardware
        self._pool: ProcessPoolExecutor | None = None

    async def __aenter__(self) -> Gpu:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    async def restart(self) -> None:
        """A new child in place of one that died."""
        await self._close()
        await asyncio.to_thread(self._open)

    @property
    def pids(self) -> list[int]:
        """Of the child, as soon as it was asked for something."""
        return list(self._pool._processes) if self._pool is not None else []

    async def resume(self, url: str, name: str | None) -> child.Begun:
        """Go on from a checkpoint, or anew without one. Raises ModelError if it is broken or taught otherwise."""
        return await self._call(child.resume, url, name)  # type: ignore[no-any-return]

    async def know(self, items: Sequence[Item], vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
        """Tell it what has changed in the catalog."""
        await self._call(child.know, msgspec.json.encode(list(items)), vectors, list(deleted))

    async def tell(self, encoder: str, vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
        """Texts of items as a tuned encoder reads them."""
        await self._call(child.tell, encoder, vectors, list(deleted))

    async def untell(self, encoder: str) -> None:
        """Nobody reads this epoch any more."""
        await self._call(child.untell, encoder)

    async def told(self) -> Taken:
        """How things stand, without a record."""
        return await self._call(child.told)  # type: ignore[no-any-return]

    async def traffic(self) -> dict[str, float]:
        """item_id → how much was done with it, decayed; in units of its own."""
        return await self._call(child.traffic)  # type: ignore[no-any-return]

    async def take(self, records: Sequence[bytes], end: int) -> Taken:
        """Learn from records of the examples topic; `end` is the offset behind them."""
        return await self._call(child.take, list(records), end)  # type: ignore[no-any-return]

    async def publish(self, url: str, name: str, more: dict[str, Any]) -> child.Published:
        """Write what it has learned so far as a version that can serve. Raises ModelError if the name is taken."""
        return await self._call(child.publish, url, name, more)  # type: ignore[no-any-return]

    async def contend(self, url: str, names: Sequence[str]) -> list[str]:
        """Score these versions, and no others, beside the candidate; returns those that could not be loaded."""
        return await self._call(child.contend, url, list(names))  # type: ignore[no-any-return]

    async def checkpoint(self, url: str, name: str, more: dict[str, Any]) -> child.Published:
        """Write all of it, so that `resume` goes on from there."""
        return await self._call(child.checkpoint, url, name, more)  # type: ignore[no-any-return]

    async def _call(self, function: Any, *args: Any) -> Any:
        if self._pool is None:  # whoever works beside the trainer may ask while it is being restarted
            raise GpuDied("the trainer's child process is being started again")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        except BrokenProcessPool as error:
            raise GpuDied(f"the trainer's child process has died ({error})") from error

    def _open(self) -> None:
        """Start the process, which blocks; it warms up while the caller goes on."""
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(
            1, mp_context=spawn, initializer=child.begin, initargs=(self._teaching, self._hardware)
        )
        self._pool.submit(int)

    async def _close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())
            for process in processes:  # what it computes now nobody waits for
                process.kill()
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
