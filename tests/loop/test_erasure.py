"""An erasure ends all of a user: lists on their way, the visitors they were; and nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, Future
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agents.forget import RETRY_S
from rec.erased import finish_erasures
from rec.errors import Unavailable
from rec.events import ERASE, Consent, Event, decode_event, encode_event, instant
from rec.examples import Erased, decode_lesson
from rec.ports import Pushed, StoredSlate, Wanted
from rec.privacy import user_hash
from rec.requests import MergeOut, SlateRequest, decode_request
from rec.slates import Position
from rec.state import UserState
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, DEAD_LETTERS, EXAMPLES, REQUESTS
from tests.loop.local import SECRET, Local, archiving, forgetting_of, local_worker, loop_settings
from tests.loop.test_loop import ask, happened, publish, receipted, shop, until


class Held(Executor):
    """Scores when it is told to."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: work(*args, **more)))
        return future

    def release(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future, work in waiting:
            future.set_result(work())


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Local]:
    """A loop with an archiver beside it."""
    async with local_worker(loop_settings(tmp_path), shop()) as local, archiving(local):
        yield local


async def erase(loop: Local, user_id: str, *, at: float) -> str:
    """What the edge does at DELETE; the receipt's id."""
    erasure_id = f"erasure-of-{user_id}"
    await loop.database.open_erasure(erasure_id, user_hash(SECRET, user_id), instant(at))
    await publish(loop, happened(ERASE, user=user_id, at=at, event_id=erasure_id))
    return erasure_id


async def until_receipted(loop: Local, erasure_id: str, *stores: str) -> None:
    async with asyncio.timeout(30):
        while not await receipted(loop, erasure_id) >= set(stores):
            await asyncio.sleep(0.005)


async def archived(loop: Local) -> list[Event]:
    return [decode_event(raw) async for page in loop.database.read() for _, raw in page]


async def until_archived(loop: Local, count: int) -> None:
    async with asyncio.timeout(30):
        while await loop.database.count_events() != count:
            await asyncio.sleep(0.005)


def asked(loop: Local) -> int:
    """How often a merge was asked for."""
    records = [record for partition in loop.log.partitions(REQUESTS) for record in partition.records]
    return sum(isinstance(decode_request(record.value or b""), MergeOut) for record in records)


def visitors(loop: Local, user_id: str) -> dict[str, str]:
    return loop.users.get(user_id.encode(), UserState(epoch="")).visitors


