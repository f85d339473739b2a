"""Examples learned a second by the trainer's child alone, beside a bare torch step of the same shapes.

The child does all that it does in a trainer: candidates and features of each example, the test, counters, gate, and a
step of the network for each 32. The floor is that step alone (forward, losses, backward, clipping, AdamW) over a batch
that lies ready. They take turns, on one thread each, and medians count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

import msgspec
import numpy as np

from agents.gpu import Gpu
from rec.catalog import Item
from rec.examples import Example, encode_lesson
from rec.model.device import Hardware
from rec.model.teaching import Shape, Teaching, Training
from tests.faults.poison import examples

WARM, MEASURED, ROUNDS, CHUNK = 512, 512, 3, 256
TEXT_DIM = 384
TEACHING = Teaching(Training(shape=Shape(text_dim=TEXT_DIM), batch=64, new=32))


async def lessons(items: list[Item]) -> dict[str, Any]:
    """Medians of examples a second of the child and of the bare step, and of their ratio."""
    vectors = texts(items)
    stream = await asyncio.to_thread(examples, items, 10.0, 500.0, 1)
    wanted = WARM + ROUNDS * MEASURED
    assert len(stream) >= wanted, "a longer stream is needed"
    rounds = []
    floor = await asyncio.to_thread(Floor, items, vectors, stream[:WARM])
    async with Gpu(TEACHING, Hardware()) as gpu:
        await gpu.resume("", None)
        await gpu.know(items, {item_id: vector.tobytes() for item_id, vector in vectors.items()}, [])
        await _taught(gpu, stream[:WARM])
        for at in range(WARM, wanted, MEASURED):
            child = await _taught(gpu, stream[at : at + MEASURED])
            bare = await asyncio.to_thread(floor.examples_per_s, MEASURED // TEACHING.training.new)
            rounds.append((child, bare))
    return {
        "items": len(items),
        "child_per_s": median(child for child, _ in rounds),
        "bare_per_s": median(bare for _, bare in rounds),
        "ratio": median(child / bare for child, bare in rounds),
        "rounds": [[round(child), round(bare)] for child, bare in rounds],
    }


def texts(items: Sequence[Item]) -> dict[str, np.ndarray]:
    """A unit vector for each item: what they mean does not change how long a step takes."""
    drawn = np.random.default_rng(1).normal(size=(len(items), TEXT_DIM)).astype("<f4")
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return {item.item_id: vector for item, vector in zip(items, drawn, strict=True)}


async def _taught(gpu: Gpu, stream: Sequence[Example]) -> float:
    """Examples a second."""
    records = [encode_lesson(example) for example in stream]
    begun, before = time.perf_counter(), (await gpu.told()).learned
    for at in range(0, len(records), CHUNK):
        taken = await gpu.take(records[at : at + CHUNK], 0)
    assert taken.learned - before == len(records)
    return len(records) / (time.perf_counter() - begun)


class Floor:
    """The step of a network over one batch, again and again."""

    def __init__(self, items: list[Item], vectors: dict[str, np.ndarray], stream: Sequence[Example]) -> None:
        import torch

        from rec.model.learner import Learner

        torch.set_num_threads(1)
        self._learner = Learner(msgspec.structs.replace(TEACHING.training, hide=0.0))
        self._learner.know(items, vectors)
        self._learner.learn([(example.state, example.event) for example in stream])  # fills what it draws from
        self._batch = self._learner._mixed(TEACHING.training.new)

    def examples_per_s(self, steps: int) -> float:
        """New examples a second, if nothing but the step cost anything."""
        begun = time.perf_counter()
        for _ in range(steps):
            self._learner._step(self._batch)
        return steps * TEACHING.training.new / (time.perf_counter() - begun)
