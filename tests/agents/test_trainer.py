"""The trainer over a real child process: what it learns, what serves, and that neither kills nor erasures change it."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import psutil
import pytest

from agents.gpu import Gpu
from agents.model_sync import ModelSync
from rec.catalog import Catalog
from rec.contest import UNTAUGHT
from rec.counters import Counters
from rec.errors import ConfigError, Unavailable
from rec.examples import Erased, Tick
from rec.model.checkpoint import MODEL, delete, load_meta, names, save
from rec.model.device import Hardware, gpus
from rec.recommend import Brain, World
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.versions import ModelVersion
from tests.agents.school import BEGIN, FAST, ITEMS, TEACHING, TOPIC, School, until, walks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_children")]


@pytest.fixture
async def school(tmp_path: Path) -> School:
    school = School(tmp_path / "a")
    await school.open()
    return school


async def test_what_it_learns_goes_live_and_a_worker_serves_it(school: School) -> None:
    await school.say([*walks(6, 300), Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: school.verdicts.count("promote") > 0)
    live = await school.database.live_version()
    assert live is not None
    assert live.metrics["nll"] < live.metrics["live_nll"]  # it has left the gate that nobody trained behind
    world = World(Catalog(school.base), Counters(), brain=Brain.untaught())
    world.catalog.upsert(ITEMS)
    served: list[str] = []
    sync = ModelSync(world=world, database=school.database, exchange=school.exchange, poll_s=1.0, on_swap=served.append)
    await sync.look()
    await sync.look()
    assert served == [live.version]
    assert world.brain is not None
    assert (world.brain.version, world.brain.learned_through) == (live.version, BEGIN + 299)


async def test_a_child_that_is_killed_again_and_again_changes_nothing_in_the_weights(
    school: School, tmp_path: Path
) -> None:
    lessons = walks(6, 400)
    undisturbed = School(tmp_path / "b")
    await undisturbed.open()
    expected = await undisturbed.learn(lessons)
    await school.say([*lessons, Tick()])
    rng = random.Random(3)
    async with school.trainer() as trainer:
        for _ in range(3):
            begun, more = trainer.taken.learned, rng.randrange(20, 60)
            await until(lambda begun=begun, more=more: trainer.taken.learned >= min(400, begun + more))  # type: ignore[misc]
            os.kill(school.gpu.pids[0], signal.SIGKILL)
            await until(lambda: trainer.taken.learned < 400)
        await school.read(trainer)
    assert school.metrics.restarts._value.get() >= 1
    assert trainer.taken.learned == 400
    assert await school.digest() == expected


async def test_a_trainer_process_that_is_killed_again_and_again_changes_nothing_in_the_weights(tmp_path: Path) -> None:
    """SIGKILL of the whole process at random points: its child ends with it, and the next one goes on."""
    count = 1_000
    undisturbed = School(tmp_path / "b")
    await undisturbed.open()
    expected = await undisturbed.learn(walks(6, count))
    rng, learned = random.Random(5), 0
    for _ in range(3):
        learned, child = await _killed_after(tmp_path / "a", count, learned, rng.uniform(0.0, 0.3))
        await until(lambda child=child: not psutil.pid_exists(child))  # type: ignore[misc]
    pupil = await _pupil(tmp_path / "a", count)
    assert pupil.stdout is not None
    *said, last = (line.decode().split() for line in (await pupil.communicate())[0].splitlines())
    assert int(said[0][0]) > 0  # it went on, and did not begin again
    assert last == ["digest", expected]


async def _pupil(folder: Path, count: int) -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", "tests.agents.pupil", str(folder), str(count))
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


async def _killed_after(folder: Path, count: int, learned: int, more_s: float) -> tuple[int, int]:
    """Killed a moment after it has learned more than that: how much it had, and its child's pid."""
    pupil = await _pupil(folder, count)
    assert pupil.stdout is not None
    async for line in pupil.stdout:
        had, child = map(int, line.split())
        if had > learned:
            await asyncio.sleep(more_s)  # somewhere within the next batch, or a checkpoint
            pupil.kill()
            break
    assert await pupil.wait() == -signal.SIGKILL
    await pupil.communicate()
    return had, child


async def test_a_trainer_that_is_stopped_goes_on_where_it_was(school: School, tmp_path: Path) -> None:
    lessons = walks(6, 200)
    undisturbed = School(tmp_path / "b")
    await undisturbed.open()
    expected = await undisturbed.learn(lessons)
    await school.say(lessons[:100])
    async with school.trainer(FAST) as trainer:
        await until(lambda: trainer.taken.offset == 100)
    await school.learn(lessons[100:])
    assert await school.digest() == expected


