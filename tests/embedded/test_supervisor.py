"""`rec up`'s supervisor with real children."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import stat
import sys
from pathlib import Path

import psutil
import pytest

from rec.embedded.home import Home
from rec.embedded.supervisor import Restarts, Spec, Supervisor, supervised
from rec.errors import ConfigError, Unavailable

SLEEPS = [sys.executable, "-c", "import os, time; print('up', os.getpid(), flush=True); time.sleep(600)"]
DIES = [sys.executable, "-c", "import sys; print('no luck', flush=True); sys.exit(7)"]


def spec(tmp_path: Path, command: list[str], name: str = "child", **more: bool) -> Spec:
    log = tmp_path / f"{name}.log"

    async def up() -> bool:
        return log.exists() and "up" in log.read_text()

    return Spec(name, command, {}, log, ready=up, ready_within_s=10, **more)


FALTERS = """
import os, sys, time
from pathlib import Path
folder, bad = Path(sys.argv[1]), range(2, int(sys.argv[2]))
with (folder / "starts").open("a") as starts:
    starts.write("x")
if len((folder / "starts").read_text()) in bad:
    sys.exit(7)
(folder / "up.new").write_text(str(os.getpid()))
(folder / "up.new").replace(folder / "up")
time.sleep(600)
"""


def falters(tmp_path: Path, *, until: int) -> Spec:
    """A child whose first start is a good one, and then none before start number `until`."""

    async def up() -> bool:
        return (tmp_path / "up").exists()

    command = [sys.executable, "-c", FALTERS, str(tmp_path), str(until)]
    return Spec("child", command, {}, tmp_path / "child.log", ready=up, ready_within_s=10)


def kill_it(tmp_path: Path) -> None:
    pid = int((tmp_path / "up").read_text())
    (tmp_path / "up").unlink()
    os.kill(pid, signal.SIGKILL)


def newest_pid(tmp_path: Path, name: str = "child") -> int:
    """As the child itself has told."""
    return int((tmp_path / f"{name}.log").read_text().split()[-1])


async def test_a_child_that_dies_is_reported_and_started_again(tmp_path: Path) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    async with supervised(said.put_nowait) as supervisor:
        await supervisor.start(spec(tmp_path, SLEEPS))
        first = newest_pid(tmp_path)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(30):
            assert "ended with status -9" in await said.get()
            assert "started again" in await said.get()
            while newest_pid(tmp_path) == first:  # noqa: ASYNC110  the first one's word makes the second look ready
                await asyncio.sleep(0.01)
        assert newest_pid(tmp_path) != first
        assert not supervisor.failed.is_set()


async def test_a_child_that_dies_again_while_it_is_started_again_is_given_further_tries(tmp_path: Path) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    restarts = functools.partial(Restarts, limit=3, window_s=60, pause_s=0.01)
    async with supervised(said.put_nowait, restarts) as supervisor:
        await supervisor.start(falters(tmp_path, until=4))
        kill_it(tmp_path)
        async with asyncio.timeout(20):
            heard = [(await said.get()).splitlines()[0] for _ in range(6)]
    assert heard == [
        "child ended with status -9",
        "child ended with status 7",
        "child is started again in 0.01 s",
        "child ended with status 7",
        "child is started again in 0.02 s",
        "child was started again",
    ]
    assert not supervisor.failed.is_set()


async def test_a_child_that_keeps_dying_is_given_up_with_the_number_of_its_deaths_and_its_log(tmp_path: Path) -> None:
    said: list[str] = []
    restarts = functools.partial(Restarts, limit=2, window_s=60, pause_s=0.01)
    async with supervised(said.append, restarts) as supervisor:
        await supervisor.start(falters(tmp_path, until=100))
        kill_it(tmp_path)
        async with asyncio.timeout(20):
            await supervisor.failed.wait()
    assert supervisor.reason == f"child has ended 3 times within 60 s; its log is {tmp_path}/child.log"
    assert sum(line.startswith("child ended with status") for line in said) == 3


async def test_a_child_that_cannot_be_replaced_ends_everything(tmp_path: Path) -> None:
    async with supervised(lambda _: None) as supervisor:
        await supervisor.start(spec(tmp_path, SLEEPS, "broker", restart=False))
        os.kill(newest_pid(tmp_path, "broker"), signal.SIGKILL)
        async with asyncio.timeout(30):
            await supervisor.failed.wait()
        assert "broker ended" in supervisor.reason


async def test_a_child_that_does_not_start_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    async with supervised(lambda _: None) as supervisor:
        with pytest.raises(Unavailable, match="no luck"):
            await supervisor.start(spec(tmp_path, DIES))


async def test_no_child_lives_when_the_block_is_left(tmp_path: Path) -> None:
    async with supervised(lambda _: None) as supervisor:
        await supervisor.start(spec(tmp_path, SLEEPS, "one"))
        await supervisor.start(spec(tmp_path, SLEEPS, "two"))
        pids = [newest_pid(tmp_path, name) for name in ("one", "two")]
    assert not any(psutil.pid_exists(pid) for pid in pids)


DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', 0, flush=True); time.sleep(600)",
]


async def test_when_what_was_in_memory_is_gone_nobody_waits_for_children_that_drain_it(tmp_path: Path) -> None:
    async with asyncio.timeout(20):  # the deaf one had a minute
        supervisor = Supervisor(lambda _: None, bereft_s=0.1)
        await supervisor.start(spec(tmp_path, SLEEPS, "broker", restart=False))
        await supervisor.start(spec(tmp_path, DEAF, "archiver")._replace(stop_within_s=60.0))
        os.kill(newest_pid(tmp_path, "broker"), signal.SIGKILL)
        await supervisor.failed.wait()
        await supervisor.stop_all()
    assert supervisor.reason == "broker ended, and what it held in memory with it"


class TestHome:
    def test_one_folder_serves_one_process_at_a_time(self, tmp_path: Path) -> None:
        with Home(tmp_path).locked(), pytest.raises(ConfigError, match="another --data-dir"), Home(tmp_path).locked():
            pass

    def test_a_folder_that_is_made_is_its_owner_s_alone_and_another_stays_as_it_is(self, tmp_path: Path) -> None:
        with Home(tmp_path / "new" / "data").locked():
            assert stat.S_IMODE((tmp_path / "new" / "data").stat().st_mode) == 0o700
        shared = tmp_path / "shared"
        shared.mkdir()
        shared.chmod(0o750)
        with Home(shared).locked():
            assert stat.S_IMODE(shared.stat().st_mode) == 0o750

    def test_secrets_are_made_once_and_only_their_owner_reads_them(self, tmp_path: Path) -> None:
        made = Home(tmp_path).secrets()
        assert Home(tmp_path).secrets() == made
        assert len(made.token_secret) >= 32
        assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600

    def test_damaged_secrets_are_named_with_their_remedy(self, tmp_path: Path) -> None:
        (tmp_path / "secrets.json").write_text("{")
        with pytest.raises(ConfigError, match="Delete it"):
            Home(tmp_path).secrets()
