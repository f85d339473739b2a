"""Epochs of the text encoder, over real processes: tuned, re-read by traffic, entered by the log, served unmixed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from agents.catalog_reader import Changes
from agents.checkpoints import Checkpoints, Place
from agents.epochs import Epochs
from agents.gpu import Gpu
from agents.metrics import TrainerMetrics
from agents.model_sync import ModelSync
from agents.tuner import Tuner
from agents.tuning import Tuning
from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.events import Event, EventItem, instant
from rec.examples import Epoch, Erased, Example, Taken, Tick, decode_lesson, example_of
from rec.model.checkpoint import load_meta, names
from rec.model.encoder import epoch_encoder
from rec.model.served import Served
from rec.model.teaching import Tune
from rec.model.tuner import Visit
from rec.pairs import Lessons
from rec.recommend import Brain, World
from rec.state import Facets, UserState, fold
from rec.store.memory_db import MemoryDatabase
from tests.agents.school import BEGIN, DIM, ITEMS, TEACHING, TOPIC, School, read, until, walks
from tests.loop.local import Local, local_worker, loop_settings
from tests.loop.test_search import search
from tests.model.tiny import tiny_bert

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_children")]
HOW = Tune(steps=10, batch=8, rank=2, alpha=4, rate=1e-2, temperature=0.5, least=8, held=2)
UNSEEN = Item(item_id="unseen", title="Thing 5", category="c3")


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    words = {word for item in ITEMS for word in item.text().lower().replace(".", " . ").split()}
    return tiny_bert(tmp_path_factory.mktemp("tiny"), words, dim=DIM)


@pytest.fixture
async def school(tmp_path: Path, encoder: str) -> School:
    school = School(tmp_path / "a", encoder, HOW)
    await school.open()
    return school


def switches(school: School) -> list[str]:
    """The epochs that the log switches to, each named once, in order."""
    said = []
    for record in school.log.partitions(TOPIC)[0].records:
        lesson = decode_lesson(record.value) if record.value is not None else None
        if isinstance(lesson, Epoch):
            said.append(lesson.encoder)
    return list(dict.fromkeys(said))


async def version_of(school: School, encoder: str) -> str:
    """The live version, as soon as it is one of this epoch."""
    async with asyncio.timeout(60):
        while True:
            live = await school.database.live_version()
            if live is not None and live.config.get("encoder") == encoder:
                return live.version
            await asyncio.sleep(0.02)


async def made(school: School) -> str:
    """Teach until the lineage has entered an epoch; the newest one then, after which the slower clock stands still."""
    async with school.trainer() as trainer:
        await until(lambda: trainer.taken.encoder not in ("", school.base))
    school.tune_every = 3_600.0
    async with school.trainer() as trainer:
        await school.read(trainer)
        assert trainer.taken.encoder == switches(school)[-1]
        return trainer.taken.encoder


def rows(network: Served, catalog: Catalog) -> dict[str, np.ndarray]:
    """What goes into the network, by item."""
    view = catalog.view()
    text = network.warm(view).items.text
    return {item_id: text[1 + row].numpy() for item_id, row in view.row_of.items()}


async def test_an_epoch_is_made_entered_and_served_and_its_vectors_meet_no_others(school: School, encoder: str) -> None:
    await school.say([*walks(12, 200), Tick()])
    epoch = await made(school)
    async with school.trainer() as trainer:
        await school.say([*walks(12, 60, seed=1, at=BEGIN + 500), Tick()])
        await school.read(trainer)
        name = await version_of(school, epoch)
        catalog = Catalog(school.base)
        catalog.upsert(ITEMS)
        base = await asyncio.to_thread(read, encoder)
        catalog.set_vectors({item.item_id: vector for item, vector in zip(ITEMS, base, strict=True)})
        world = World(catalog, Counters(), brain=Brain.untaught())
        sync = ModelSync(world=world, database=school.database, exchange=school.exchange, poll_s=1.0)
        await sync.look()
        assert world.brain is not None
        assert world.brain.version == name
        network = world.brain.network
        assert isinstance(network, Served)
        assert network.texts.encoder == epoch
        seen = rows(network, catalog)
        texts = [item.text() for item in ITEMS]
        tuned = (await asyncio.to_thread(epoch_encoder, encoder, school.adapters, epoch)).encode(texts)
        for at, item in enumerate(ITEMS):
            assert np.allclose(seen[item.item_id], tuned[at], atol=1e-5)
            assert not np.allclose(seen[item.item_id], catalog.view().vectors[at], atol=1e-3)
        # A new item has a vector of the base before it has one of this epoch: the network sees no text at all.
        catalog.upsert([UNSEEN])
        catalog.set_vectors({UNSEEN.item_id: catalog.view().vectors[0]})
        assert not rows(network, catalog)[UNSEEN.item_id].any()
        await school.database.put_items([UNSEEN])
        await until(lambda: (epoch, UNSEEN.digest()) in school.database._vectors)
        await sync.look()
        assert rows(network, catalog)[UNSEEN.item_id].any()


async def test_what_is_acted_on_most_is_read_first_and_the_switch_waits_for_what_is_acted_on_alone(
    school: School,
) -> None:
    await school.database.put_items([UNSEEN])
    lessons = walks(12, 200)
    await school.say([*lessons, Tick()])
    seen: list[str] = []
    async with school.trainer() as trainer:
        await until(lambda: bool(switches(school)))
        first = switches(school)[0]
        seen = [digest for encoder, digest in school.database._vectors if encoder == first]
        await until(lambda: trainer.taken.encoder not in ("", school.base))
        await until(lambda: any(digest == UNSEEN.digest() for _, digest in school.database._vectors))
    shoppers: dict[str, set[str]] = {item.digest(): set() for item in ITEMS}
    for lesson in lessons:  # whoever comes again and again counts once: rec/votes.py
        shoppers[ITEMS[int(lesson.event.items[0].item_id[1:])].digest()].add(lesson.event.subject)
    order = [len(shoppers[digest]) for digest in seen if digest != UNSEEN.digest()]
    assert order == sorted(order, reverse=True)
    assert UNSEEN.digest() not in seen[: len(ITEMS)]


async def test_a_replay_from_before_the_switches_gives_the_same_weights(school: School) -> None:
    lessons = walks(12, 300)
    await school.say([*lessons[:200], Tick()])
    async with school.trainer() as trainer:
        await until(lambda: trainer.taken.learned > 0)
        await until(lambda: trainer.taken.encoder not in ("", school.base))
    school.tune_every = 3_600.0
    await school.learn(lessons[200:])
    ((name, newest), *_) = await school.checkpoints.metas()
    assert newest["encoder"] in switches(school)
    after = [each for each, meta in await school.checkpoints.metas() if meta["encoder"] != school.base]
    assert name in after
    await school.checkpoints.drop(after)
    before = await school.checkpoints.metas()
    assert before
    assert int(before[0][1]["offset"]) < int(newest["offset"])
    async with school.trainer() as trainer:
        await school.read(trainer)
    assert await school.digest() == newest["digest"]


async def test_turned_off_the_lineage_goes_back_to_the_base_by_a_record(school: School) -> None:
    await school.say([*walks(12, 200), Tick()])
    epoch = await made(school)
    school.tune, school.tuner = None, None
    async with school.trainer() as trainer:
        await until(lambda: trainer.taken.encoder == school.base)
    assert switches(school) == [*dict.fromkeys([*switches(school)[:-1], epoch]), school.base]
    async with school.trainer() as trainer:
        await school.read(trainer)
        assert trainer.taken.encoder == school.base
    assert school.tuner is None


async def test_without_tuning_there_is_no_epoch_and_no_process_for_it(school: School) -> None:
    school.tune = None
    await school.learn(walks(12, 100))
    assert switches(school) == []
    assert school.tuner is None
    assert {encoder for encoder, _ in school.database._vectors} == {school.base}
    assert await asyncio.to_thread(names, school.adapters) == []


async def test_an_adapter_that_learned_from_an_erased_user_goes_with_its_vectors_and_its_switch(
    school: School, tmp_path: Path, encoder: str
) -> None:
    lessons, somebody = walks(12, 200), "u3"
    without = School(tmp_path / "b", encoder)
    await without.open()
    expected = await without.learn([each for each in lessons if each.event.subject != somebody])
    await school.say([*lessons, Tick()])
    epoch = await made(school)
    erased_at = datetime.fromtimestamp(BEGIN + 1_000, UTC)
    first = next(each.event.at for each in lessons if each.event.subject == somebody)
    await school.database.open_erasure("e1", "hash", erased_at)
    await school.say([Erased(somebody, erased_at.timestamp(), first, "e1")])

    def closed() -> bool:
        return any(step["store"] == "model weights" for step in school.database._erasures["e1"].steps)

    async with school.trainer() as trainer:
        await until(closed)
        assert trainer.taken.encoder == school.base
    assert epoch not in {encoder for encoder, _ in school.database._vectors}
    assert await asyncio.to_thread(names, school.adapters) == []
    newest = {r.key: r.value for r in school.log.partitions(TOPIC)[0].records}
    kept = [decode_lesson(value) for value in newest.values() if value is not None]
    assert not [lesson for lesson in kept if isinstance(lesson, Epoch)]
    assert await school.digest() == expected


class Listening(Tuner):
    """What it was asked to learn from, and what was said of it; no epoch comes of it."""

    def __init__(self) -> None:
        super().__init__("", "")
        self.asked: list[tuple[Lessons, dict[str, Any]]] = []

    async def tune(self, last: str, lessons: Lessons, how: Tune, more: dict[str, Any]) -> Visit:
        self.asked.append((lessons, more))
        return Visit("", {"loss": 1.0, "last_loss": 1.0, "error": 0.0, "moved": 0.0})


def listened(tuner: Tuner) -> Tuning:
    """A tuning that has seen enough, and is due."""
    database, gpu = MemoryDatabase(), Gpu(TEACHING)
    tuning = Tuning(
        database=database,
        gpu=gpu,
        tuner=tuner,
        epochs=Epochs(database=database, gpu=gpu, base="", location=""),
        checkpoints=Checkpoints(""),
        how=HOW,
        every_s=0.0,
        metrics=TrainerMetrics(),
    )
    tuning.know(Changes(ITEMS, []))
    for example in walks(12, 200):
        tuning.see(example)
    return tuning


def newcomer() -> Example:
    """Somebody whose first pair nobody else has."""
    first, then = (
        Event(event="view_item", event_id=item, user_id="new", items=(EventItem(item),), event_ts=instant(BEGIN + 999))
        for item in ("i0", "i23")
    )
    state, _ = fold(None, first, lambda _: None, epoch="e")
    return example_of(then, state)


async def test_an_adapter_learns_from_nobody_who_came_after_what_it_says_that_it_has_heard() -> None:
    tuner = Listening()
    tuning = listened(tuner)
    await tuning.turn(Taken.nothing()._replace(offset=200, heard_through=BEGIN + 200), Place.new())
    tuning.see(newcomer())  # the next records, before the task has begun
    await until(lambda: bool(tuner.asked), 10)
    await tuning.stop()
    [(lessons, said)] = tuner.asked
    pairs = {(lessons.texts[first], lessons.texts[then]) for first, then in [*lessons.train, *lessons.held]}
    assert (ITEMS[0].text(), ITEMS[23].text()) not in pairs
    assert (said["offset"], said["heard_through"]) == (200, BEGIN + 200)


async def test_an_adapter_says_whom_it_has_heard_though_the_learner_had_to_go_back() -> None:
    tuner = Listening()
    tuning = listened(tuner)
    tuning.see(newcomer())
    await tuning.turn(Taken.nothing()._replace(offset=200, heard_through=BEGIN + 200), Place.new())
    await until(lambda: bool(tuner.asked), 10)
    await tuning.stop()
    assert tuner.asked[0][1]["heard_through"] == BEGIN + 999


async def test_a_tuning_process_that_is_killed_holds_up_nobody_and_is_started_again(
    school: School, caplog: pytest.LogCaptureFixture
) -> None:
    school.tune = msgspec.structs.replace(HOW, steps=200)
    await school.say([*walks(12, 200), Tick()])
    with caplog.at_level(logging.WARNING):
        async with school.trainer() as trainer:
            await until(lambda: school.tuner is not None and bool(school.tuner.pids))
            assert school.tuner is not None
            os.kill(school.tuner.pids[0], signal.SIGKILL)
            await school.read(trainer)
            await until(lambda: school.metrics.tunings.labels(kind="failed")._value.get() >= 1)
            await until(_is_again(school))
    assert school.metrics.restarts._value.get() == 0
    assert "was not tuned" in caplog.text


def _is_again(school: School) -> Callable[[], bool]:
    return lambda: school.tuner is not None and bool(school.tuner.pids)


async def test_an_adapter_that_is_no_better_is_dropped_and_nothing_switches(
    school: School, caplog: pytest.LogCaptureFixture
) -> None:
    school.tune = msgspec.structs.replace(HOW, rate=1e-12)
    await school.say([*walks(12, 200), Tick()])
    with caplog.at_level(logging.INFO):
        async with school.trainer() as trainer:
            await until(lambda: school.metrics.tunings.labels(kind="dropped")._value.get() >= 1)
            await school.read(trainer)
            assert trainer.taken.encoder == school.base
    assert "the adapter was dropped, it is no better" in caplog.text
    assert switches(school) == []


def choices(count: int, at: float) -> list[Example]:
    """Shoppers who choose things of a category for what they searched for."""
    rng, found = np.random.default_rng(3), []
    facets = {item.item_id: Facets(item.category, item.brand) for item in ITEMS}
    for number in range(count):
        kind, user = int(rng.integers(4)), f"q{number}"
        first, then = (f"i{6 * kind + int(place)}" for place in rng.choice(6, 2, replace=False))
        state: UserState | None = None
        for step, (item_id, term) in enumerate(((first, None), (then, f"c{kind} thing {number % 20}"))):
            moment = instant(at + number + step / 2)
            event = Event(
                event="select_item", event_id=f"q-{number}-{step}", user_id=user, items=(EventItem(item_id),),
                received_ts=moment, event_ts=moment, search_term=term,
            )  # fmt: skip
            found.append(example_of(event, state))
            state, _ = fold(state, event, facets.get, epoch="e")
    return found


async def test_search_reads_with_the_encoder_that_searches_have_tuned_and_with_the_base_when_that_is_over(
    school: School, encoder: str, tmp_path: Path
) -> None:
    await school.say([*walks(12, 100), *choices(100, BEGIN + 200), Tick()])
    epoch = await made(school)
    assert any("query_loss" in meta["metrics"] for _, meta in await asyncio.to_thread(metas, school.adapters))
    settings = loop_settings(tmp_path / "worker", encoder=encoder, models_url=str(school.folder), model_poll_s=0.05)
    async with local_worker(settings, [], database=school.database) as loop:
        world, query = loop.deps.searching.world, "c1 thing 4"
        reading = asyncio.create_task(loop.deps.loops["query encoder"]())
        try:
            slate = await search(loop, query, n=24)
            async with school.trainer() as trainer:
                await school.say([*walks(12, 60, seed=1, at=BEGIN + 500), Tick()])
                await school.read(trainer)
                await version_of(school, epoch)
                await until(lambda: world.meaning.texts is not None and world.meaning.texts.encoder == epoch)
            for name in (epoch, school.base):
                await read_with(loop, query, name)
                reader = await asyncio.to_thread(epoch_encoder, encoder, school.adapters, name)
                texts = [*(item.text() for item in ITEMS), query]
                *items, meant = await asyncio.to_thread(reader.encode, texts)
                view = world.catalog.view()
                cosines = world.meaning.of(view, query)
                assert cosines is not None
                expected = [float(vector @ meant) for vector in items]
                said = [float(cosines[view.row_of[item.item_id]]) for item in ITEMS]
                assert np.allclose(said, expected, atol=0.01)
                slate = await search(loop, query, n=24)
                assert slate.strategy == "search-hybrid"
                if name == epoch:
                    school.tune, school.tuner = None, None
                    async with school.trainer() as trainer:
                        await until(lambda: trainer.taken.encoder == school.base)
                        await school.say([*walks(12, 60, seed=2, at=BEGIN + 900), Tick()])
                        await school.read(trainer)
                        await version_of(school, school.base)
                        await until(lambda: world.meaning.texts is None)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def read_with(loop: Local, query: str, encoder: str) -> None:
    """Until queries are read with this encoder."""
    reader = loop.deps.searching._encoder
    assert reader is not None
    async with asyncio.timeout(60):
        while (read := await reader.read(query, 30.0, cold=True)) is None or read.encoder != encoder:
            await asyncio.sleep(0.02)


def metas(url: str) -> list[tuple[str, dict[str, Any]]]:
    return [(name, load_meta(url, name)) for name in names(url)]
