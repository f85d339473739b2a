"""What fails in the search thread: it costs its own answer, and nobody else's."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest

from agents.metrics import Metrics
from agents.search_thread import Click, SearchThread
from rec.protocol import Search
from rec.recommend import World
from rec.requests import SearchRequest
from rec.search.engine import Engine
from rec.search.nearness import ReadQuery
from rec.search.words import Words
from tests.unit.shop import NOW, shop


class Stumbling(Engine):
    """Fails the first time, as it would where memory is short."""

    def __init__(self) -> None:
        super().__init__(Words("en"))
        self.forgotten: list[str] = []
        self.heard: list[str] = []

    def forget(self, user_id: str) -> int:
        self.forgotten.append(user_id)
        if len(self.forgotten) == 1:
            raise MemoryError
        return super().forget(user_id)

    def clicked(self, slate_id: str, user_id: str, item_ids: Sequence[str], at: float) -> bool:
        self.heard.append(slate_id)
        if len(self.heard) == 1:
            raise MemoryError
        return super().clicked(slate_id, user_id, item_ids, at)


def asking(q: str) -> SearchRequest:
    return SearchRequest("u1", q, "web-1", time.time() + 600, Search(q))


def broken(world: World) -> ReadQuery:
    """A vector that no product's can be compared with."""
    dim = world.catalog.view().vectors.shape[1]
    return ReadQuery(world.catalog.encoder, np.ones((dim, 2), np.float32))


def test_a_search_that_fails_is_its_own_error_and_the_logs(caplog: pytest.LogCaptureFixture) -> None:
    world, engine = shop(each=2), Stumbling()
    engine.change([item for item in world.catalog.view().items if item is not None])
    thread = SearchThread(engine, world, Metrics(), random.Random(1))
    failed = thread.search(asking("camping"), broken(world), None, NOW, complete=True)
    assert (failed.slate, msgspec.json.decode(failed.body)["error"]["code"]) == (None, "internal")
    assert "a search failed" in caplog.text
    assert thread.search(asking("camping"), None, None, NOW, complete=True).slate is not None


def test_a_click_that_fails_is_the_logs_and_the_next_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    engine = Stumbling()
    thread = SearchThread(engine, shop(each=1), Metrics(), random.Random(1))
    thread.learn([Click("s1", "u1", ["a"]), Click("s2", "u1", ["a"])], NOW)
    assert engine.heard == ["s1", "s2"]
    assert "could not learn" in caplog.text