class TestAListOnItsWay:
    async def answered(self, loop: Local, held: Held, between: Callable[[], Any]) -> None:
        """A request of u1, with something happening between its state's being read and its list's being stored."""
        replies = loop.exchange.connect().replies("web-1")
        waiting = asyncio.ensure_future(anext(replies))
        await asyncio.sleep(0)
        await ask(loop, SlateRequest("u1", "r1", "web-1", time.time() + 60))
        await until(lambda: len(held))
        await between()
        await loop.exchange.connect().announce("web-1", Wanted("u1", {"home": 20}))  # only who looks has a list kept
        await until(lambda: loop.deps.requests._presence.screens("u1"))
        held.release()
        async with asyncio.timeout(30):
            await waiting

    async def test_of_an_erased_user_is_not_kept(self, tmp_path: Path) -> None:
        held = Held()
        async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop(), scoring=held) as loop:
            await publish(loop, happened("view_item", "books-1"))
            await until(lambda: b"u1" in loop.users)

            async def between() -> None:
                await until_receipted(loop, await erase(loop, "u1", at=time.time()), "redis")

            await self.answered(loop, held, between)
            assert await loop.exchange.latest("u1", "home") is None

    async def test_of_an_erased_user_who_began_anew_is_not_kept(self, tmp_path: Path) -> None:
        held = Held()
        async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop(), scoring=held) as loop:
            await publish(loop, happened("view_item", "books-1"))
            await until(lambda: b"u1" in loop.users)
            epoch = loop.users[b"u1"].epoch

            async def between() -> None:
                at = time.time()
                await until_receipted(loop, await erase(loop, "u1", at=at), "redis")
                await publish(loop, happened("view_item", "books-2", at=at + 1))
                await until(lambda: b"u1" in loop.users and loop.users[b"u1"].epoch != epoch)

            await self.answered(loop, held, between)
            assert await loop.exchange.latest("u1", "home") is None

    async def test_of_somebody_unknown_is_not_kept_if_they_were_erased_meanwhile(self, tmp_path: Path) -> None:
        held = Held()
        async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop(), scoring=held) as loop:

            async def between() -> None:
                await until_receipted(loop, await erase(loop, "u1", at=time.time()), "redis")

            await self.answered(loop, held, between)
            assert await loop.exchange.latest("u1", "home") is None

    async def test_of_anybody_else_is_kept(self, tmp_path: Path) -> None:
        held = Held()
        async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop(), scoring=held) as loop:

            async def between() -> None:
                await until_receipted(loop, await erase(loop, "u2", at=time.time()), "redis")

            await self.answered(loop, held, between)
            assert await loop.exchange.latest("u1", "home") is not None

    async def test_that_came_into_redis_after_the_erasure_is_removed_a_little_later(self) -> None:
        now, log, exchange, database = 1_000.0, MemoryLog(), MemoryExchange(), MemoryDatabase()
        forgetting = forgetting_of(database, exchange, log, lambda: now)
        users = {b"u1": UserState(epoch="e")}
        await database.open_erasure("er", user_hash(SECRET, "u1"), instant(now))
        await asyncio.gather(forgetting.erase(users, b"u1", happened(ERASE, at=now, event_id="er")), forgetting.turn())
        await exchange.store_slates([Pushed("u1", StoredSlate("home", Position("e", 1), 1, b"{}"))])
        await forgetting.turn()
        assert await exchange.latest("u1", "home") is not None
        now += RETRY_S
        await forgetting.turn()
        assert await exchange.latest("u1", "home") is None


class PartlyAway(MemoryLog):
    """A log one of whose partitions has no leader for the first tries to write there."""

    def __init__(self, key: str, tries: int = 3) -> None:
        super().__init__()
        self.key, self.tries, self.refuses = key, tries, False

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        if self.tries and any(key == self.key for key, _ in pairs):
            self.tries -= 1
            away = Unavailable("no leader")
            away.temporary = not self.refuses
            raise away
        await super().publish_many(topic, pairs)


class TestALogThatIsAway:
    """Nothing of it is poison: the record waits, and what it has to pass on is passed on."""

    @staticmethod
    def dead(loop: Local) -> float:
        return float(loop.metrics.dead.labels(reason="failed")._value.get())

    async def test_keeps_an_erasure_from_no_visitor(self, tmp_path: Path) -> None:
        log = PartlyAway("v1", tries=0)
        async with local_worker(loop_settings(tmp_path), shop(), log=log) as loop, archiving(loop):
            at = time.time()
            await publish(loop, happened("view_item", "books-1", visitor_id="v1", at=at - 9))
            await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
            log.tries = 3
            stores = ("redis", "redis, visitor 1", "archive", "archive, visitor 1")
            await until_receipted(loop, await erase(loop, "u1", at=at), *stores)
            assert (log.tries, self.dead(loop), loop.users.keys() & {b"u1", b"v1"}) == (0, 0, set())

    async def test_keeps_no_visitors_event_from_their_user(self, tmp_path: Path) -> None:
        log = PartlyAway("u1", tries=0)
        async with local_worker(loop_settings(tmp_path), shop(), log=log) as loop:
            await publish(loop, happened("view_item", "books-1", visitor_id="v1"))
            await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
            log.tries = 3
            await publish(loop, happened("view_item", "books-2", user=None, visitor_id="v1"))
            await until(lambda: len(loop.users[b"u1"].history) == 2)
            assert (log.tries, self.dead(loop)) == (0, 0)

    async def test_keeps_no_denial_from_a_visitor(self, tmp_path: Path) -> None:
        log = PartlyAway("v1", tries=0)
        async with local_worker(loop_settings(tmp_path), shop(), log=log) as loop:
            await publish(loop, happened("view_item", "books-1", visitor_id="v1"))
            await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
            log.tries = 3
            await publish(loop, happened("search", consent=Consent(personalization_storage="denied")))
            await until(lambda: loop.users[b"v1"].consent is False and loop.users[b"u1"].consent is False)
            assert (log.tries, self.dead(loop)) == (0, 0)

    async def test_waits_for_nothing_that_it_will_never_take(self, tmp_path: Path) -> None:
        log = PartlyAway("u1", tries=0)
        async with local_worker(loop_settings(tmp_path), shop(), log=log) as loop:
            await publish(loop, happened("view_item", "books-1", visitor_id="v1"))
            await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
            log.tries, log.refuses = 1, True
            await publish(loop, happened("view_item", "books-2", user=None, visitor_id="v1"))
            await until(lambda: self.dead(loop) == 1)


