"""`rec up` with its real children: where it listens, at the start and after a crash; and a worker without a broker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rec.config import load_settings
from rec.direct import get
from rec.embedded.announce import announced, deciding
from rec.embedded.ports import check_address
from rec.errors import ConfigError, Unavailable
from tests.faults.restart import rec_up


def web_of(parent: int) -> psutil.Process | None:
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):  # it has just been killed, and nobody has taken its status yet
            if child.cmdline()[-2:] == ["-m", "web"]:
                return child
    return None


def answers(url: str) -> bool:
    try:
        return get(f"{url}/health/live", 2.0).status == 200
    except Unavailable:
        return False


async def test_a_web_that_crashed_is_back_at_the_address_told_though_a_proxy_is_set_and_all_end_with_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # nobody's: for the children there is none
    monkeypatch.delenv("no_proxy", raising=False)
    async with rec_up(tmp_path / "data", "--no-demo") as up:
        told = announced(tmp_path / "data")
        assert {name: told[name] for name in deciding(load_settings())} == deciding(load_settings())
        first = await asyncio.to_thread(web_of, up.process.pid)
        assert first is not None
        first.kill()

        def back() -> bool:
            now = web_of(up.process.pid)
            return now is not None and now.pid != first.pid and answers(up.url)

        async with asyncio.timeout(60):
            while not await asyncio.to_thread(back):
                await asyncio.sleep(0.1)
        up.process.send_signal(signal.SIGHUP)
        assert await asyncio.to_thread(up.process.wait, 100) == 0  # an archiver that still joins has 60 s
    assert (tmp_path / "data.err").read_text().endswith("trainer, worker, Redis, broker\nstopped\n")


def test_a_taken_port_is_told_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        words = ["up", "--port", str(port), "--data-dir", str(tmp_path / "data"), "--json"]
        command = [sys.executable, "-m", "rec.cli", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    why = "somebody listens there on 127.0.0.1. Give another, or --port 0 for a free one."
    assert done.stderr == f"rec: --port {port}: {why}\n"
    assert json.loads(done.stdout)["error"]["field"] == "port"
    assert not (tmp_path / "data/rec.db").exists()
    assert list((tmp_path / "data/logs").iterdir()) == []


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("REC_SEARCH_LANGUAGE", "klingon", "Input should be 'ar'"),
        ("REC_SEARCH_SYNONYMS", "not-there.txt", "cannot be read"),
        ("REC_SEARCH_SYNONYMS", "synonyms.txt", "synonyms.txt:2: 'sofa' is no synonym"),
    ],
)
@pytest.mark.parametrize("process", ["up", "worker"])
def test_what_search_cannot_use_is_told_before_anything_is_started(
    tmp_path: Path, process: str, name: str, value: str, why: str
) -> None:
    (tmp_path / "synonyms.txt").write_text("tee => t-shirt\nsofa\n")
    up = ["-m", "rec.cli", "up", "--port", "0", "--data-dir", "data"]
    command = [sys.executable, *(up if process == "up" else ["-m", "agents", "worker"])]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), name: value}
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert name in done.stderr
    assert why in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data/rec.db").exists()


def test_an_address_that_this_machine_does_not_have_names_the_host() -> None:
    with pytest.raises(ConfigError, match=r"--host 203\.0\.113\.1"):
        check_address("203.0.113.1", 0)
    check_address("127.0.0.1", 0)


def test_a_worker_without_a_broker_is_one_line_and_exit_code_4(tmp_path: Path) -> None:
    env = {
        **os.environ,
        "REC_BROKER_URL": "kafka://127.0.0.1:1",
        "REC_REDIS_URL": "memory://",
        "REC_TOKEN_SECRET": "s" * 40,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "agents", "worker"]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 4
    said = [line for line in done.stderr.splitlines() if " ERROR agents" in line]
    assert len(said) == 1
    assert "kafka at 127.0.0.1:1" in said[0]
    assert "Traceback" not in done.stderr + done.stdout


def test_an_address_that_nobody_can_read_is_told_on_the_other_stream() -> None:
    code = "import sys\nfrom rec.cli import up\nsys.stdin.read()\nup.tell('http://…')"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        child.stdout = None
        _, said = child.communicate("", timeout=60)
    assert child.returncode == 1
    assert "ConfigError: standard output is closed" in said.splitlines()[-1]
