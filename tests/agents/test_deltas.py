"""Versions as deltas, through trainer, registry and worker: what is needed stays, what is erased is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from agents import versions as registry
from agents.gpu import Gpu
from agents.model_sync import ModelSync
from agents.versions import Stand, Versions
from rec.catalog import Catalog
from rec.counters import Counters
from rec.errors import Unavailable
from rec.examples import Erased, Tick, encode_lesson
from rec.model.checkpoint import delete, digest_of, load_meta, names
from rec.model.deltas import base_of, load
from rec.recommend import Brain, World
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory_db import MemoryDatabase
from rec.versions import BASE, ModelVersion
from tests.agents.school import BEGIN, ITEMS, TEACHING, School, until, walks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_children")]

LARGE = msgspec.structs.replace(TEACHING, training=msgspec.structs.replace(TEACHING.training, whole_until=0))
RECORDS = [encode_lesson(example) for example in walks(6, 200)]


async def rests_on(location: str, name: str) -> str | None:
    base = base_of(await asyncio.to_thread(load_meta, location, name))
    return base[0] if base is not None else None


class Line:
    """A lineage that is promoted whenever a test says so."""

    def __init__(self, gpu: Gpu, database: MemoryDatabase, location: str) -> None:
        self.gpu, self.database, self.location, self.read = gpu, database, location, 0
        self.versions = Versions(gpu=gpu, database=database, exchange=MemoryExchange().connect(), location=location)

    async def restart(self) -> None:
        """The child goes on from a checkpoint: what it writes next is whole."""
        beside = f"{self.location}-checkpoints"
        await self.gpu.checkpoint(beside, f"at-{self.read}", {})
        await self.gpu.resume(beside, f"at-{self.read}")
        await self.gpu.know(ITEMS, {}, [])

    async def promote(self) -> str:
        """Eight more examples, then the candidate goes live."""
        taken = await self.gpu.take(RECORDS[self.read : self.read + 8], self.read + 8)
        self.read += 8
        name = await self.versions.promote(Stand("line", taken.learned, taken.learned_through, {}), "")
        assert name is not None
        return name

    def worker(self) -> tuple[ModelSync, list[str]]:
        """A worker's half of it, and the versions that it begins to serve."""
        world, served = World(Catalog(), Counters(), brain=Brain.untaught()), list[str]()
        world.catalog.upsert(ITEMS)
        exchange = MemoryExchange().connect()
        sync = ModelSync(world=world, database=self.database, exchange=exchange, poll_s=1.0, on_swap=served.append)
        return sync, served

    async def rows(self) -> dict[str, str | None]:
        """Version → what it rests on."""
        return {each.version: each.config.get(BASE) for each in await self.database.versions(100)}


@asynccontextmanager
async def line(location: str) -> AsyncIterator[Line]:
    async with Gpu(LARGE) as gpu:
        await gpu.resume("", None)
        await gpu.know(ITEMS, {}, [])
        yield Line(gpu, MemoryDatabase(), location)


async def test_a_large_version_is_a_delta_against_the_last_whole_one_and_a_worker_serves_it(tmp_path: Path) -> None:
    async with line(str(tmp_path)) as one:
        whole = await one.promote()
        sync, served = one.worker()
        await sync.look()
        first, second = await one.promote(), await one.promote()
        await sync.look()
        assert await one.rows() == {whole: None, first: whole, second: whole}
        assert served == [whole, second]
        live = await one.database.live_version()
        assert live is not None
        model, _ = await asyncio.to_thread(load, str(tmp_path), second)
        assert digest_of(model) == live.digest


async def test_a_worker_that_cannot_read_the_base_serves_on_and_takes_the_next_one(tmp_path: Path) -> None:
    async with line(str(tmp_path)) as one:
        base = await one.promote()
        await one.promote()
        await asyncio.to_thread(delete, str(tmp_path), base)
        sync, served = one.worker()
        await sync.look()
        assert served == []
        following = await one.promote()  # the trainer has seen that the base is gone
        await sync.look()
        assert served == [following]
        assert (await one.rows())[following] is None


async def test_a_base_is_deleted_with_the_last_version_that_rests_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "KEPT", 2)
    async with line(str(tmp_path)) as one:
        base = await one.promote()
        for _ in range(5):
            await one.promote()
            rows = await one.rows()
            assert base in rows
            assert sorted(rows) == await asyncio.to_thread(names, str(tmp_path))
            for name in rows:
                await asyncio.to_thread(load, str(tmp_path), name)
        one.versions._ladder.rungs.clear()
        await one.restart()
        whole = await one.promote()
        assert base in await one.rows()  # one that is kept is older than the whole one
        await one.promote()
        last = await one.promote()
        kept = await one.rows()
        assert kept[last] == whole
        anchors = set(one.versions._ladder.names)
        assert base not in kept or base in anchors or base in {kept[name] for name in anchors}
        assert sorted(kept) == await asyncio.to_thread(names, str(tmp_path))


