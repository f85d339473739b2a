"""Whose turn it is in search: what is late, what is not known here any more, what has to be done again."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

import agents.searching
from agents.metrics import Metrics
from agents.query_encoder import QueryEncoder
from agents.searching import TOGETHER, Searching
from agents.served import ServedLists
from rec.protocol import Search
from rec.recommend import World
from rec.requests import SearchRequest
from rec.search.engine import Engine
from rec.search.nearness import ReadQuery
from rec.search.words import Words
from rec.slates import Slate, decode_slate
from rec.store.memory import MemoryExchange, MemoryLog
from rec.topics import SERVED
from tests.agents.test_search_thread import Stumbling
from tests.stack import until
from tests.unit.shop import NOW, shop, vector


class Time:
    now = NOW

    def __call__(self) -> float:
        return self.now


class Warm(QueryEncoder):
    """Has loaded its model, and reads every query as being about tents."""

    def __init__(self, encoder: str) -> None:
        super().__init__("tiny", encoder)
        self.read_so_far: list[str] = []

    async def read(self, query: str, within_s: float, *, cold: bool = False) -> ReadQuery:
        self.read_so_far.append(query)
        return ReadQuery(self._base, (vector("camping-1") / np.linalg.norm(vector("camping-1"))).astype(np.float32))


class Worker:
    """The search of one worker, and the replies of its exchange."""

    def __init__(self, folder: Path, world: World, engine: Engine | None = None, warm: Warm | None = None) -> None:
        self.clock, self.exchange, metrics = Time(), MemoryExchange(), Metrics()
        served = ServedLists(
            to=MemoryLog(), topic=SERVED, partitions=1, item_of=world.catalog.get, consent_default=True,
            lost=metrics.served_lost,
        )  # fmt: skip
        self.searching = Searching(
            engine=engine or Engine(Words("en")), encoder=warm, world=world, state_of=lambda _: None,
            life_of=lambda _: (None, None), served=served, exchange=self.exchange, metrics=metrics,
            fusion_path=folder / "fusion.json", clock=self.clock,
        )  # fmt: skip
        self.searching.follow([item for item in world.catalog.view().items if item is not None], [])
        self.replies = self.exchange.connect().replies("web-1")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Worker]:
        task = asyncio.create_task(self.searching.run())
        try:
            await self.slate("camping")  # the index is built
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def ask(self, number: str, q: str, within_s: float = 600.0, page: str | None = None) -> None:
        deadline = self.clock.now + within_s
        self.searching.answer(SearchRequest("u1", number, "web-1", deadline, Search(q, n=2, page=page)))

    async def slate(self, q: str, page: str | None = None) -> Slate:
        self.ask("one", q, page=page)
        async with asyncio.timeout(30):
            body = msgspec.json.decode((await anext(self.replies)).body)
        return decode_slate(msgspec.json.encode(body["slate"]))


async def test_searches_behind_their_deadline_hold_up_none_that_come_after_them(tmp_path: Path) -> None:
    async with Worker(tmp_path, shop(each=1)).running() as worker:
        for n in range(3 * TOGETHER):  # whatever turn the worker is in
            worker.ask(f"late-{n}", "camping", within_s=1.0)
        for n in range(3):
            worker.ask(f"fresh-{n}", "camping")
        worker.clock.now += 2.0
        async with asyncio.timeout(10):
            answered = [(await anext(worker.replies)).request_id for _ in range(3)]
        assert answered == ["fresh-0", "fresh-1", "fresh-2"]


async def test_a_page_of_a_search_that_is_known_here_is_not_read_again(tmp_path: Path) -> None:
    world = shop(each=4)
    warm = Warm(world.catalog.encoder)
    async with Worker(tmp_path, world, warm=warm).running() as worker:
        first = await worker.slate("something for the woods")
        del warm.read_so_far[:]
        second = await worker.slate("something for the woods", page=first.search.next)  # type: ignore[union-attr]
        assert (first.strategy, second.strategy, warm.read_so_far) == ("search-hybrid", "search-hybrid", [])


async def test_a_page_of_a_search_that_another_worker_made_is_made_anew_with_vectors(tmp_path: Path) -> None:
    world = shop(each=4)
    async with Worker(tmp_path, world, warm=Warm(world.catalog.encoder)).running() as one:
        first = await one.slate("something for the woods")
    async with Worker(tmp_path, world, warm=Warm(world.catalog.encoder)).running() as other:
        second = await other.slate("something for the woods", page=first.search.next)  # type: ignore[union-attr]
        whole = await other.slate("something for the woods")
    assert second.strategy == "search-hybrid"
    assert not {place.item_id for place in first.items} & {place.item_id for place in second.items}
    assert [place.item_id for place in whole.items] == [place.item_id for place in first.items]


async def test_an_erased_user_who_could_not_be_forgotten_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.searching, "AGAIN_S", 0.001)
    engine = Stumbling()
    async with Worker(tmp_path, shop(each=1), engine).running() as worker:
        for user_id in ("u1", "u2"):
            worker.searching.forget(user_id)
        assert await until(lambda: len(engine.forgotten) == 3, 10)
    assert engine.forgotten == ["u1", "u2", "u1"]
