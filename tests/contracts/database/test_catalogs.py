"""Catalog and vectors: what is put comes back, and a reader of the changes misses none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack

import pytest

from rec.catalog import Item
from rec.ports import Database

Opener = Callable[[], AbstractAsyncContextManager[Database]]

TENT = Item(
    item_id="zelt/1 'ö",
    title='Tent "Ridge" ⛺',
    category="camping",
    brand="Nord",
    description="Two\nlines; DROP TABLE items",
    price=199.9,
    currency="EUR",
    in_stock=False,
    url="https://shop.test/t?a=1&b=2",
    image_url="/i/t.svg",
    attributes={"colour": "green", "sizes": [1, 2], "deep": {"nul": "\x00"}},
)


def numbered(*numbers: int, title: str = "item") -> list[Item]:
    return [Item(item_id=f"i{n}", title=f"{title} {n}") for n in numbers]


async def follow(database: Database, known: dict[str, Item], revision: int, limit: int = 5_000) -> int:
    """Read on from `revision` until there is nothing more, as a worker does."""
    while (page := await database.changes(revision, limit)).revision > revision:
        assert 0 < len(page.items) + len(page.deleted) <= limit
        revision = page.revision
        known.update((item.item_id, item) for item in page.items)
        for item_id in page.deleted:
            known.pop(item_id, None)
    assert page.items == []
    assert page.deleted == []
    return revision


async def test_items_are_found_by_every_word_wherever_it_stands_and_in_whatever_case(database: Database) -> None:
    items = [
        Item(item_id="a-1", title="Trail TENT, 100%", brand="Nörd", category="Camping"),
        Item(item_id="a-2", title='A "quoted" tent', flagged=True, description="trail"),
        Item(item_id="b_1", title="ÜBERZELT", in_stock=False, attributes={"title": "tent"}),
    ]
    await database.put_items([*items, Item(item_id="a-3", title="gone tent")])
    await database.delete_item("a-3")

    async def found(*words: str) -> list[str]:
        return [item.item_id for item in await database.find_items(words, 10)]

    assert await found() == ["a-1", "a-2", "b_1"]
    assert await database.find_items(["tent"], 10) == items[:2]  # not what only an attribute says
    assert await found("tent", "nörd", "camp") == ["a-1"]
    assert await found("überzelt") == ["b_1"]
    assert await found('"quoted"') == ["a-2"]
    assert await found("100%") == ["a-1"]
    assert await found("b_") == ["b_1"]
    assert await found("trail") == ["a-1"]
    assert await found("title") == []


async def test_found_items_come_in_pages_that_miss_none(database: Database) -> None:
    await database.put_items([Item(item_id=f"i{n:04}", title=("tent" if n % 3 else "lamp")) for n in range(1_203)])
    pages: list[list[str]] = []
    while not pages or pages[-1]:
        after = pages[-1][-1] if pages else ""
        pages.append([item.item_id for item in await database.find_items(["tent"], 300, after)])
    assert [len(page) for page in pages] == [300, 300, 202, 0]
    assert [item_id for page in pages for item_id in page] == [f"i{n:04}" for n in range(1_203) if n % 3]


async def test_an_item_comes_back_as_it_was_put(database: Database) -> None:
    await database.put_items([TENT])
    assert await database.get_item(TENT.item_id) == TENT
    assert (await database.changes(0)).items == [TENT]
    assert await database.get_item("another") is None


async def test_putting_an_item_again_replaces_it_and_is_the_newest_change(database: Database) -> None:
    first = await database.put_items(numbered(1, 2))
    second = await database.put_items(numbered(1, title="new"))
    assert second > first
    page = await database.changes(first)
    assert page.items == numbered(1, title="new")
    assert page.revision == second
    assert await database.count_items() == 2


async def test_an_item_put_unchanged_is_no_change(database: Database) -> None:
    before = await database.put_items(numbered(1, 2, 3))
    assert await database.put_items(numbered(3, 1, 2)) == before
    assert (await database.changes(before)).revision == before
    after = await database.put_items([*numbered(1, 2), *numbered(3, title="new")])
    assert (await database.changes(before)).items == numbered(3, title="new")
    assert after > before


async def test_an_item_named_twice_in_one_call_is_as_it_was_named_last(database: Database) -> None:
    await database.put_items([*numbered(1, title="old"), *numbered(1, title="new")])
    assert await database.get_item("i1") == numbered(1, title="new")[0]
    assert await database.count_items() == 1


async def test_nothing_put_is_no_change(database: Database) -> None:
    revision = await database.put_items(numbered(1))
    assert await database.put_items([]) == revision
    page = await database.changes(revision)
    assert page == (revision, [], [])


async def test_a_deleted_item_is_gone_and_readers_are_told(database: Database) -> None:
    before = await database.put_items(numbered(1, 2))
    assert await database.delete_item("i1")
    assert await database.get_item("i1") is None
    assert await database.count_items() == 1
    page = await database.changes(before)
    assert (page.items, page.deleted) == ([], ["i1"])
    assert not await database.delete_item("i1")
    assert not await database.delete_item("never")
    assert (await database.changes(page.revision)).revision == page.revision
    await database.put_items(numbered(1))
    assert (await database.changes(page.revision)).items == numbered(1)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
async def test_changes_in_pages_of_any_size_add_up_to_the_whole(database: Database, limit: int) -> None:
    await database.put_items(numbered(*range(10)))
    await database.put_items(numbered(2, 4, title="new"))
    await database.delete_item("i7")
    known: dict[str, Item] = {}
    await follow(database, known, 0, limit)
    expected = [*numbered(0, 1, 3, 5, 6, 8, 9), *numbered(2, 4, title="new")]
    assert known == {item.item_id: item for item in expected}


async def test_more_items_than_a_statement_takes_go_in_at_once(database: Database) -> None:
    items = numbered(*range(3_500))
    await database.put_items(items)
    assert await database.count_items() == len(items)
    revision = await database.put_items([*items[:-1], *numbered(3_499, title="new")])
    assert (await database.changes(revision - 1)).items == numbered(3_499, title="new")


async def test_a_reader_misses_nothing_while_many_write(opener: Opener) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(opener()) for _ in range(3)]

        async def write(writer: int) -> None:
            for turn in range(6):
                ids = [writer * 3 + turn, turn, 40 + writer]
                await clients[writer % 3].put_items(numbered(*ids, title=f"{writer}.{turn}"))
                if turn % 3 == 2:
                    await clients[writer % 3].delete_item(f"i{turn}")

        known: dict[str, Item] = {}
        revision = 0
        writers = asyncio.gather(*(write(n) for n in range(6)))
        while not writers.done():
            revision = await follow(clients[0], known, revision, limit=4)
            await asyncio.sleep(0)
        await writers
        await follow(clients[0], known, revision)
        whole: dict[str, Item] = {}
        await follow(clients[1], whole, 0)
        assert known == whole
        assert len(whole) == await clients[2].count_items()


async def test_vectors_come_back_by_encoder_and_digest(database: Database) -> None:
    await database.put_vectors("a", {"d1": b"\x00\x01", "d2": b"\xff"})
    await database.put_vectors("b", {"d1": b"other"})
    await database.put_vectors("b", {})
    assert await database.get_vectors("a", ["d1", "d2", "d3"]) == {"d1": b"\x00\x01", "d2": b"\xff"}
    assert await database.get_vectors("b", ["d1", "d2"]) == {"d1": b"other"}
    assert await database.get_vectors("c", ["d1"]) == {}
    assert await database.get_vectors("a", []) == {}


async def test_a_vector_put_again_replaces_the_first(database: Database) -> None:
    await database.put_vectors("a", {"d": b"old", "e": b"same"})
    await database.put_vectors("a", {"d": b"new"})
    assert await database.get_vectors("a", ["d", "e"]) == {"d": b"new", "e": b"same"}


async def test_vectors_of_a_large_catalog_go_in_and_out_at_once(database: Database) -> None:
    vectors = {f"d{n}": n.to_bytes(4, "little") for n in range(2_500)}
    await database.put_vectors("a", vectors)
    assert await database.get_vectors("a", list(vectors)) == vectors


async def test_workers_may_store_the_same_vectors_at_the_same_time(opener: Opener) -> None:
    vectors = {f"d{n}": bytes(64) for n in range(300)}
    backwards = dict(reversed(vectors.items()))
    async with opener() as one, opener() as two:
        await asyncio.gather(
            *(db.put_vectors("a", v) for _ in range(4) for db, v in ((one, vectors), (two, backwards)))
        )
        assert await one.get_vectors("a", list(vectors)) == vectors


async def test_the_vectors_of_one_encoder_can_go_and_leave_the_others(database: Database) -> None:
    await database.put_vectors("a", {"d1": b"\x00", "d2": b"\x01"})
    await database.put_vectors("b", {"d1": b"\x02"})
    assert await database.drop_vectors("a") == 2
    assert await database.drop_vectors("a") == 0
    assert await database.get_vectors("a", ["d1", "d2"]) == {}
    assert await database.get_vectors("b", ["d1"]) == {"d1": b"\x02"}
