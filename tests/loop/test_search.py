"""A search from the log to the reply, in one process; and what a search does to the list at home."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from rec.catalog import Item
from rec.events import ERASE, Attribution, Event, EventItem, encode_event, instant
from rec.model.encoder import TextEncoder
from rec.ports import Hint, Wanted
from rec.protocol import Search
from rec.requests import SearchRequest, SuggestRequest, encode_request
from rec.search.meaning import Meaning
from rec.search.nearness import ReadQuery
from rec.slates import Slate, decode_slate
from rec.store.memory import MemoryExchange
from rec.topics import BEHAVIOR, REQUESTS
from tests.loop.local import Local, local_worker, loop_settings
from tests.model.tiny import tiny_bert

CATEGORIES = ("Camping", "Kitchen", "Books", "Audio")


def items() -> list[Item]:
    return [
        Item(item_id=f"{name.lower()}-{n}", title=f"{name} thing {n}", category=name, brand=f"B{n % 3}", price=10.0 + n)
        for name in CATEGORIES
        for n in range(12)
    ]


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Local]:
    async with local_worker(loop_settings(tmp_path), items()) as local:
        yield local


_numbers = iter(range(1_000_000))


async def ask(loop: Local, request: type[SearchRequest] | type[SuggestRequest], user: str, *more: Any) -> Any:
    exchange, number = loop.exchange.connect(), f"r{next(_numbers)}"
    replies = exchange.replies("web-1")
    made = request(user, number, "web-1", time.time() + 30, *more)
    task = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    await loop.log.publish(loop.settings.topic(REQUESTS), user, encode_request(made))
    async with asyncio.timeout(30):
        reply = await task
    assert reply.request_id == number
    return msgspec.json.decode(reply.body)


async def search(loop: Local, q: str, user: str = "u1", **more: Any) -> Slate:
    answer = await ask(loop, SearchRequest, user, Search(q, **more))
    return decode_slate(msgspec.json.encode(answer["slate"]))


async def happened(loop: Local, name: str, *ids: str, user: str = "u1", **more: Any) -> None:
    now = instant(time.time())
    event = Event(
        event=name, event_id=f"e{next(_numbers)}", user_id=user, items=tuple(map(EventItem, ids)),
        event_ts=now, received_ts=now, **more,
    )  # fmt: skip
    await loop.log.publish(loop.settings.topic(BEHAVIOR), user, encode_event(event))


async def until(true: Any, within_s: float = 30.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


async def test_a_search_is_answered_with_a_slate_of_its_own_placement(loop: Local) -> None:
    slate = await search(loop, "kitchen", n=3, brand="B1")
    assert (slate.placement, slate.user_id, slate.strategy) == ("search", "u1", "search-lexical")
    assert [place.item_id.split("-")[0] for place in slate.items] == ["kitchen"] * 3
    assert all(place.item["brand"] == "B1" and place.propensity == 1.0 for place in slate.items)
    assert loop.metrics.registry.get_sample_value("shunxi_searches_total", {"outcome": "found"}) == 1


async def test_a_query_that_the_worker_refuses_is_answered_with_the_reason(loop: Local) -> None:
    answer = await ask(loop, SearchRequest, "u1", Search("\u200b"))
    assert (answer["error"]["code"], answer["error"]["field"]) == ("bad_request", "q")


async def test_a_search_too_many_is_told_so_at_once(loop: Local) -> None:
    exchange, deadline = loop.exchange.connect(), time.time() + 600
    replies = exchange.replies("web-2")
    first = asyncio.ensure_future(anext(replies))
    await asyncio.sleep(0)
    for n in range(100):  # in one go: the worker has not answered any of them meanwhile
        loop.deps.searching.answer(SearchRequest("u1", f"many-{n}", "web-2", deadline, Search(f"audio {n}", page=None)))
    async with asyncio.timeout(30):
        answers = [await first, *[await anext(replies) for _ in range(99)]]
    said = {reply.request_id: msgspec.json.decode(reply.body) for reply in answers}
    refused = [name for name, body in said.items() if "error" in body]
    assert refused[:3] == ["many-0", "many-1", "many-2"]  # the oldest
    assert said["many-0"]["error"]["code"] == "busy"
    assert said["many-0"]["error"]["temporary"]
    assert "slate" in said["many-99"]
    assert loop.metrics.registry.get_sample_value("shunxi_searches_total", {"outcome": "refused"}) == len(refused)


async def test_a_search_without_results_is_the_users_own_list_and_is_counted(loop: Local) -> None:
    slate = await search(loop, "zzzzqq", n=5)
    assert (slate.search.fallback, len(slate.items)) == ("nothing_matches", 5)  # type: ignore[union-attr]
    assert loop.metrics.registry.get_sample_value("shunxi_searches_total", {"outcome": "nothing_matches"}) == 1


async def test_suggestions_are_answered_by_any_worker(loop: Local) -> None:
    answer = await ask(loop, SuggestRequest, "some key", "kit", 5)
    assert {"text": "Kitchen", "kind": "category"} in answer["suggestions"]


async def test_a_product_can_be_found_as_soon_as_the_catalog_has_it(loop: Local) -> None:
    await loop.database.put_items([Item(item_id="new", title="Hammock")])
    await loop.exchange.connect().hint(Hint("catalog", "new"))
    await until(lambda: loop.metrics.registry.get_sample_value("shunxi_search_indexed_items") == 49)
    assert (await search(loop, "hammock")).items[0].item_id == "new"


async def test_a_click_on_a_result_teaches_the_worker_and_an_erasure_makes_it_forget(loop: Local) -> None:
    slate = await search(loop, "audio")
    engine = loop.deps.searching.engine
    chosen = slate.items[3].item_id
    await happened(loop, "select_item", chosen, attribution=Attribution(slate.slate_id), search_term="audio")
    await until(lambda: engine.fusion.learned == 1)
    assert (await search(loop, "audio", user="u2")).items[0].item_id == chosen  # others get it sooner, too
    await happened(loop, ERASE)
    await until(lambda: b"u1" not in loop.users)
    await search(loop, "audio", user="u2")  # behind it in the same queue
    await happened(loop, "select_item", chosen, attribution=Attribution(slate.slate_id))
    await until(lambda: b"u1" in loop.users)
    await search(loop, "audio", user="u2")
    assert engine.fusion.learned == 1


async def test_a_search_and_one_click_bring_the_category_to_the_list_at_home(loop: Local) -> None:
    exchange = loop.exchange.connect()
    await exchange.announce("web-1", Wanted("u1", {"home": 8}))
    await happened(loop, "view_item", "books-1")
    pushes = exchange.pushes()
    await exchange.watch("u1")
    slate = await search(loop, "camping")
    await happened(loop, "search", search_term="camping")
    clicked = slate.items[0].item_id
    await happened(loop, "select_item", clicked, attribution=Attribution(slate.slate_id), search_term="camping")
    async for pushed in pushes:
        if pushed is None:
            continue
        made = decode_slate(pushed.slate.body)
        if sum(place.item["category"] == "Camping" for place in made.items) >= 4:
            break
    assert [term for _, term in loop.users[b"u1"].searches] == ["camping", "camping"]


async def test_a_search_of_a_cold_worker_moves_the_list_when_its_vector_has_come(tmp_path: Path) -> None:
    words = ["something", "to", "listen", "with", "read", "cook", "sleep"]
    encoder = await asyncio.to_thread(tiny_bert, tmp_path / "encoder", words)
    async with local_worker(loop_settings(tmp_path, encoder=encoder), items()) as loop:
        query, world = "something to listen with", loop.deps.searching.world
        meant = (await asyncio.to_thread(lambda: TextEncoder(encoder).encode([query])))[0]
        world.catalog.set_vectors({i.item_id: meant if i.category == "Audio" else -meant for i in items()})
        exchange = loop.exchange.connect()
        await exchange.announce("web-1", Wanted("u1", {"home": 6}))
        pushes = exchange.pushes()
        await exchange.watch("u1")
        await happened(loop, "search", search_term="read")  # nobody waits for this one any more, after the next
        await happened(loop, "search", search_term=query)
        made = [decode_slate(pushed.slate.body) async for pushed in until_pushed(pushes, 1)]
        reading = asyncio.create_task(loop.deps.loops["query encoder"]())
        looking = asyncio.create_task(keep_looking(exchange))  # a busy machine starts an encoder in a minute
        try:
            async for pushed in pushes:
                if pushed is not None and (newest := decode_slate(pushed.slate.body)).items[0].source == "query":
                    break
        finally:
            for task in (reading, looking):
                task.cancel()
            await asyncio.gather(reading, looking, return_exceptions=True)
        assert (newest.items[0].item["category"], newest.items[0].reason.value) == ("Audio", query)
        assert newest.position.newer_than(made[-1].position)
        assert newest.cause.kind == "event"


async def keep_looking(exchange: MemoryExchange) -> None:
    """What a web process does for whoever is connected to it."""
    while True:
        await exchange.tend("web-1")
        await asyncio.sleep(1)


async def until_pushed(pushes: Any, times: int) -> Any:
    """So many of the lists that are pushed."""
    async for pushed in pushes:
        if pushed is not None:
            yield pushed
            if (times := times - 1) == 0:
                return


async def test_the_vector_of_a_search_moves_the_list_before_any_click(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path), items()) as loop:
        world = loop.deps.searching.world
        axis = {name: np.eye(4, dtype=np.float32)[at] for at, name in enumerate(CATEGORIES)}
        world.catalog.set_vectors({item.item_id: axis[item.category] for item in items()})
        read = ReadQuery(world.catalog.encoder, axis["Audio"])
        world.meaning = Meaning(lambda query: read if query == "something to listen with" else None)
        exchange = loop.exchange.connect()
        await exchange.announce("web-1", Wanted("u1", {"home": 6}))
        pushes = exchange.pushes()
        await exchange.watch("u1")
        await happened(loop, "search", search_term="something to listen with")
        async for pushed in pushes:
            if pushed is not None and (made := decode_slate(pushed.slate.body)).items[0].source == "query":
                break
        assert made.items[0].item["category"] == "Audio"
        assert made.items[0].reason.kind == "because_you_searched"
        assert made.items[0].reason.value == "something to listen with"