class Hanging(MemoryDatabase):
    """A database that answers no write to a receipt while it is told to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def add_step(self, erasure_id: str, store: str, removed: int, at: datetime, note: str = "") -> None:
        await self.answers.wait()
        await super().add_step(erasure_id, store, removed, at, note)


async def test_a_database_that_hangs_holds_up_neither_the_next_erasure_nor_anybody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.forget.WAIT_S", 0.01)
    database = Hanging()
    async with local_worker(loop_settings(tmp_path), shop(), database=database) as loop:
        at = time.time()
        ids = [await erase(loop, user, at=at) for user in ("u1", "u2")]
        await publish(loop, happened("view_item", "books-1", user="u3"))
        await until(lambda: b"u3" in loop.users)
        database.answers.set()
        for erasure_id in ids:
            await until_receipted(loop, erasure_id, "state table and changelog", "redis")


async def test_a_merge_that_an_erasure_overtook_brings_nothing_into_the_users_new_life(tmp_path: Path) -> None:
    at = time.time()

    class Overtaken(MemoryLog):
        """While the merge tells the visitor, the user is erased and comes back."""

        worker: Local

        async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
            await super().publish_many(topic, pairs)
            forgetting = self.worker.deps.behavior._forgetting
            if topic == BEHAVIOR and b"$consent" in (pairs[0][1] or b"") and forgetting.moment("u1") is None:
                forgetting.note(happened(ERASE, at=at - 1, event_id="er"))
                self.worker.users[b"u1"] = UserState(epoch="new")

    log = Overtaken()
    async with local_worker(loop_settings(tmp_path), shop(), log=log) as loop:
        log.worker = loop
        granted = Consent(personalization_storage="granted")
        await publish(loop, happened("view_item", "books-1", user=None, visitor_id="v1", at=at - 9))
        await until(lambda: b"v1" in loop.users)
        await publish(loop, happened("view_item", "books-2", visitor_id="v1", at=at - 8, consent=granted))
        await until(lambda: b"u1" in loop.users and loop.users[b"u1"].epoch == "new")
        await publish(loop, happened("view_item", "books-3", at=at))
        await until(lambda: loop.users[b"u1"].history)
        assert [touch.item_id for touch in loop.users[b"u1"].history] == ["books-3"]


class TestVisitors:
    async def test_of_an_erased_user_are_suppressed_in_sql_and_their_rows_go(self, loop: Local) -> None:
        at = time.time()
        await publish(loop, happened("view_item", "books-1", user=None, visitor_id="v1", at=at - 9))
        await publish(loop, happened("view_item", "books-2", visitor_id="v1", at=at - 8))
        await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
        await until_archived(loop, 2)
        receipt = await erase(loop, "u1", at=at)
        lines = ("archive", "archive, visitor 1", "suppression list, visitor 1", "redis, visitor 1")
        await until_receipted(loop, receipt, *lines)
        assert await archived(loop) == []
        assert await loop.database.erased_at(user_hash(SECRET, "v1")) == instant(at)
        restarted = forgetting_of(loop.database, loop.exchange, loop.log)
        await restarted.load()
        assert restarted.is_late("v1", at - 1)
        assert not restarted.is_late("v1", at + 1)

    async def test_have_the_same_lines_whether_the_worker_wrote_them_or_the_next_start(self, loop: Local) -> None:
        at = time.time()
        await publish(loop, happened("view_item", "books-2", visitor_id="v1", at=at - 8))
        await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
        stores = ("archive", "suppression list", "state table and changelog", "counters", "feedback", "redis")
        receipt = await erase(loop, "u1", at=at)
        await until_receipted(loop, receipt, *(f"{store}, visitor 1" for store in stores), *stores[2:], "archive")
        killed = MemoryDatabase()
        event = happened("view_item", "books-2", visitor_id="v1", at=at - 8)
        await killed.append([(event, encode_event(event))])
        await killed.open_erasure("er", user_hash(SECRET, "u1"), instant(at))
        await finish_erasures(killed, SECRET)
        lines = [await database.get_erasure(each) for database, each in ((loop.database, receipt), (killed, "er"))]
        live, finished = ({step["store"] for step in each.steps} for each in lines if each is not None)
        assert finished == live

    async def test_are_erased_even_while_their_merge_is_under_way(self, loop: Local) -> None:
        at = time.time()
        await publish(loop, happened("view_item", "books-1", user=None, visitor_id="v1", at=at - 9))
        await until_archived(loop, 1)
        await until(lambda: b"v1" in loop.users)
        loop.users[b"u1"] = UserState(epoch="e", visitors={"v1": "asked"})  # and the erasure overtakes the asking
        await until_receipted(loop, await erase(loop, "u1", at=at), "archive", "archive, visitor 1")
        await until(lambda: b"v1" not in loop.users)
        assert await archived(loop) == []

    async def test_of_another_user_of_the_device_are_left_alone(self, loop: Local) -> None:
        at = time.time()
        await publish(loop, happened("view_item", "books-1", user=None, visitor_id="v1", at=at - 9))
        await publish(loop, happened("view_item", "books-2", user="a", visitor_id="v1", at=at - 8))
        await until(lambda: visitors(loop, "a") == {"v1": "merged"})
        await publish(loop, happened("view_item", "books-3", user="b", visitor_id="v1", at=at - 7))
        await until(lambda: visitors(loop, "b") == {"v1": "refused"})
        await until_archived(loop, 3)
        await until_receipted(loop, await erase(loop, "b", at=at), "archive", "redis")
        assert loop.users[b"v1"].merged_into == "a"
        assert await loop.database.erased_at(user_hash(SECRET, "v1")) is None
        assert {event.subject for event in await archived(loop)} == {"v1", "a"}

    async def test_that_another_user_only_asked_for_are_left_alone(self, loop: Local) -> None:
        at = time.time()
        await publish(loop, happened("view_item", "books-1", user="a", visitor_id="v1", at=at - 8))
        await until(lambda: visitors(loop, "a") == {"v1": "merged"})
        await publish(loop, happened("view_item", "books-3", user="b", visitor_id="v1", at=at - 7))
        await until_receipted(loop, await erase(loop, "b", at=at), "redis")
        await publish(loop, happened("view_item", "books-4", user=None, visitor_id="v1", at=at - 6))
        await until(lambda: len(loop.users[b"a"].history) == 2)

    async def test_whose_id_is_a_users_by_now_keep_that_users_state(self, loop: Local) -> None:
        now = time.time()
        users = {b"v1": UserState(epoch="e", is_user=True, merged_into="u1")}
        forgetting = forgetting_of(loop.database, loop.exchange, loop.log)
        erasing = happened(ERASE, user="v1", at=now, event_id="er", context={"visitor": 1})
        await forgetting.erase(users, b"v1", erasing)
        assert b"v1" in users


class TestAUserNamedAsAVisitor:
    async def test_keeps_their_state(self, loop: Local) -> None:
        await publish(loop, happened("view_item", "books-1", user="victim"))
        await until(lambda: b"victim" in loop.users)
        before = loop.users[b"victim"]
        await publish(loop, happened("view_item", "toys-1", user="tm", visitor_id="victim"))
        await until(lambda: visitors(loop, "tm") == {"victim": "refused"})
        assert loop.users[b"victim"] == before
        assert [touch.item_id for touch in loop.users[b"tm"].history] == ["toys-1"]

    async def test_before_they_came_loses_nothing_later(self, loop: Local) -> None:
        await publish(loop, happened("view_item", "toys-1", user="tm", visitor_id="victim"))
        await until(lambda: visitors(loop, "tm") == {"victim": "merged"})
        await publish(loop, happened("view_item", "books-1", user="victim"))
        await until(lambda: loop.users[b"victim"].history)
        await ask(loop, MergeOut("victim", "tm", time.time()))
        await until_receipted(loop, await erase(loop, "tm", at=time.time()), "redis")
        await publish(loop, happened("view_item", "books-2", user="victim"))
        await until(lambda: len(loop.users[b"victim"].history) == 2)

    async def test_is_not_asked_for_with_every_event(self, loop: Local) -> None:
        await publish(loop, happened("view_item", "books-1", user="victim"))
        await until(lambda: b"victim" in loop.users)
        await publish(loop, happened("view_item", "toys-1", user="tm", visitor_id="victim"))
        await until(lambda: visitors(loop, "tm") == {"victim": "refused"})
        before = asked(loop)
        await publish(
            loop, *(happened("view_item", f"toys-{n % 12}", user="tm", visitor_id="victim") for n in range(50))
        )
        await until(lambda: loop.users[b"tm"].applied == 51)
        assert asked(loop) == before


class Away(MemoryLog):
    """A broker that takes nothing for one topic."""

    away = ""

    async def publish_many(self, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
        if topic == self.away:
            raise Unavailable("the log is away")
        await super().publish_many(topic, pairs)


@pytest.mark.parametrize("topic", [EXAMPLES, REQUESTS], ids=["the model", "the visitors"])
async def test_the_state_stays_until_the_broker_knows_of_the_erasure_what_only_the_state_knows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, topic: str
) -> None:
    log, at = Away(), time.time()
    async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop(), log) as loop:
        await publish(loop, happened("view_item", "books-1", visitor_id="v1", at=at - 8))
        await until(lambda: visitors(loop, "u1") == {"v1": "merged"})
        began, before = loop.users[b"u1"].began, log.partitions(EXAMPLES)[0].end
        log.away = topic
        receipt = await erase(loop, "u1", at=at)
        await until(lambda: "trying again: the log is away" in caplog.text)
        assert b"u1" in loop.users
        log.away = ""
        await until_receipted(loop, receipt, "state table and changelog", "redis, visitor 1")
        assert b"u1" not in loop.users
        told = [decode_lesson(record.value or b"") for record in log.partitions(EXAMPLES)[0].records[before:]]
        assert [(each.user_id, each.since) for each in told if isinstance(each, Erased)][0] == ("u1", began)
    assert not [each for each in log.partitions(DEAD_LETTERS) if each.end]


async def test_the_second_user_of_a_device_stops_asking_for_its_visitor(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1", user="a", visitor_id="v1"))
    await until(lambda: visitors(loop, "a") == {"v1": "merged"})
    await publish(loop, happened("view_item", "books-2", user="b", visitor_id="v1"))
    await until(lambda: visitors(loop, "b") == {"v1": "refused"})
    before = asked(loop)
    await publish(loop, *(happened("view_item", f"toys-{n % 12}", user="b", visitor_id="v1") for n in range(200)))
    await until(lambda: loop.users[b"b"].applied == 201)
    assert asked(loop) == before
