"""docs/tutorial.md is followed as it stands: each block in its terminal, in order, against a real `rec up`."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from rec.embedded import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "docs/tutorial.md").read_text()
# What a block that goes on running says when it is up.
STAYS = {"rec up": r"ready in .*", "rec watch": r"home of ana", "serve.py": r"Running on"}
PATIENCE_S = 90.0


class Block(NamedTuple):
    """Commands, and the terminal that they are given in."""

    terminal: str
    text: str

    @property
    def up(self) -> str | None:
        """What it says when it is up; None: it ends."""
        return next((said for command, said in STAYS.items() if command in self.text), None)


BLOCKS = [Block(*found) for found in re.findall(r'^```bash title="(terminal \d)"\n(.*?)^```', TEXT, re.M | re.S)]


class Terminal:
    """A bash that stays open between blocks. A command that fails ends it."""

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=folder, env=env, text=True, start_new_session=True,
        )  # fmt: skip
        self.said = ""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            with self._changed:
                self.said += line
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def run(self, text: str, until: str | None = None) -> str:
        """Give the commands; what they said up to their end, or up to what matches `until`."""
        assert self._bash.stdin is not None
        before = len(self.said)
        self._bash.stdin.write(f"{text}\n" if until else f"{text}\necho '__' 'done'\n")
        self._bash.stdin.flush()
        self.wait(until or "__ done\n", before)
        return self.said[before:]

    def wait(self, pattern: str, after: int = 0) -> None:
        deadline = time.monotonic() + PATIENCE_S
        with self._changed:
            while not re.search(pattern, self.said[after:]):
                assert not self._ended, self.said
                assert self._changed.wait(deadline - time.monotonic()), f"{pattern} does not come\n{self.said}"

    def close(self) -> None:
        """As when its window is closed; waits until what ran in it has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
        self._bash.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        for pipe in (self._bash.stdin, self._bash.stdout):
            assert pipe is not None
            pipe.close()


class Followed(NamedTuple):
    """The tutorial, done: its terminals are still open."""

    terminals: dict[str, Terminal]
    said: list[str]  # by each block
    url: str

    def of(self, command: str) -> str:
        """What the one block with this command said."""
        (found,) = (text for block, text in zip(BLOCKS, self.said, strict=True) if command in block.text)
        return found


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("REC_")}
    home = str(tmp_path_factory.mktemp("home"))
    env |= {"HOME": home, "PYTHONPATH": str(ROOT), "COLUMNS": "120", "PYTHONUNBUFFERED": "1"}
    opened: dict[str, Terminal] = {}
    port, page_port = free_port(), free_port()
    try:
        for name in dict.fromkeys(block.terminal for block in BLOCKS):
            opened[name] = Terminal(ROOT, env)
        said = [opened[block.terminal].run(here(block.text, port, page_port), block.up) for block in BLOCKS]
        yield Followed(opened, said, f"http://127.0.0.1:{port}")
    finally:
        for name in sorted(opened, reverse=True):
            opened[name].close()


def here(text: str, port: int, page_port: int) -> str:
    """The commands with the ports of this run, and with the environment of this run in place of one of their own."""
    text = text.replace("make install", "make -n install").replace(".venv/bin/activate", f"{sys.prefix}/bin/activate")
    text = text.replace("rec up ", f"rec up --port {port} ").replace(
        "serve.py", f"serve.py --port {page_port} --url http://127.0.0.1:{port}"
    )
    return text.replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("127.0.0.1:8000", f"127.0.0.1:{page_port}")


def test_the_tutorial_does_what_it_says(followed: Followed) -> None:
    assert "sku,name,category,brand,price,url" in followed.of("sample_shop.py")
    assert "300 items imported from 300 rows" in followed.of("catalog import")
    assert re.search(r"(1,\d\d\d) events imported from \1 rows", followed.of("events import"))
    assert "folded by the workers" in followed.of("events import")
    assert '"reason": {' in followed.of("/v1/recommendations")
    assert '"category": "Running"' in followed.of("/v1/recommendations")
    assert "accepted\n" in followed.of("add_to_cart")
    followed.terminals["terminal 3"].wait(
        r"(?s)popular.*camp-00.*(because you|you like Camping|in your cart|goes with)"
    )
    assert "0 failed" in followed.of("rec doctor")


def test_the_examples_run_in_the_same_world(followed: Followed) -> None:
    first = followed.terminals["terminal 1"]
    broker = """$(python -c 'import json; print(json.load(open(".rec/running.json"))["env"]["REC_BROKER_URL"][8:])')"""
    assert "partition " in first.run(f"python {ROOT}/examples/kafka_producer.py {broker} bob camp-0001")
    state = f'curl -fsS -H "Authorization: Bearer $KEY" {followed.url}/v1/users/bob'
    first.run(f"until {state} | grep -q camp-0001; do sleep 0.1; done")  # the worker has folded it
    said = first.run(f"python {ROOT}/examples/consumer.py {followed.url} ana --count 1")  # the key is in .rec
    assert re.search(r"version \d+, made by .*: \d+ new\n(  \+ .*\n)*  \+ camp-", said)