async def test_an_anchor_that_is_a_delta_keeps_its_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "KEPT", 1)
    async with line(str(tmp_path)) as one:
        base, anchor = await one.promote(), await one.promote()
        one.versions._ladder.rungs[:] = [(anchor, 16)]
        monkeypatch.setattr(one.versions._ladder, "add", lambda *_: None)
        await one.restart()
        await one.promote()
        await one.promote()
        await one.promote()
        assert {base, anchor} <= set(await one.rows())
        await asyncio.to_thread(load, str(tmp_path), anchor)
        one.versions._ladder.rungs.clear()
        await one.promote()
        assert not {base, anchor} & set(await one.rows())
        assert not {base, anchor} & set(await asyncio.to_thread(names, str(tmp_path)))


async def test_after_a_restart_of_the_child_the_first_version_is_whole(tmp_path: Path) -> None:
    async with line(str(tmp_path)) as one:
        await one.promote()
        await one.gpu.resume("", None)
        await one.gpu.know(ITEMS, {}, [])
        await one.gpu.take(RECORDS[100:108], 8)  # it learns something else: another name
        one.versions = Versions(
            gpu=one.gpu, database=one.database, exchange=MemoryExchange().connect(), location=one.location
        )
        again = await one.promote()
        assert (await one.rows())[again] is None


class Away(MemoryDatabase):
    """A database that is away when the first version that was made again is to go live."""

    refused = ""

    async def go_live(self, name: str, note: str = "", *, rolled_back: bool = False, pin: bool = False) -> ModelVersion:
        if note.startswith("made again") and not self.refused:
            self.refused = name
            raise Unavailable("the database is away")
        return await super().go_live(name, note, rolled_back=rolled_back, pin=pin)


@pytest.mark.parametrize("database", [MemoryDatabase, Away])
async def test_after_an_erasure_nothing_is_left_that_rests_on_weights_from_before(
    tmp_path: Path, database: type[MemoryDatabase]
) -> None:
    lessons, somebody = walks(6, 300), "u3"
    without = School(tmp_path / "b", teaching=LARGE)
    await without.open()
    expected = await without.learn([each for each in lessons if each.event.subject != somebody])
    school = School(tmp_path / "a", teaching=LARGE)
    school.database = database()
    await school.open()
    location, erased_at = f"{school.folder}/versions", datetime.fromtimestamp(BEGIN + 1_000, UTC)
    first = next(each.event.at for each in lessons if each.event.subject == somebody)
    await school.database.open_erasure("e1", "hash", erased_at)
    async with school.trainer() as trainer:
        for start in range(0, 300, 60):
            promoted = school.verdicts.count("promote")
            await school.say(lessons[start : start + 60])
            await until(lambda end=start + 60: trainer.taken.offset >= end)  # type: ignore[misc]
            await until(lambda promoted=promoted: school.verdicts.count("promote") > promoted or promoted > 2)  # type: ignore[misc]
        await school.say([Tick()])
        await school.read(trainer)
        before = await asyncio.to_thread(names, location)
        assert any([await rests_on(location, name) for name in before])
        await school.say([Erased(somebody, erased_at.timestamp(), first, "e1")])
        await until(lambda: bool(school.database._erasures["e1"].steps))
    live = await school.database.live_version()
    assert live is not None
    left = await asyncio.to_thread(names, location)
    assert not set(before) & set(left)
    assert live.version in left
    if isinstance(school.database, Away):
        assert school.database.refused
    for name in left:
        assert await rests_on(location, name) in (None, *left)
        await asyncio.to_thread(load, location, name)
    for row in await school.database.versions(100):
        assert row.version in left or row.url is None
        if row.version in before:
            assert row.withdrawn
    # Weights of the large network, made again, are those of a world without the user.
    assert await school.digest() == expected


async def test_a_large_network_that_is_stopped_and_goes_on_has_the_same_weights(tmp_path: Path) -> None:
    lessons = walks(6, 300)
    undisturbed = School(tmp_path / "b", teaching=LARGE)
    await undisturbed.open()
    expected = await undisturbed.learn(lessons)
    school = School(tmp_path / "a", teaching=LARGE)
    await school.open()
    await school.say(lessons[:150])
    async with school.trainer() as trainer:
        await until(lambda: trainer.taken.learned >= 100)
    await school.say([*lessons[150:], Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
    assert await school.digest() == expected
