"""Where a lineage begins again without somebody: never in a checkpoint that may hold something of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np

from agents.checkpoints import Checkpoints
from agents.examples import erased_key
from agents.unlearning import Base, Unlearning
from rec.examples import Erased, Rewarded, encode_lesson
from rec.model.checkpoint import MODEL, save
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import Topic
from tests.agents.school import BEGIN, TOPIC, walks

HERE, BEFORE = "this log", "the log before"


async def base_of(folder: Path, *metas: tuple[str, str, float, float | None]) -> Base | None:
    """Where to begin without somebody who came at BEGIN + 10, with checkpoints: name, log, learned, heard through."""
    log = MemoryLog()
    await log.create([Topic(TOPIC, 1, {})])
    for lesson in walks(2, 20):
        await log.publish(TOPIC, lesson.event.event_id, encode_lesson(lesson))
    for saved, (name, of_log, learned, heard) in enumerate(metas):
        meta = {"log": of_log, "offset": 3, "learned_through": learned, "saved": saved, "line": "l", "last": ""}
        more = {} if heard is None else {"heard_through": heard}
        await asyncio.to_thread(save, str(folder), name, {MODEL: {"w": np.zeros(1)}}, meta | more)
    checkpoints = Checkpoints(str(folder))
    unlearning = Unlearning(source=log, topic=TOPIC, checkpoints=checkpoints, database=MemoryDatabase())
    return await unlearning.base([Erased("somebody", BEGIN + 99, BEGIN + 10, "e1")], 20, HERE)


async def test_it_is_the_newest_checkpoint_from_before_their_first_event(tmp_path: Path) -> None:
    old, new = ("old", HERE, BEGIN + 2, BEGIN + 3), ("new", HERE, BEGIN + 8, BEGIN + 9)
    base = await base_of(tmp_path, old, new, ("after", HERE, BEGIN + 12, BEGIN + 12))
    assert base is not None
    assert (base.checkpoint, base.offset) == ("new", 3)


async def test_it_is_none_in_which_their_first_event_waits_to_be_learned_from(tmp_path: Path) -> None:
    """Of a log that is gone nobody can say at which offset they came; what waited in the last checkpoint is in it."""
    old = ("old", BEFORE, BEGIN + 2, BEGIN + 3)
    base = await base_of(tmp_path, old, ("waits", BEFORE, BEGIN + 8, BEGIN + 11))
    assert base is not None
    assert (base.checkpoint, base.offset) == ("old", 0)
    assert [name for name, _ in await Checkpoints(str(tmp_path)).metas()] == ["old"]


async def test_one_that_does_not_say_what_it_has_heard_goes_by_what_it_has_learned(tmp_path: Path) -> None:
    base = await base_of(tmp_path, ("older-software", BEFORE, BEGIN + 2, None))
    assert base is not None
    assert base.checkpoint == "older-software"


async def test_what_somebody_did_who_came_back_before_the_rebuild_stays_for_their_next_erasure(tmp_path: Path) -> None:
    log = MemoryLog()
    await log.create([Topic(TOPIC, 1, {})])
    for lesson in walks(2, 20):
        await log.publish(TOPIC, lesson.event.event_id, encode_lesson(lesson))
    for slate, at in (("old", BEGIN + 9), ("new", BEGIN + 10)):
        await log.publish(TOPIC, slate, encode_lesson(Rewarded(slate, "u0", 1, at, 4)))
    database = MemoryDatabase()
    unlearning = Unlearning(source=log, topic=TOPIC, checkpoints=Checkpoints(str(tmp_path)), database=database)
    end = 22

    async def gone(erased: Erased) -> set[str]:
        """What an erasure marks as deleted, after a rebuild without its user."""
        before = log.partitions(TOPIC)[0].end
        assert await unlearning.base([erased], end, HERE) is not None
        await unlearning.close([erased], "v")
        records = log.partitions(TOPIC)[0].records[before:]
        return {record.key.decode() for record in records} - {erased_key(erased)}

    theirs = [lesson for lesson in walks(2, 20) if lesson.event.subject == "u0"]
    early = {lesson.event.event_id for lesson in theirs if lesson.event.at <= BEGIN + 9}
    late = {lesson.event.event_id for lesson in theirs} - early
    assert early
    assert late
    assert await gone(Erased("u0", BEGIN + 9, BEGIN, "e1")) == {*early, "old"}
    assert await gone(Erased("u0", BEGIN + 99, BEGIN + 10, "e2")) >= {*late, "new"}
