"""When the process that reads queries starts: with a sign that somebody searches, and not before."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from agents.query_encoder import QueryEncoder
from tests.agents.school import until
from tests.model.tiny import tiny_bert

pytestmark = pytest.mark.usefixtures("warm_children")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return tiny_bert(tmp_path_factory.mktemp("tiny"), ["tent", "lamp"])


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


async def test_nobody_searches_and_no_process_starts_then_one_query_starts_it(folder: str) -> None:
    encoder, before = QueryEncoder(folder), children()
    async with running(encoder):
        await asyncio.sleep(0)  # the task has begun, and waits
        assert encoder.known("tent") is None  # to ask what is known starts nothing
        assert children() == before
        assert await encoder.vector("tent", 0.0) is None  # cold: nobody waits for it
        await until(lambda: encoder.known("Tent ") is not None)
        assert len(children()) == len(before) + 1
        assert encoder.is_warm
        vector = await encoder.vector("tent", 0.0)
        assert vector is not None
        assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    assert children() == before
    assert not encoder.is_warm


async def test_who_begins_to_type_starts_it_before_the_first_query(folder: str) -> None:
    encoder = QueryEncoder(folder)
    async with running(encoder):
        encoder.start()
        await until(lambda: encoder.is_warm)
        assert await encoder.vector("lamp", 30.0) is not None


async def test_a_search_wakes_the_process_however_soon_the_asker_gives_up(folder: str) -> None:
    encoder = QueryEncoder(folder)
    async with running(encoder):
        assert await encoder.vector("tent lamp", 0.0) is None
        assert await encoder.vector("tent lamp", 60.0, cold=True) is not None
