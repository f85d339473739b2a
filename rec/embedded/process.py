"""Children of a process: started with their log in a file, awaited until they answer, ended with all they started.

Invariant: no child outlives its parent. On an orderly end SIGTERM and then SIGKILL go to the child's whole process
group; if the parent is killed outright, the Linux kernel signals the child (PR_SET_PDEATHSIG, prctl(2)).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from rec.errors import ConfigError, Unavailable

READY_S = 20.0
GRACE_S = 5.0
_POLL_S = 0.02
_LOG_TAIL = 1_500
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork: dlopen after one may deadlock


class Child:
    """A running program in a process group of its own. Start it from the main thread.

    (The kernel's parent-death signal fires when the *thread* that forked ends, so a worker thread must not start one.)
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        death_signal: signal.Signals = signal.SIGKILL,
        niceness: int = 0,
    ) -> None:
        """`env` is added to this process's environment. `death_signal` reaches the child if its parent is killed.

        `niceness` is added to this process's: 0 as urgent as this one … 19.
        """
        self.command, self.log = list(command), log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            try:
                self._popen = subprocess.Popen(
                    self.command,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **(env or {})},
                    cwd=cwd,
                    start_new_session=True,
                    preexec_fn=_begin(os.getpid(), death_signal, niceness),
                )
            except OSError as error:
                raise ConfigError(f"cannot start {self.command[0]}: {error.strerror}. Is it installed?") from error

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def returncode(self) -> int | None:
        """None while it runs; the exit status, or minus the signal that ended it."""
        return self._popen.poll()

    async def exited(self) -> int:
        """Wait for the end; its returncode."""
        while (code := self.returncode) is None:  # noqa: ASYNC110  # without a thread a child's end is no event
            await asyncio.sleep(_POLL_S)
        return code

    async def until_ready(self, ready: Callable[[], Awaitable[bool]], within_s: float = READY_S) -> None:
        """Wait until `ready()` says so; Unavailable, with the end of its log, if it exits or takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while not await ready():
            if self.returncode is not None:
                raise self._failed(f"ended with status {self.returncode} before it was ready")
            if loop.time() > deadline:
                raise self._failed(f"was not ready within {within_s:g} s")
            await asyncio.sleep(_POLL_S)

    def signal(self, number: signal.Signals) -> None:
        """To the child and everything it started; nothing happens if all of it is gone."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def stop(self, grace_s: float = GRACE_S) -> int:
        """SIGTERM, and SIGKILL to whatever is left after `grace_s`; the returncode."""
        try:
            if self.returncode is None:
                self.signal(signal.SIGTERM)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(grace_s):
                        await self.exited()
        finally:
            code = self.kill()
        return code

    def kill(self) -> int:
        """End it and everything it started, now; the returncode."""
        self.signal(signal.SIGKILL)
        return self._popen.wait()

    def _failed(self, what: str) -> Unavailable:
        with self.log.open("rb") as log:
            log.seek(max(0, self.log.stat().st_size - _LOG_TAIL))
            end = log.read().decode(errors="replace").strip()
        return Unavailable(f"{self.log.stem} {what}. The end of {self.log}:\n{end or '(empty)'}")


@contextlib.asynccontextmanager
async def running(
    command: Sequence[str],
    log: Path,
    ready: Callable[[], Awaitable[bool]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    within_s: float = READY_S,
    grace_s: float = GRACE_S,
) -> AsyncIterator[Child]:
    """A child that answers, ended when the block is left."""
    child = Child(command, log, env=env, cwd=cwd)
    try:
        await child.until_ready(ready, within_s)
        yield child
    finally:
        await child.stop(grace_s)


def _begin(parent: int, death_signal: signal.Signals, niceness: int) -> Callable[[], None]:
    """What the child does between fork and exec: let others go first, ask for the signal, see that the parent is there
    still."""

    def ask() -> None:
        os.nice(niceness)
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
            if os.getppid() != parent:  # it died before we asked
                os._exit(1)

    return ask
