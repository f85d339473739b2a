"""Who follows others, in worker and trainer: hints, the live version, the topic of examples; and how that ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import pytest
from prometheus_client import Counter

from agents.catalog_reader import CatalogReader
from agents.departures import MOST, Departures
from agents.examples import Examples
from agents.hints import follow
from agents.metrics import TrainerMetrics
from agents.model_sync import AGAIN_S, ModelSync
from agents.training import lead
from rec.catalog import Catalog
from rec.config import load_settings
from rec.counters import Counters
from rec.errors import Unavailable
from rec.examples import Erased, Gone, Rewarded
from rec.model.checkpoint import MODEL, save
from rec.model.device import Hardware
from rec.model.lineage import Lineage
from rec.ports import CatalogPage
from rec.recommend import Brain, World
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import EXAMPLES, Topic, topics
from tests.agents.school import ITEMS, TEACHING, until
from tests.contracts.database.test_versions import version


async def test_if_a_look_fails_for_good_nothing_goes_on_listening() -> None:
    before = asyncio.all_tasks()

    async def look() -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as caught:
        await follow(MemoryExchange().connect(), "model", look, 1.0, "the live version")
    assert caught.group_contains(ZeroDivisionError)
    assert asyncio.all_tasks() == before


async def test_a_version_that_could_not_be_read_is_tried_again_and_complained_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database, now, served = MemoryDatabase(), [0.0], list[str]()
    await database.record_version(version(1, url=str(tmp_path)))
    await database.go_live("v1")
    sync = ModelSync(
        world=World(Catalog(), Counters(), brain=Brain.untaught()),
        database=database,
        exchange=MemoryExchange().connect(),
        poll_s=1.0,
        on_swap=served.append,
        clock=lambda: now[0],
    )
    for at in (0.0, AGAIN_S + 1):  # its folder is empty
        now[0] = at
        await sync.look()
    arrays, meta = await asyncio.to_thread(lambda: Lineage(TEACHING).version())
    await asyncio.to_thread(save, str(tmp_path), "v1", {MODEL: arrays}, {**meta, "version": "v1"})
    now[0] = 2 * AGAIN_S + 5  # the second pause is twice as long as the first
    await sync.look()
    assert served == []
    now[0] = 3 * AGAIN_S + 5
    await sync.look()
    assert served == ["v1"]
    assert [each.levelno for each in caplog.records if "does not serve" in each.message] == [logging.ERROR]


class Slow(MemoryLog):
    """A broker that is in the middle of the first batch when the worker is told to stop."""

    begun = 0

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        self.begun += 1
        if self.begun == 1:
            await asyncio.Event().wait()
        await super().publish_many(topic, pairs)


async def test_what_is_on_its_way_when_the_worker_stops_goes_out_last() -> None:
    log = Slow()
    await log.create([Topic(EXAMPLES, 1, {})])
    examples = Examples(to=log, topic=EXAMPLES, lost=Counter("lost", "", registry=None))
    running = asyncio.create_task(examples.run())
    for slate in ("s1", "s2"):
        examples.put(Rewarded(slate, "u1", 1, 1.0, 4))
    await until(lambda: log.begun == 1, 10)
    examples.put(Rewarded("s3", "u1", 1, 1.0, 4))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [record.key for record in log.partitions(EXAMPLES)[0].records] == [
        b"rewarded s1 1", b"rewarded s2 1", b"rewarded s3 1",
    ]  # fmt: skip


async def test_an_erasure_is_told_behind_the_users_examples_and_read_again_replaces_nothing() -> None:
    log = MemoryLog()
    await log.create([Topic(EXAMPLES, 1, {})])
    examples = Examples(to=log, topic=EXAMPLES, lost=Counter("lost", "", registry=None))  # nothing else publishes
    examples.put(Rewarded("s1", "u1", 1, 1.0, 4))
    for since in (1.0, -1.0):
        await examples.tell(Erased("u1", 2.0, since, "e1"))
    records = log.partitions(EXAMPLES)[0].records
    assert records[0].key == b"rewarded s1 1"
    assert len({record.key for record in records}) == 3


class NoSql(MemoryDatabase):
    """SQL is away just when the trainer reads where to begin."""

    async def suppressed(self, since: datetime | None = None) -> dict[str, datetime]:
        raise Unavailable("SQL is away.")


async def test_a_trainer_that_cannot_begin_ends_with_one_line_that_says_who_starts_it_again(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, erasure_secret="s" * 32)
    log, exchange = MemoryLog(), MemoryExchange().connect()
    await log.create(topics(settings))
    with pytest.raises(Unavailable, match=r"SQL is away\. The trainer ends here\. Whoever keeps it \(rec up does\)"):
        await lead(settings, Hardware(), log, exchange, NoSql(), TrainerMetrics(), asyncio.Event())


class Hiccup(MemoryDatabase):
    """SQL is away for one answer, as soon as `away` names which."""

    away = ""

    async def changes(self, since: int, limit: int = 5_000) -> CatalogPage:
        if since and self.away == "second page":
            self.away = ""
            raise Unavailable("SQL is away.")
        return await super().changes(since, 1)

    async def get_vectors(self, encoder: str, digests: Sequence[str]) -> dict[str, bytes]:
        if self.away == "vectors":
            self.away = ""
            raise Unavailable("SQL is away.")
        return await super().get_vectors(encoder, digests)


@pytest.mark.parametrize("away", ["second page", "vectors"])
async def test_changes_of_the_catalog_are_found_again_if_sql_was_away_in_the_middle_of_a_look(away: str) -> None:
    database = Hiccup()
    await database.put_items(ITEMS[:3])
    await database.delete_item(ITEMS[0].item_id)
    await database.put_vectors("e", {ITEMS[1].digest(): b"vector"})
    reader, database.away = CatalogReader(database, "e"), away
    with pytest.raises(Unavailable):
        await reader.look()
    changes, vectors = await reader.look()
    assert [item.item_id for item in changes.items] == [item.item_id for item in ITEMS[1:3]]
    assert changes.deleted == [ITEMS[0].item_id]
    assert vectors == {ITEMS[1].item_id: b"vector"}
    assert (await reader.look())[0].ids == set()


async def test_departures_wait_for_the_log_and_what_is_sold_again_is_not_said() -> None:
    said, there = list[Gone](), [False]

    async def say(gone: Gone) -> bool:
        if there[0]:
            said.append(gone)
        return there[0]

    departures = Departures(say)
    departures.begin_again(["a"])
    await departures.follow(["b", "c"], sold=[])
    there[0] = True
    await departures.follow(["d"], sold=["b"])
    await departures.follow([], sold=[])
    assert said == [Gone(("a", "c", "d"))]
    await departures.follow([f"{n}" for n in range(MOST + 1)], sold=[])
    assert [len(each.item_ids) for each in said[1:]] == [MOST, 1]