async def test_after_an_erasure_the_weights_are_those_of_a_world_without_the_user(
    school: School, tmp_path: Path
) -> None:
    lessons = walks(6, 300)
    somebody = "u3"
    without = School(tmp_path / "b")
    await without.open()
    expected = await without.learn([each for each in lessons if each.event.subject != somebody])
    erased_at = datetime.fromtimestamp(BEGIN + 1_000, UTC)
    first = next(each.event.at for each in lessons if each.event.subject == somebody)
    await school.database.open_erasure("e1", "hash", erased_at)
    await school.say([*lessons, Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
        before = await school.database.live_version()
        await school.say([Erased(somebody, erased_at.timestamp(), first, "e1")])
        await until(lambda: _line(school) is not None)
    assert await school.digest() == expected
    line, live = _line(school), await school.database.live_version()
    assert line is not None
    assert before is not None
    assert live is not None
    assert line["removed"] == sum(each.event.subject == somebody for each in lessons)
    assert live.version in str(line["note"])
    old = await school.database.version_of(before.version)
    assert old is not None
    assert (old.state, old.url) == ("withdrawn", None)
    for _, meta in await school.checkpoints.metas():
        assert float(meta["learned_through"]) < first or meta["line"] in live.version


async def test_an_erasure_reaches_the_weights_though_a_version_is_pinned_and_takes_the_pin_away(school: School) -> None:
    lessons, somebody = walks(6, 120), "u3"
    erased_at = datetime.fromtimestamp(BEGIN + 1_000, UTC)
    first = next(each.event.at for each in lessons if each.event.subject == somebody)
    await school.database.open_erasure("e1", "hash", erased_at)
    await school.say([*lessons, Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
        before = await school.database.live_version()
        assert before is not None
        await school.database.pin(before.version)
        weights = {MODEL: {"w": np.zeros(1)}}  # somebody was interrupted between weights and row
        await asyncio.to_thread(save, f"{school.folder}/versions", "leaked-1", weights, {})
        await school.say([Erased(somebody, erased_at.timestamp(), first, "e1")])
        await until(lambda: _line(school) is not None)
    line, live = _line(school), await school.database.live_version()
    assert line is not None
    assert live is not None
    assert live.version != before.version
    assert live.version in str(line["note"])
    assert await school.database.pinned() is None
    assert await _weights(school) == await _rows_with_weights(school)


async def test_who_has_pinned_the_gate_that_nobody_trained_keeps_it_through_an_erasure(school: School) -> None:
    lessons, erased_at = walks(6, 120), datetime.fromtimestamp(BEGIN + 1_000, UTC)
    await school.database.open_erasure("e1", "hash", erased_at)
    await school.say([*lessons, Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
        row = ModelVersion(UNTAUGHT, None, "held", "", 0, None, erased_at, {}, {}, str(school.folder), "never trained")
        await school.database.record_version(row)
        await school.database.go_live(UNTAUGHT, pin=True)
        await school.say([Erased("u3", erased_at.timestamp(), BEGIN, "e1")])
        await until(lambda: _line(school) is not None)
    line, live = _line(school), await school.database.live_version()
    assert line is not None
    assert live is not None
    assert (live.version, live.withdrawn, await school.database.pinned()) == (UNTAUGHT, False, UNTAUGHT)
    (again,) = await _weights(school)  # made again without them, and ready for when the pin is gone
    assert again in str(line["note"])
    assert (found := await school.database.version_of(again)) is not None
    assert (found.state, found.withdrawn) == ("held", False)


async def test_anchors_outlast_pruning_and_restarts(school: School, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agents.versions.KEPT", 1)
    lessons = deque(walks(6, 1_200))
    anchor = None
    for _ in range(2):
        async with school.trainer():
            for _ in range(3):
                wanted = school.verdicts.count("promote") + 1
                await school.say([*(lessons.popleft() for _ in range(200)), Tick()])
                await until(lambda wanted=wanted: school.verdicts.count("promote") >= wanted)  # type: ignore[misc]
                anchor = anchor or await school.database.live_version()
    assert anchor is not None
    assert (there := await school.database.version_of(anchor.version)) is not None
    assert there.state == "past"
    assert anchor.version in await _weights(school)
    assert await _weights(school) == await _rows_with_weights(school)


async def test_a_live_version_that_cannot_be_loaded_does_not_hold_up_its_successors(school: School) -> None:
    """Its files are lost, or it is of other features than this software: it has no score to be beaten."""
    lessons = walks(6, 400)
    await school.say([*lessons[:200], Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
    lost = await school.database.live_version()
    assert lost is not None
    for name in await _weights(school):
        await asyncio.to_thread(delete, f"{school.folder}/versions", name)
    school.verdicts.clear()
    await school.say([*lessons[200:], Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts, 20.0)
    live = await school.database.live_version()
    assert live is not None
    assert live.version != lost.version
    assert live.note is not None
    assert live.note.startswith(f"{lost.version} cannot be loaded; not worse than {UNTAUGHT}")


async def _weights(school: School) -> list[str]:
    return await asyncio.to_thread(names, f"{school.folder}/versions")


async def _rows_with_weights(school: School) -> list[str]:
    return sorted(each.version for each in await school.database.versions() if each.url is not None)


class Away(MemoryLog):
    """A log that is away for the next so many of its answers: to where it ends, and to the marks of what is deleted."""

    ends_fail = marks_fail = 0

    async def ends(self, topic: str) -> dict[int, int]:
        if self.ends_fail:
            self.ends_fail -= 1
            raise Unavailable("the log is away")
        return await super().ends(topic)

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        if self.marks_fail and any(value is None for _, value in pairs):
            self.marks_fail -= 1
            raise Unavailable("the log is away")
        await super().publish_many(topic, pairs)


@pytest.mark.parametrize("somebody", ["u3", "nobody"])
async def test_an_erasure_is_not_lost_though_the_log_is_away_at_each_step(tmp_path: Path, somebody: str) -> None:
    school, lessons = School(tmp_path / "a"), walks(6, 100)
    school.log = log = Away()
    await school.open()
    erased_at = datetime.fromtimestamp(BEGIN + 1_000, UTC)
    await school.database.open_erasure("e1", "hash", erased_at)
    await school.say([*lessons, Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
        log.ends_fail = log.marks_fail = 1
        await school.say([Erased(somebody, erased_at.timestamp(), -1.0, "e1")])
        await until(lambda: log.partitions(TOPIC)[0].records[-1].key.startswith(b"erased e1 "))
    theirs = sum(each.event.subject == somebody for each in lessons)
    line = _line(school)
    assert line is not None
    assert line["removed"] == theirs
    assert trainer.taken.learned == len(lessons) - theirs
    assert (log.ends_fail, log.marks_fail) == (0, 0)


class PinsInBetween(MemoryDatabase):
    """A person pins the version that serves just when the trainer has decided on the next."""

    recorded = 0

    async def record_version(self, version: ModelVersion) -> None:
        await super().record_version(version)
        live = await self.live_version()
        if live is not None and live.version != version.version:
            self.recorded += version.url is not None
            await self.pin(live.version)


async def test_a_pin_that_comes_between_decision_and_change_holds_and_the_trainer_learns_on(tmp_path: Path) -> None:
    school, lessons = School(tmp_path / "a"), walks(6, 300)
    school.database = database = PinsInBetween()
    await school.open()
    await school.say([*lessons[:150], Tick()])
    async with school.trainer() as trainer:
        await until(lambda: "promote" in school.verdicts)
        first = await database.live_version()
        await school.say([*lessons[150:], Tick()])
        await until(lambda: database.recorded > 0)
        await school.read(trainer)
        assert trainer.taken.learned == 300
    assert first is not None
    live = await database.live_version()
    assert live is not None
    assert await database.pinned() == live.version


def _line(school: School, erasure_id: str = "e1") -> dict[str, object] | None:
    steps = school.database._erasures[erasure_id].steps
    return next((step for step in steps if step["store"] == "model weights"), None)


async def test_a_user_who_taught_nothing_costs_no_rebuild(school: School) -> None:
    await school.database.open_erasure("e1", "hash", datetime.fromtimestamp(BEGIN, UTC))
    await school.say([*walks(3, 60), Tick(), Erased("nobody", BEGIN, -1.0, "e1")])
    async with school.trainer() as trainer:
        await until(lambda: _line(school) is not None)
        await school.read(trainer)
    line = _line(school)
    assert line is not None
    assert (line["removed"], line["note"]) == (0, "the model had learned nothing of this user")
    assert trainer.taken.learned == 60


async def test_an_erasure_waits_no_longer_though_others_keep_coming(school: School) -> None:
    now = [time.time()]
    school.clock = lambda: now[0]
    for at in range(3):
        await school.database.open_erasure(f"e{at}", "hash", datetime.fromtimestamp(BEGIN, UTC))
    async with school.trainer(FAST._replace(gather=5.0)) as trainer:
        for at in range(3):
            await school.say([Erased(f"nobody{at}", BEGIN, -1.0, f"e{at}")])
            await school.read(trainer)
            now[0] += 3.0
        await until(lambda: _line(school, "e0") is not None and _line(school, "e1") is not None, 20.0)


async def test_an_example_that_comes_twice_is_learned_once(school: School) -> None:
    lessons = walks(3, 40)
    await school.learn([*lessons, *lessons[10:20]])
    ((_, meta), *_) = await school.checkpoints.metas()
    assert meta["learned"] == 40


async def test_a_broker_that_has_lost_its_log_is_read_from_its_beginning(school: School, tmp_path: Path) -> None:
    await school.learn(walks(3, 60))
    again = School(tmp_path / "a")  # the same folder, and a log that knows nothing
    await again.open()
    await again.learn(walks(3, 90, seed=1))
    ((_, meta), *_) = await again.checkpoints.metas()
    assert meta["learned"] == 150


async def test_a_trainer_that_is_behind_leaves_a_share_out_and_a_replay_leaves_out_the_same(school: School) -> None:
    school.log._now = lambda: BEGIN  # what comes is old
    await school.say([*walks(3, 3_000), Tick()])
    async with school.trainer(FAST._replace(late=5.0, pace=0.05, judge=60.0, checkpoint=0.01)) as trainer:
        await until(lambda: trainer.taken.share == 0.2)
        await school.read(trainer)
    assert 600 <= trainer.taken.learned < 2_900
    expected = await school.digest()
    *newer, (oldest, _) = await school.checkpoints.metas()
    assert newer
    await school.checkpoints.drop([name for name, _ in newer])
    async with school.trainer(FAST._replace(judge=60.0)) as trainer:
        assert trainer.taken.learned == 0
        await school.read(trainer)
    assert await school.digest() == expected
    assert (await school.checkpoints.metas())[-1][0] == oldest


async def test_a_product_that_is_deleted_leaves_the_network_by_a_record_that_waits_for_the_log(tmp_path: Path) -> None:
    school, others = School(tmp_path / "a"), [e for e in walks(6, 200) if e.event.items[0].item_id != "i3"]
    school.log = log = Deaf()
    await school.open()
    await school.say([*walks(6, 120), Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        log.deaf = 2
        await school.database.delete_item("i3")
        await until(lambda: b"Gone" in log.partitions(TOPIC)[0].records[-1].key)
        await school.say([*others[120:], Tick()])
        await school.read(trainer)
    name = (await school.checkpoints.metas())[0][0]
    meta = await asyncio.to_thread(load_meta, school.checkpoints.location, name)
    known = meta["learner"]["vocabulary"]["ids"]
    assert (len(known), "i3" in known, log.deaf) == (len(ITEMS) - 1, False, 0)


class Deaf(MemoryLog):
    """A log that is away for the next so many of what the trainer itself has to say."""

    deaf = 0

    async def publish(self, topic: str, key: str, value: bytes | None) -> None:
        if self.deaf and key.startswith("Gone"):
            self.deaf -= 1
            raise Unavailable("the log is away")
        await super().publish(topic, key, value)


async def test_what_waited_while_the_trainer_started_is_all_learned_if_it_is_worked_off_soon(school: School) -> None:
    began = time.time() - 20.0  # s behind, and then as quick as it can
    times = iter(began + 20.0 * n / 600 for n in range(600))
    school.log._now = lambda: next(times, time.time())
    await school.say([*walks(3, 599), Tick()])
    async with school.trainer(FAST._replace(late=5.0, pace=0.05)) as trainer:
        await school.read(trainer)
    assert trainer.taken.learned == 599


async def test_a_single_example_does_not_wait_for_others_for_ever(school: School) -> None:
    await school.say(walks(1, 1))
    async with school.trainer(FAST._replace(fill=0.1)) as trainer:
        await until(lambda: trainer.taken.learned == 1)


async def test_an_erasure_whose_record_died_with_the_log_begins_a_new_lineage(school: School, tmp_path: Path) -> None:
    await school.learn(walks(3, 60))
    again = School(tmp_path / "a")
    await again.open()
    await again.database.open_erasure("e1", "hash", datetime.fromtimestamp(BEGIN + 1_000, UTC))
    await again.say([*walks(3, 40, seed=1), Tick()])
    async with again.trainer() as trainer:
        await until(lambda: _line(again) is not None)
    assert trainer.taken.learned == 40
    assert [meta["learned"] for _, meta in await again.checkpoints.metas()] == [40]


@pytest.mark.skipif(gpus() > 0, reason="there is a GPU here")
async def test_a_child_whose_torch_cannot_use_the_device_says_so_and_lives() -> None:
    async with Gpu(TEACHING, Hardware("cuda:0")) as gpu:
        with pytest.raises(ConfigError, match="REC_DEVICE: torch cannot use cuda:0"):
            await gpu.resume("nowhere", None)
        assert gpu.pids
