"""When the process that reads queries starts: with a sign that somebody searches, and not before."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest

from agents.query_encoder import QueryEncoder
from rec.model.checkpoint import MODEL, digest_of, save
from rec.model.encoder import TextEncoder, epoch_encoder
from rec.model.weights import encoder_id, tuned_id
from tests.agents.school import until
from tests.model.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("warm_children")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("tiny"), ["tent", "lamp"])


@pytest.fixture(scope="module")
def base(folder: str) -> str:
    return encoder_id(folder)


def children() -> set[int]:
    """Processes of `agents.process` that there are."""
    return {child.pid for child in multiprocessing.active_children() if child.pid is not None}


@asynccontextmanager
async def running(encoder: QueryEncoder) -> AsyncIterator[None]:
    """At work until the block is left, with no child before and none after it."""
    task = asyncio.create_task(encoder.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_nobody_searches_and_no_process_starts_then_one_query_starts_it(folder: str, base: str) -> None:
    encoder, before = QueryEncoder(folder, base), children()
    async with running(encoder):
        await asyncio.sleep(0)  # the task has begun, and waits
        assert encoder.known("tent") is None  # to ask what is known starts nothing
        assert children() == before
        assert await encoder.read("tent", 0.0) is None  # cold: nobody waits for it
        await until(lambda: encoder.known("Tent ") is not None)
        assert len(children()) == len(before) + 1
        assert encoder.is_warm
        read = await encoder.read("tent", 0.0)
        assert read is not None
        assert read.encoder == base
        assert np.linalg.norm(read.vector) == pytest.approx(1.0, abs=1e-5)
    assert children() == before
    assert not encoder.is_warm


async def test_who_begins_to_type_starts_it_before_the_first_query(folder: str, base: str) -> None:
    encoder = QueryEncoder(folder, base)
    async with running(encoder):
        encoder.start()
        await until(lambda: encoder.is_warm)
        assert await encoder.read("lamp", 30.0) is not None


async def test_a_search_wakes_the_process_however_soon_the_asker_gives_up(folder: str, base: str) -> None:
    encoder = QueryEncoder(folder, base)
    async with running(encoder):
        assert await encoder.read("tent lamp", 0.0) is None
        assert await encoder.read("tent lamp", 60.0, cold=True) is not None


def epoch(folder: str, url: str, seed: int = 0) -> str:
    """Save an adapter that changes what the encoder says; its encoder id."""
    encoder, rng = TextEncoder(folder), np.random.default_rng(seed)
    encoder.grow(2, 4)
    weights = {name: rng.normal(size=array.shape).astype(np.float32) for name, array in encoder.adapter().items()}
    digest, base = digest_of(weights), encoder_id(folder)
    save(url, digest[:16], {MODEL: weights}, {"base": base, "rank": 2, "alpha": 4})
    return tuned_id(base, digest)


async def test_an_epoch_reads_once_it_is_loaded_and_what_the_other_one_has_read_is_gone(
    folder: str, base: str, tmp_path: Path
) -> None:
    url = str(tmp_path)
    tuned = await asyncio.to_thread(epoch, folder, url)
    expected = await asyncio.to_thread(lambda: epoch_encoder(folder, url, tuned).encode(["tent"])[0])
    encoder, before = QueryEncoder(folder, base, url), children()
    async with running(encoder):
        encoder.follow(tuned)
        encoder.follow(base)
        await asyncio.sleep(0)
        assert children() == before  # nobody searches
        first = await encoder.read("tent", 60.0, cold=True)
        assert first is not None
        encoder.follow(tuned)
        assert encoder.known("tent") is first  # whoever asks meanwhile has the base
        await until(lambda: encoder.known("tent") is None)
        read = await encoder.read("tent", 60.0)
        assert read is not None
        assert read.encoder == tuned
        assert np.allclose(read.vector, expected, atol=1e-5)
        assert not np.allclose(read.vector, first.vector, atol=1e-2)
        await until(lambda: len(children()) == len(before) + 1)
        encoder.follow(base)
        await until(lambda: encoder.known("tent") is None)
        again = await encoder.read("tent", 60.0)
        assert again is not None
        assert (again.encoder, again.vector.tobytes()) == (base, first.vector.tobytes())


async def test_an_epoch_that_cannot_be_loaded_leaves_the_base_at_work(
    folder: str, base: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = QueryEncoder(folder, base, str(tmp_path))
    async with running(encoder):
        encoder.follow(tuned_id(base, "0" * 16))
        assert await encoder.read("tent", 0.0) is None
        await until(lambda: encoder.known("tent") is not None)
        read = encoder.known("tent")
        assert read is not None
        assert read.encoder == base
        encoder.follow(tuned_id(base, "1" * 16))
        await until(lambda: "1111" in caplog.text)
        assert encoder.is_warm
        assert await encoder.read("lamp", 60.0) is not None
