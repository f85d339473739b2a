"""`rec up`'s children: started in order, watched, restarted or given up on, stopped in the reverse order.

A child that ends is started again: at once, or, within 10 s of its last end, after 0.5, 1, 2 and 4 s. The sixth end
within a minute is the last.
The decision is pure (`Restarts`), the rest is wiring. Invariant: when `Supervisor` is left, no child lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from rec.embedded.process import Child
from rec.errors import RecError, Unavailable

Report = Callable[[str], None]
BEREFT_S = 3.0  # without what could not be had again, nothing is left to drain: each child has so long to end


class Spec(NamedTuple):
    """A process to keep. `restart=False`: its death ends everything, because what it held cannot be had again."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    log: Path
    restart: bool = True
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_within_s: float = 60.0
    stop_within_s: float = 10.0
    niceness: int = 0  # see Child


class Restarts:
    """Pure: how long does a child that died wait until it is started again? After `limit` times in `window_s`: None.

    Not at all after `calm_s` without a death; else `pause_s`, and each time twice as long.

    >>> restarts = Restarts(limit=4, window_s=60, pause_s=0.5, calm_s=10)
    >>> [restarts.wait(now) for now in (0, 1, 2, 20, 21, 61)]
    [0.0, 0.5, 1.0, 0.0, None, 0.0]
    """

    def __init__(self, limit: int = 5, window_s: float = 60.0, pause_s: float = 0.5, calm_s: float = 10.0) -> None:
        self.limit, self.window_s, self._pause_s, self._calm_s = limit, window_s, pause_s, calm_s
        self._times: deque[float] = deque()
        self._in_a_row = 0

    def wait(self, now: float) -> float | None:
        """Seconds, counted from `now`; None if it is not to be started again."""
        while self._times and self._times[0] <= now - self.window_s:
            self._times.popleft()
        if len(self._times) >= self.limit:
            return None
        calm = not self._times or now - self._times[-1] > self._calm_s
        self._in_a_row = 0 if calm else self._in_a_row + 1
        self._times.append(now)
        return self._pause_s * 2 ** (self._in_a_row - 1) if self._in_a_row else 0.0


class Supervisor:
    """Keeps children alive. `failed` is set, with `reason`, when one cannot be kept."""

    def __init__(self, report: Report, restarts: Callable[[], Restarts] = Restarts, bereft_s: float = BEREFT_S) -> None:
        """`restarts` makes the patience with one child. `bereft_s`: of each child's end, after one that is not started
        again has died."""
        self._report, self._restarts = report, restarts
        self._bereft_s = bereft_s
        self._bereft = False
        self._running: dict[str, tuple[Spec, Child]] = {}
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self.failed = asyncio.Event()
        self.reason = ""

    async def start(self, spec: Spec) -> None:
        """Start a child and wait until it is ready. Raises Unavailable with the end of its log if it is not."""
        await self._launch(spec)
        self._watchers[spec.name] = asyncio.create_task(self._watch(spec), name=f"watch {spec.name}")

    def pid(self, name: str) -> int:
        """Of a child that was started."""
        return self._running[name][1].pid

    async def stop(self, name: str) -> None:
        """SIGTERM, then SIGKILL after the child's time."""
        if (watcher := self._watchers.pop(name, None)) is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        if name in self._running:
            spec, child = self._running.pop(name)
            await child.stop(min(spec.stop_within_s, self._bereft_s) if self._bereft else spec.stop_within_s)

    async def stop_all(self) -> None:
        """Every child, newest first."""
        for name in reversed(list(self._running)):
            await self.stop(name)

    async def _launch(self, spec: Spec) -> None:
        child = Child(spec.command, spec.log, env=spec.env, niceness=spec.niceness)
        self._running[spec.name] = (spec, child)
        if spec.ready is not None:
            await child.until_ready(spec.ready, spec.ready_within_s)

    async def _watch(self, spec: Spec) -> None:
        """Start it again whenever it ends, also while it is being started again, for as long as `Restarts` allows."""
        restarts = self._restarts()
        while True:
            code = await self._running[spec.name][1].exited()
            self._report(f"{spec.name} ended with status {code}\n{tail(spec.log, lines=5)}")
            if not spec.restart:
                self._bereft = True
                return self._fail(f"{spec.name} ended, and what it held in memory with it")
            if (wait_s := restarts.wait(time.monotonic())) is None:
                often = f"{restarts.limit + 1} times within {restarts.window_s:g} s"
                return self._fail(f"{spec.name} has ended {often}; its log is {spec.log}")
            if wait_s:
                self._report(f"{spec.name} is started again in {wait_s:g} s")
                await asyncio.sleep(wait_s)
            try:
                await self._launch(spec)
            except Unavailable:
                if self._running[spec.name][1].returncode is None:  # it may wait for another child: let it
                    self._report(f"{spec.name} runs again, but was not ready within {spec.ready_within_s:g} s")
            except RecError as error:
                return self._fail(error.message)
            else:
                self._report(f"{spec.name} was started again")

    def _fail(self, reason: str) -> None:
        self.reason = reason
        self.failed.set()


@contextlib.asynccontextmanager
async def supervised(report: Report, restarts: Callable[[], Restarts] = Restarts) -> AsyncIterator[Supervisor]:
    """A supervisor whose children end with the block, however it is left."""
    supervisor = Supervisor(report, restarts)
    try:
        yield supervisor
    finally:
        await asyncio.shield(supervisor.stop_all())


def tail(path: Path, lines: int = 15) -> str:
    """The end of a log, indented."""
    if not path.exists():
        return "    (no log)"
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 16_384))
        text = file.read().decode(errors="replace").splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in text)


def python(*module: str) -> list[str]:
    """The command for a module of our own, in this interpreter."""
    return [sys.executable, "-m", *module]
