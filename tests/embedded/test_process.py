"""Children: awaited until they answer, explained when they do not, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rec.embedded import Child, broker_ready, embedded_broker, embedded_redis, free_port, redis_ready, running
from rec.errors import ConfigError, Unavailable

FAMILY = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("up", flush=True)
time.sleep(600)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)
PARENT = """
import subprocess, sys, time
from pathlib import Path
from rec.embedded import Child
child = Child([sys.executable, "-c", "import time; time.sleep(600)"], Path(sys.argv[1]))
print(child.pid, flush=True)
time.sleep(600)
"""


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", code, *arguments]


def says_up(log: Path) -> bool:
    return log.exists() and b"up" in log.read_bytes()


async def until_gone(pid: int) -> None:
    async with asyncio.timeout(30):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


async def test_a_child_ends_with_all_it_started(tmp_path: Path) -> None:
    log = tmp_path / "log"

    async def ready() -> bool:
        return says_up(log)

    async with running(python(FAMILY), log, ready) as child:
        grandchildren = psutil.Process(child.pid).children()
        assert len(grandchildren) == 1
    assert child.returncode == -signal.SIGTERM
    await until_gone(grandchildren[0].pid)


async def test_a_child_that_does_not_heed_sigterm_is_killed_after_its_grace(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = Child(python(STUBBORN), log)

    async def ready() -> bool:
        return says_up(log)

    await child.until_ready(ready)
    started = time.monotonic()
    assert await child.stop(grace_s=0.2) == -signal.SIGKILL
    assert 0.2 <= time.monotonic() - started < 3
    assert await child.stop() == -signal.SIGKILL  # again is nothing


async def test_a_child_that_nobody_waits_for_lets_others_go_first(tmp_path: Path) -> None:
    child = Child(python("import time; time.sleep(60)"), tmp_path / "log", niceness=5)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)
    finally:
        child.kill()


async def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    with subprocess.Popen(python(PARENT, str(tmp_path / "log")), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.kill()
    await until_gone(child)


async def test_a_child_that_ends_too_early_is_explained_by_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    with pytest.raises(Unavailable, match=r"ended with status 3[\s\S]*no disk"):
        async with running(python("print('no disk'); raise SystemExit(3)"), tmp_path / "log", never):
            pytest.fail("was ready")


async def test_a_child_that_is_never_ready_is_ended(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    before = set(psutil.Process().children())
    with pytest.raises(Unavailable, match=r"not ready within 0\.1 s"):
        async with running(python(FAMILY), tmp_path / "log", never, within_s=0.1):
            pytest.fail("was ready")
    assert set(psutil.Process().children()) == before


async def test_a_program_that_is_not_there_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no-such-program"):
        Child(["no-such-program"], tmp_path / "log")


async def test_readiness_is_an_answer_in_the_right_protocol(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path / "b") as bootstrap, embedded_redis(tmp_path / "r") as url:
        broker, redis = int(bootstrap.rpartition(":")[2]), int(url.removesuffix("/0").rpartition(":")[2])
        assert await broker_ready(broker)
        assert await redis_ready(redis)
        assert not await redis_ready(broker)
        assert not await broker_ready(redis)
    nobody = free_port()
    assert not await broker_ready(nobody)
    assert not await redis_ready(nobody)


async def test_embedded_servers_listen_on_the_loopback_interface_alone(tmp_path: Path) -> None:
    before = set(psutil.Process().children())
    async with embedded_broker(tmp_path / "b"), embedded_redis(tmp_path / "r"):
        started = set(psutil.Process().children()) - before
        addresses = {
            connection.laddr.ip
            for process in started
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        }
    assert addresses == {"127.0.0.1"}
