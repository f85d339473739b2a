"""One **process of its own** for what computes long: started, asked, killed. What crosses are bytes, numbers, texts."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.context import BaseContext
from typing import Any

from rec.errors import Unavailable

SPAWN: BaseContext = multiprocessing.get_context("spawn")  # a plain fork would inherit locks, sockets and the loop


class Process:
    """One child, one call at a time; none before `open` and after `close`. `begin(*args)` runs in it first.

    A child that is not there, or dies while it is asked, is `died`, with a message that begins with `name`.
    """

    def __init__(self, name: str, died: type[Unavailable], begin: Callable[..., None], *args: Any) -> None:
        self._name, self._died, self._begin, self._args = name, died, begin, args
        self._pool: ProcessPoolExecutor | None = None

    @property
    def is_open(self) -> bool:
        return self._pool is not None

    @property
    def pids(self) -> list[int]:
        """Of the child, as soon as it was asked for something."""
        return list(self._pool._processes) if self._pool is not None else []

    async def open(self) -> None:
        """Start it; it warms up while the caller goes on."""
        await asyncio.to_thread(self._open)

    def _open(self) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=SPAWN, initializer=self._begin, initargs=self._args)
        self._pool.submit(int)

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """What the function returns there; raises what it raises."""
        if self._pool is None:
            raise self._died(f"{self._name} is not running")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)
        except BrokenProcessPool as error:
            raise self._died(f"{self._name} has died ({error})") from error

    async def close(self) -> None:
        """End it, whatever it computes: nobody waits for that now."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            await asyncio.to_thread(pool.shutdown, wait=True, cancel_futures=True)
