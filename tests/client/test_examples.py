"""The examples say what they need before they ask a server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize("command", [["consumer.py", "http://127.0.0.1:1", "ana"], ["page/serve.py"]])
def test_an_example_without_a_key_says_what_to_set(command: list[str], tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if name != "REC_API_KEY"}
    env["PYTHONPATH"] = str(EXAMPLES.parent)
    program = [sys.executable, str(EXAMPLES / command[0]), *command[1:]]
    done = subprocess.run(program, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no API key: set REC_API_KEY")
    assert "Traceback" not in done.stderr
