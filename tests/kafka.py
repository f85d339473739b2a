"""A real Apache Kafka for tests: `REC_TEST_KAFKA` names its launcher (else ../shared/kafka/kafka, if it is there).

The launcher is a script with `run --port P --data DIR` (one node in the foreground) that needs Java 17.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from random import SystemRandom

from rec.embedded.broker import broker_ready
from rec.embedded.process import Child, running
from tests.requirements import require

ROOT = Path(__file__).resolve().parent.parent
SIBLING = ROOT.parent / "shared" / "kafka" / "kafka"
CONTROLLER = 10_000  # the launcher takes this port above the broker's, too


def launcher() -> Path | None:
    """The launcher's path; None where there is no Kafka to be had."""
    path = Path(os.environ.get("REC_TEST_KAFKA") or SIBLING)
    return path if os.access(path, os.X_OK) and shutil.which("java") else None


def need_kafka() -> Path:
    """The launcher; skips the test, or fails it where Kafka is required."""
    if (found := launcher()) is None:
        require("kafka", "no launcher at REC_TEST_KAFKA or ../shared/kafka/kafka, or no java")
    return found


def free_pair() -> int:
    """A port P such that P and P + 10000 are free."""
    for _ in range(200):
        port = SystemRandom().randrange(20_000, 30_000)
        with contextlib.suppress(OSError), socket.socket() as a, socket.socket() as b:
            a.bind(("127.0.0.1", port))
            b.bind(("127.0.0.1", port + CONTROLLER))
            return port
    raise RuntimeError("no two free ports")


@contextlib.asynccontextmanager
async def apache_kafka(start: Path, folder: Path) -> AsyncIterator[tuple[str, Child]]:
    """A broker until the block is left: its bootstrap address and its process, to be paused or killed."""
    port = free_pair()
    command = [str(start), "run", "--port", str(port), "--data", str(folder / "kafka")]
    async with running(command, folder / "kafka.log", lambda: broker_ready(port), within_s=60) as child:
        yield f"127.0.0.1:{port}", child
