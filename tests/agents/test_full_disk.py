"""A full disk costs snapshots and curves, and nothing else: each is said with its file, and tried again."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

import agents.curves
import agents.searching
from agents.counting import Counting
from agents.curves import EVERY_S, Curves
from agents.metrics import Metrics
from agents.outcomes import Outcomes
from agents.search_thread import load_fusion
from agents.searching import Searching
from agents.served import ServedLists
from rec.contest import Round
from rec.counters import Counters
from rec.errors import Unavailable
from rec.events import ERASE, encode_event, instant
from rec.examples import Taken
from rec.feedback import encode_example
from rec.files import LEFT_OVER_S, write_atomically
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.privacy import user_hash
from rec.search.engine import Engine
from rec.search.fusion import Fusion
from rec.search.lessons import Lessons
from rec.search.words import Words
from rec.store.memory import MemoryExchange
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, FEEDBACK, SERVED, Topic
from tests.agents.test_rewarding import example
from tests.loop.local import SECRET, forgetting_of
from tests.stack import until
from tests.unit.shop import NOW, event, shop

FULL = "No space left on device"


class Disk:
    """Full until there is room. File systems that allocate late say so at fsync(2)."""

    full = True

    def fsync(self, number: int) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, FULL)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr(os, "fsync", disk.fsync)
    return disk


def test_a_file_that_cannot_be_written_is_named_and_leaves_the_old_one_and_nothing_else(
    tmp_path: Path, disk: Disk
) -> None:
    path = tmp_path / "counters.bin"
    path.write_bytes(b"old")
    with pytest.raises(Unavailable, match=rf"{path} could not be written: {FULL}"):
        write_atomically(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("counters.bin", b"old")]


def test_what_a_killed_writer_has_left_goes_with_the_next_write_and_what_another_writes_now_does_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "counters-a.bin"
    names = "counters-a.0f.part", "counters-a.1e.part", "b.2d.part"
    left, under_way, of_another = (tmp_path / name for name in names)
    for each in (left, under_way, of_another):
        each.write_bytes(b"u1")
    long_ago = time.time() - LEFT_OVER_S - 1
    for each in (left, of_another):
        os.utime(each, (long_ago, long_ago))
    write_atomically(path, b"new")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["b.2d.part", "counters-a.1e.part", "counters-a.bin"]


async def test_counters_go_on_learning_and_an_erasure_has_its_receipt_when_no_file_remembers_the_user(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    log, database, path = MemoryLog(), MemoryDatabase(), tmp_path / "counters.bin"
    await log.create([Topic(BEHAVIOR, 1, {})])
    counters = Counters()
    counting = Counting(
        facets=lambda _: None, counters=counters,
        path=path, source=log, topic=BEHAVIOR, metrics=Metrics(), snapshot_s=0.001,
        forgetting=forgetting_of(database, MemoryExchange(), log),
    )  # fmt: skip
    await database.open_erasure("er", user_hash(SECRET, "u1"), instant(NOW))

    async def stores() -> set[str]:
        found = await database.get_erasure("er")
        return {step["store"] for step in found.steps} if found is not None else set()

    for each in (event("view_item", "a"), event(ERASE, id="er", at=NOW + 1), event("view_item", "b", user_id="u2")):
        await log.publish(BEHAVIOR, "u1", encode_event(each))
    tasks = [asyncio.create_task(counting.run()), asyncio.create_task(counting.save_for_ever())]
    try:
        assert await until(lambda: counters.offsets == {0: 3} and FULL in caplog.text, 10)
        assert f"{path} could not be written: {FULL}" in caplog.text
        assert await stores() == set()
        disk.full = False
        assert await until(path.exists, 10)
        assert await until(lambda: _has(stores, "counters"), 10)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert not [task for task in tasks if not task.cancelled()]


async def _has(stores: Callable[[], Awaitable[set[str]]], store: str) -> bool:
    return store in await stores()


async def test_what_lists_earned_is_saved_at_the_next_turn(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    rules, path = BanditRules(), tmp_path / "rewards.bin"
    log = MemoryLog()
    await log.create([Topic(FEEDBACK, 1, {})])
    outcomes = Outcomes(Rewards(rules), path=path, source=log, topic=FEEDBACK, snapshot_s=0.001)
    await log.publish(FEEDBACK, "u1", encode_example(example("s1", "bold", 1.0)))
    tasks = [asyncio.create_task(outcomes.run()), asyncio.create_task(outcomes.save_for_ever())]
    try:
        assert await until(lambda: f"{path} could not be written: {FULL}" in caplog.text, 10)
        disk.full = False
        assert await until(path.exists, 10)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert Rewards.from_bytes(path.read_bytes(), rules).offsets == {0: 1}


async def test_what_clicks_taught_search_is_saved_at_the_next_turn(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.searching, "SAVE_S", 0.001)
    path, engine = tmp_path / "fusion.json", Engine(Words("en"))
    metrics, world = Metrics(), shop(each=1)
    served = ServedLists(
        to=MemoryLog(), topic=SERVED, partitions=1, item_of=world.catalog.get, consent_default=True,
        lost=metrics.served_lost,
    )  # fmt: skip
    searching = Searching(
        engine=engine, encoder=None, world=world, state_of=lambda _: None, life_of=lambda _: (None, None),
        served=served, exchange=MemoryExchange(), metrics=metrics, fusion_path=path,
    )  # fmt: skip
    saving = asyncio.create_task(searching.save_for_ever())
    try:
        await asyncio.sleep(0)
        engine._lessons = Lessons(Fusion(learned=3))
        assert await until(lambda: f"{path} could not be written: {FULL}" in caplog.text, 10)
        disk.full = False
        assert await until(path.exists, 10)
    finally:
        saving.cancel()
        await asyncio.gather(saving, return_exceptions=True)
    assert await asyncio.to_thread(load_fusion, path) == Fusion(learned=3)


async def test_curves_of_a_disk_that_was_full_begin_another_file_and_never_hold_up_the_trainer(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    one = Round(8, {"live": 1.0}, {"live": 1.0}, {"live": 1.0})
    taken = Taken.nothing()._replace(rounds=[one], learned=8, loss=2.0)
    async with Curves(tmp_path / "curves") as curves:
        for _ in range(20):  # more than any queue holds
            await asyncio.to_thread(curves.took, taken, "live", NOW)
        assert f"no curves for now: {tmp_path}/curves cannot be written: {FULL}" in caplog.text
        disk.full = False
        caplog.clear()
        await asyncio.to_thread(curves.took, taken, "live", NOW)
    assert not caplog.text
    assert await asyncio.to_thread(_drawn, tmp_path / "curves") == {
        "train/loss": 2.0, "train/share": 1.0, "train/behind_s": NOW,
        "nll/live": 0.125, "hit_rate_10/live": 0.125, "mrr_10/live": 0.125,
    }  # fmt: skip


async def test_curves_are_means_of_what_came_since_the_last_point(tmp_path: Path) -> None:
    def taken(loss: float, examples: int) -> Taken:
        one = Round(examples, {"live": loss * examples}, {"live": 0.0}, {"live": 0.0})
        return Taken.nothing()._replace(rounds=[one], learned=examples, loss=loss)

    async with Curves(tmp_path) as curves:
        for at, each in ((0.0, taken(9.0, 1)), (1.0, taken(1.0, 1)), (EVERY_S, taken(2.0, 3))):
            await asyncio.to_thread(curves.took, each, "live", NOW + at)
    drawn = await asyncio.to_thread(_drawn, tmp_path)
    assert (drawn["train/loss"], drawn["nll/live"]) == (1.5, 1.75)


async def test_curves_keep_the_newest_files_and_never_more_than_so_many_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents.curves, "FILE_BYTES", 2_000)
    monkeypatch.setattr(agents.curves, "MOST_BYTES", 8_000)
    one, most, first = Round(8, {"live": 1.0}, {"live": 1.0}, {"live": 1.0}), 0, set[str]()

    def size() -> int:
        return sum(path.stat().st_size for path in tmp_path.iterdir())

    async with Curves(tmp_path) as curves:
        for at in range(100):
            taken = Taken.nothing()._replace(rounds=[one], learned=at, loss=float(at))
            await asyncio.to_thread(curves.took, taken, "live", NOW + at * EVERY_S)
            first = first or {path.name for path in tmp_path.iterdir()}
            most = max(most, await asyncio.to_thread(size))
    assert 4_000 < most < 9_000
    assert not first & {path.name for path in tmp_path.iterdir()}
    assert (await asyncio.to_thread(_drawn, tmp_path))["train/loss"] == 99.0


def _drawn(folder: Path) -> dict[str, float]:
    """The last numbers of its files: records of a length, its checksum, an Event, its checksum."""
    found: dict[str, float] = {}
    for path in sorted(folder.iterdir()):
        raw, at = path.read_bytes(), 0
        while at < len(raw):
            size = int.from_bytes(raw[at : at + 8], "little")
            one = Event.FromString(raw[at + 12 : at + 12 + size])
            found.update({value.tag: value.simple_value for value in one.summary.value})
            at += size + 16
    return found
