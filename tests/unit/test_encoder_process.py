"""The encoder in a process of its own: the worker gets vectors and never loads torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rec.errors import ModelError
from rec.model.encoder import encode_batch
from rec.model.weights import DEFAULT, encoder_id, locate

WORKER = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import numpy as np
from rec.model.encoder import encode_batch, warm

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=warm, initargs=(sys.argv[1], 1)) as child:
        dim, raw = child.submit(encode_batch, ["tent", "camping tent", "piano"]).result(timeout=120)
    tent, camping, piano = np.frombuffer(raw, np.float32).reshape(-1, dim)
    assert tent @ camping > tent @ piano
    assert "torch" not in sys.modules
    print(dim)
"""


def test_a_worker_gets_vectors_from_a_child_and_stays_without_torch(tmp_path: Path) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    done = subprocess.run([sys.executable, script, DEFAULT], capture_output=True, text=True, timeout=150)
    assert (done.returncode, done.stdout.strip()) == (0, "384"), done.stderr
    assert done.stderr == ""


def test_a_process_that_was_not_prepared_says_so() -> None:
    with pytest.raises(ModelError, match="initializer=warm"):
        encode_batch(["tent"])


def test_other_weights_have_another_name(tmp_path: Path) -> None:
    names = set()
    for content in (b"a" * 100, b"b" * 100, b"a" * 101):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(content)
        names.add(encoder_id(str(folder)))
    assert len(names) == 3
    assert all(name.startswith("mine-") for name in names)


@pytest.mark.parametrize("files", [[], ["config.json"], ["model.safetensors"], ["config.json", "pytorch_model.bin"]])
def test_a_folder_without_configuration_or_safe_weights_is_refused(tmp_path: Path, files: list[str]) -> None:
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ModelError, match="safetensors"):
        locate(str(tmp_path))


def test_a_path_that_is_no_folder_is_not_looked_for_on_a_hub(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no folder"):
        locate(str(tmp_path / "nowhere"))
