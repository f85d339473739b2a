"""Servers for a whole test run: the embedded ones and the system's, each in a folder and on a port of its own.

A `Child` is bound to no event loop, so a server of session scope is started and stopped outside of any test's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

from rec.embedded import Child, broker_command, broker_ready, free_port, redis_command, redis_ready
from tests.kafka import free_pair, need_kafka
from tests.requirements import require

SYSTEM_REDIS = "/usr/bin/redis-server"


class Server:
    """A server that can be killed and started again on its port. `with` starts and ends it."""

    def __init__(
        self, command: Sequence[str], folder: Path, port: int, ready: Callable[[int], Awaitable[bool]]
    ) -> None:
        self.command, self.folder, self.port = command, folder, port
        self._ready = ready
        self.child: Child | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def launch(self) -> Child:
        """Start the program without waiting for it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.child = Child(self.command, self.folder / "log", cwd=self.folder)
        return self.child

    async def start(self) -> Child:
        """Start it, and return when it answers."""
        child = self.launch()
        await child.until_ready(lambda: self._ready(self.port), 60)
        return child

    def __enter__(self) -> Server:
        try:
            asyncio.run(self.start())
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        if self.child is not None:
            self.child.kill()


def start_tansu(folder: Path) -> Server:
    """The embedded broker. Use it in a `with`, as the others below."""
    port = free_port()
    return Server(broker_command(port, folder), folder, port, broker_ready)


def start_kafka(folder: Path) -> Server:
    """A real Apache Kafka; skips the test, or fails it where Kafka is required, if there is none."""
    port = free_pair()
    command = [str(need_kafka()), "run", "--port", str(port), "--data", str(folder / "data")]
    return Server(command, folder, port, broker_ready)


def start_embedded_redis(folder: Path) -> Server:
    port = free_port()
    return Server(redis_command(port, folder), folder, port, redis_ready)


def start_redis(folder: Path) -> Server:
    """The system's redis-server; skips the test, or fails it where Redis is required, if there is none."""
    program = SYSTEM_REDIS if Path(SYSTEM_REDIS).exists() else shutil.which("redis-server")
    if program is None:
        require("redis", "no redis-server in /usr/bin or on PATH")
    port = free_port()
    return Server([program, *redis_command(port, folder)[1:]], folder, port, redis_ready)


@contextlib.contextmanager
def paused(child: Child) -> Iterator[None]:
    """The program stands still inside the block, its sockets open: half of what goes wrong in networks."""
    import signal

    child.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        child.signal(signal.SIGCONT)
