"""The encoder in a process of its own: the worker gets vectors and never loads torch."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from rec.errors import ModelError, Unavailable
from rec.model.background import load_aside
from rec.model.encoder import TextEncoder, encode_batch, warm
from rec.model.weights import DEFAULT, encoder_id, locate
from tests.model.tiny import tiny_bert

WORKER = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import numpy as np
from rec.model import background
from rec.model.encoder import encode_batch, warm

background.step_back = lambda: None  # in the child, too: behind all that is tested beside this it would take minutes

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


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is no SCHED_IDLE")
@pytest.mark.parametrize("urgent", [False, True], ids=["products", "queries"])
def test_a_child_reads_products_behind_everybody_else_and_queries_like_anybody(tmp_path: Path, urgent: bool) -> None:
    weights = tiny_bert(tmp_path, ["tent"])
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=_begin, initargs=(weights, 1, urgent)) as child:
        policy, niceness = child.submit(_standing).result(timeout=120)
    assert policy == (os.SCHED_OTHER if urgent else os.SCHED_IDLE)
    assert niceness - os.nice(0) == (0 if urgent else min(10, 19 - os.nice(0)))


def _begin(weights: str, threads: int, urgent: bool) -> None:
    """As in production, with all imports done: behind all that is tested beside this they would take minutes."""
    TextEncoder(weights)
    warm(weights, threads, urgent)


def _standing() -> tuple[int, int]:
    return os.sched_getscheduler(0), os.nice(0)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no priority of their own")
def test_a_model_is_loaded_behind_everybody_else_and_its_process_is_not() -> None:
    before = os.nice(0)
    with ProcessPoolExecutor(1, get_context("spawn")) as child:
        loading, afterwards = child.submit(_standing_of_a_load).result(timeout=60)
    assert loading == (os.SCHED_IDLE, min(19, before + 10))
    assert afterwards == (os.SCHED_OTHER, before)


def _standing_of_a_load() -> tuple[tuple[int, int], tuple[int, int]]:
    return load_aside(_standing), _standing()


def test_a_child_reads_on_the_device_it_is_told_and_what_torch_cannot_do_is_for_another_try(tmp_path: Path) -> None:
    weights = tiny_bert(tmp_path, ["tent"])
    begun = (weights, 1, True, "meta")
    with ProcessPoolExecutor(1, get_context("spawn"), initializer=warm, initargs=begun) as child:
        reading = child.submit(encode_batch, ["tent"])
        with pytest.raises(Unavailable, match="1 texts could not be read.*meta"):  # it has no numbers to give
            reading.result(timeout=120)


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
