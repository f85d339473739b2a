"""The **process** in which the text encoder is tuned and re-read: started when there is work, then let go."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import msgspec

from rec.errors import Unavailable
from rec.model import tuner
from rec.model.teaching import Tune
from rec.pairs import Lessons


class Tuner:
    """One child, one call at a time; none before the first call and after `close`."""

    def __init__(self, encoder: str, location: str, threads: int = 1) -> None:
        self._how = (encoder, location, threads)
        self._pool: ProcessPoolExecutor | None = None

    @property
    def pids(self) -> list[int]:
        return list(self._pool._processes) if self._pool is not None else []

    async def tune(self, last: str, lessons: Lessons, how: Tune, more: dict[str, Any]) -> tuner.Visit:
        """One visit. Raises ModelError, and Unavailable if the child has died."""
        encode = msgspec.msgpack.encode
        visit: tuner.Visit = await self._call(tuner.tune, last, encode(lessons), encode(how), more)
        return visit

    async def encode(self, encoder: str, texts: Sequence[str]) -> list[bytes]:
        """Vectors of the texts by an epoch's encoder, little-endian float32. Raises as `tune`."""
        dim, raw = await self._call(tuner.encode, encoder, list(texts))
        return [raw[at : at + 4 * dim] for at in range(0, len(raw), 4 * dim)]

    async def close(self) -> None:
        """End the child, whatever it computes."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)

    def _open(self) -> None:
        """Start the process, which blocks."""
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, mp_context=spawn, initializer=tuner.begin, initargs=self._how)
        self._pool.submit(int)

    async def _call(self, function: Any, *args: Any) -> Any:
        if self._pool is None:
            await asyncio.to_thread(self._open)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        except BrokenProcessPool as error:
            await self.close()
            raise Unavailable(f"the process that tunes the encoder has died ({error})") from error
