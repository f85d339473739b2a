"""A list from the refresher to its example: served, seen, clicked, joined; and nothing kept of who does not want it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.retraction import LINE
from agents.windows import MAX_UNSEEN
from rec.events import ERASE, Attribution, Consent, Event, instant
from rec.examples import Rewarded, decode_lesson
from rec.feedback import FeedbackExample, decode_example, decode_told, encode_told
from rec.ports import Reply
from rec.privacy import user_hash
from rec.requests import AskRates, Inspect, SlateRequest
from rec.served import Lists, Packed, Served, ServedItem, pack
from rec.slates import Slate
from rec.store.memory import MemoryExchange, MemoryLog
from rec.topics import EXAMPLES, FEEDBACK, SERVED
from rec.window_keys import split_key
from tests.loop.local import SECRET, Local, local_worker, loop_settings
from tests.loop.test_loop import Screen, ask, happened, publish, receipted, shop, until
from tests.loop.test_search import search

HOUR = 3_600.0
DENIED = Consent(personalization_storage="denied")


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Local]:
    async with local_worker(loop_settings(tmp_path), shop()) as local:
        yield local


def lists(loop: Local, user_id: str = "u1") -> list[str]:
    return [slate_id for user, slate_id in map(split_key, loop.windows) if user == user_id]


def examples(log: MemoryLog) -> list[FeedbackExample]:
    """Those that are out and were not taken back, all revisions."""
    kept: dict[bytes, list[FeedbackExample]] = {}
    for partition in log.partitions(FEEDBACK):
        for record in partition.records:
            if record.value is None:
                kept.pop(record.key, None)
            else:
                kept.setdefault(record.key, []).append(decode_example(record.value))
    return [example for of_list in kept.values() for example in of_list]


def on(slate: Slate | str, name: str, *ids: str, user: str | None = "u1", **more: Any) -> Event:
    slate_id = slate if isinstance(slate, str) else slate.slate_id
    return happened(name, *ids, user=user, attribution=Attribution(slate_id), **more)


def three(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items[:3]]


async def closed(loop: Local, count: int, after_s: float = HOUR) -> list[FeedbackExample]:
    """Time passes; the examples, once there are `count`."""
    await loop.deps.feedback.sweep(time.time() + after_s)
    await until(lambda: len(examples(loop.log)) >= count)
    return examples(loop.log)


async def seen_and_clicked(loop: Local, slate: Slate) -> None:
    """The user's first three places were seen, the second one clicked."""
    ids = three(slate)
    await publish(loop, on(slate, "view_item_list", *ids), on(slate, "select_item", ids[1]))
    await until(lambda: any(window.acts for window in loop.windows.values()))


async def test_a_list_that_was_pushed_is_joined_with_what_became_of_it(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1"))
    async with Screen(loop) as screen:
        slate = screen.last
        await until(lambda: slate.slate_id in lists(loop))
        assert not examples(loop.log)  # to be pushed is not to be seen
        await seen_and_clicked(loop, slate)
        [example] = await closed(loop, 1)
    assert example.slate_id == slate.slate_id
    assert [place.item_id for place in example.places] == [place.item_id for place in slate.items]
    assert [place.seen for place in example.places[:4]] == [True, True, True, False]
    assert [place.reward for place in example.places[:3]] == [0.0, 1.0, 0.0]
    assert (example.placement, example.strategy, example.model_version) == (
        slate.placement,
        slate.strategy,
        slate.model_version,
    )
    assert example.state is not None
    assert [touch.item_id for touch in example.state.history] == ["books-1"]  # as served, not as it is now


async def test_what_is_done_on_a_list_that_nobody_joins_waits_for_nothing(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, feedback_placements=("feed",), sweep_interval_s=60)
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        ids = three(screen.last)
        await publish(loop, on(screen.last, "view_item_list", *ids), on(screen.last, "select_item", ids[1]))
        await until(lambda: loop.users[b"u1"].applied == 2)
        assert not loop.windows
        await publish(loop, on("of somebody else", "select_item", ids[2]))  # it may be one of the feed's
        await until(lambda: lists(loop) == ["of somebody else"])


async def test_a_list_that_was_asked_for_is_remembered_too(loop: Local) -> None:
    await ask(loop, SlateRequest("u2", "r1", "web-1", time.time() + 60, n=5))
    await until(lambda: lists(loop, "u2"))


async def test_a_click_that_comes_before_the_record_of_its_list_is_joined(loop: Local) -> None:
    await publish(loop, on("s1", "select_item", "books-1"))
    await until(lambda: lists(loop))
    served = Served("s1", "u1", "home", time.time(), "default", "gate-0", (ServedItem("books-1", 0.5, "rules"),))
    await loop.log.publish(SERVED, "u1", encode_told(Lists((pack(served),))))
    await until(lambda: all(window.served for window in loop.windows.values()))
    [example] = await closed(loop, 1)
    assert example.reward == 1.0


async def test_a_late_purchase_gives_the_example_anew(loop: Local) -> None:
    async with Screen(loop) as screen:
        slate = screen.last
        await until(lambda: slate.slate_id in lists(loop))
        await seen_and_clicked(loop, slate)
        await closed(loop, 1)
        await publish(loop, on(slate, "purchase", three(slate)[1]))
        await until(lambda: any(window.news for window in loop.windows.values()))
        first, second = await closed(loop, 2)
    assert (first.revision, second.revision) == (0, 1)
    assert (first.reward, second.reward) == (1.0, 5.0)


@pytest.mark.parametrize("weight", [0.0, 0.1])
async def test_the_trainer_hears_what_a_list_earned_if_it_is_to_learn_from_it(tmp_path: Path, weight: float) -> None:
    async with local_worker(loop_settings(tmp_path, train_rewards=weight), shop()) as loop:

        def rewarded() -> list[Rewarded]:
            records = loop.log.partitions(EXAMPLES)[0].records
            return [lesson for each in records if isinstance(lesson := decode_lesson(each.value or b""), Rewarded)]

        async with Screen(loop) as screen:
            slate = screen.last
            await until(lambda: slate.slate_id in lists(loop))
            await seen_and_clicked(loop, slate)
            await closed(loop, 1)
        if not weight:
            assert rewarded() == []
            return
        await until(lambda: bool(rewarded()))
        [lesson] = rewarded()
        assert (lesson.slate_id, lesson.length) == (slate.slate_id, len(slate.items))
        assert lesson.earned == ((three(slate)[1], 1.0, 1.0),)  # greedy: what is listed is so for certain


# ---------------------------------------------------------------- searches
def told_of(log: MemoryLog) -> list[str]:
    """Whose lists are in topic `served`, in its order."""
    records = [decode_told(record.value or b"") for part in log.partitions(SERVED) for record in part.records]
    return [packed.user_id for told in records if isinstance(told, Lists) for packed in told.lists]


@pytest.mark.parametrize(("query", "strategy"), [("books", "search-lexical"), ("zzzzqq", "search-fallback")])
async def test_a_search_is_joined_with_what_became_of_its_results(loop: Local, query: str, strategy: str) -> None:
    await publish(loop, happened("view_item", "books-1"))
    await until(lambda: b"u1" in loop.users)
    slate = await search(loop, query, n=5)
    await until(lambda: slate.slate_id in lists(loop))
    await seen_and_clicked(loop, slate)
    [example] = await closed(loop, 1)
    assert (example.slate_id, example.placement, example.strategy) == (slate.slate_id, "search", strategy)
    assert [place.item_id for place in example.places] == [place.item_id for place in slate.items]
    assert [place.reward for place in example.places] == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert example.state is not None
    assert [touch.item_id for touch in example.state.history] == ["books-1"]
    assert loop.metrics.feedback.labels(result="joined")._value.get() == 4
    rates = loop.deps.requests._rating.pupil
    await until(lambda: rates.rows("placement", time.time(), key="search"))
    [row] = rates.rows("placement", time.time(), key="search")
    assert (round(row.seen, 3), round(row.clicks, 3)) == (3.0, 1.0)


async def test_every_page_of_a_search_is_a_list_of_its_own(loop: Local) -> None:
    first = await search(loop, "books", n=5)
    second = await search(loop, "books", n=5, page=first.search.next)  # type: ignore[union-attr]
    await until(lambda: lists(loop) == [first.slate_id, second.slate_id])


async def test_what_is_done_on_a_search_that_nobody_joins_waits_for_nothing(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path, feedback_placements=("home",)), shop()) as loop:
        slate = await search(loop, "books")
        await publish(loop, on(slate, "select_item", three(slate)[0]))
        await until(lambda: b"u1" in loop.users)
        assert not loop.windows


class Away(MemoryExchange):
    """An exchange whose replies to `web-1` are under way until `there`."""

    def __init__(self, of: MemoryExchange, there: asyncio.Event) -> None:
        self._use(of._shared)
        self.there, self.asked = there, asyncio.Event()

    def connect(self) -> MemoryExchange:
        return self

    async def reply(self, to: str, reply: Reply) -> None:
        self.asked.set()
        await self.there.wait()
        await super().reply(to, reply)


async def test_a_search_whose_user_was_erased_before_it_was_answered_is_told_to_nobody(tmp_path: Path) -> None:
    exchange, there = MemoryExchange(), asyncio.Event()
    away = Away(exchange, there)
    async with local_worker(loop_settings(tmp_path), shop(), exchange=away) as loop:
        loop = loop._replace(exchange=exchange)
        asking = asyncio.create_task(search(loop, "books"))
        await away.asked.wait()
        at = time.time()
        await loop.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(at))
        await publish(loop, happened(ERASE, at=at, event_id="er1"))
        async with asyncio.timeout(30):
            while not await receipted(loop, "er1") >= {"redis"}:
                await asyncio.sleep(0.005)
        there.set()
        await asking
        await search(loop, "books", user="u2")
        await until(lambda: "u2" in told_of(loop.log))
        assert "u1" not in told_of(loop.log)


async def test_lists_that_nobody_saw_are_forgotten_without_an_example(loop: Local) -> None:
    async with Screen(loop) as screen:
        await until(lambda: screen.last.slate_id in lists(loop))
    await loop.deps.feedback.sweep(time.time() + 4 * HOUR)
    await until(lambda: not loop.windows)
    assert examples(loop.log) == []


async def test_clicks_that_name_a_list_which_nobody_remembers_are_counted(loop: Local) -> None:
    await publish(loop, on("no-such-list", "select_item", "books-1"))
    await until(lambda: lists(loop))
    await loop.deps.feedback.sweep(time.time() + HOUR)
    await until(lambda: not loop.windows)
    assert loop.metrics.feedback.labels(result="unjoined")._value.get() == 1
    assert loop.metrics.feedback.labels(result="joined")._value.get() == 0


async def test_of_nobody_are_more_lists_remembered_than_so_many(loop: Local) -> None:
    for n in range(MAX_UNSEEN + 5):
        served = Served(f"s{n}", "u1", "home", time.time(), "d", "m", (ServedItem("books-1", 0.5, "rules"),))
        await loop.log.publish(SERVED, "u1", encode_told(Lists((pack(served),))))
    await until(lambda: loop.metrics.windows_evicted._value.get() == 5)
    assert lists(loop) == [f"s{n}" for n in range(5, MAX_UNSEEN + 5)]


async def test_the_index_is_made_anew_when_the_table_was_recovered(loop: Local) -> None:
    async with Screen(loop) as screen:
        await until(lambda: screen.last.slate_id in lists(loop))
        await seen_and_clicked(loop, screen.last)
        loop.deps.windows.recovered()
        assert len(await closed(loop, 1)) == 1


# ---------------------------------------------------------------- people
async def test_a_visitors_lists_are_the_users_when_they_are_recognised(loop: Local) -> None:
    async with Screen(loop, "v1") as screen:
        slate = screen.last
        await until(lambda: lists(loop, "v1") == [slate.slate_id])
        await publish(loop, on(slate, "view_item_list", *three(slate), user=None, visitor_id="v1"))
        await publish(loop, happened("view_item", "books-1", visitor_id="v1"))
        await until(lambda: slate.slate_id in lists(loop, "u1"))
        assert slate.slate_id not in lists(loop, "v1")
        await publish(loop, on(slate, "select_item", three(slate)[0]))
        await until(lambda: any(window.acts for window in loop.windows.values()))
        [example] = await closed(loop, 1)
    assert (example.user_id, example.reward) == ("u1", 1.0)
    assert sum(place.seen for place in example.places) == 3


async def test_who_denies_leaves_neither_windows_nor_examples(loop: Local) -> None:
    async with Screen(loop) as screen:
        await publish(loop, happened("view_item", "books-1"))
        await until(lambda: len(screen.slates) > 1 and screen.last.slate_id in lists(loop))
        await seen_and_clicked(loop, screen.last)
        await closed(loop, 1)
        await publish(loop, happened("view_item", "books-2", consent=DENIED))
        await until(lambda: not lists(loop))
        await until(lambda: not examples(loop.log))
        await publish(loop, on("s9", "select_item", "books-1"))
        await until(lambda: loop.metrics.folded.labels(outcome="ignored")._value.get() == 1)
    assert lists(loop) == []


async def test_the_topic_is_not_read_for_who_denies_at_the_first_step(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1", user="new", consent=DENIED))
    await until(lambda: loop.metrics.folded.labels(outcome="denied")._value.get() == 1)
    await publish(loop, happened("view_item", "books-1", user="known"))
    await until(lambda: b"known" in loop.users)
    await publish(loop, happened("view_item", "books-2", user="known", consent=DENIED))
    await until(lambda: any(partition.records for partition in loop.log.partitions(FEEDBACK)))  # the marks of reading
    keys = {record.key.split()[1] for partition in loop.log.partitions(FEEDBACK) for record in partition.records}
    assert len(keys) == 1


async def test_an_erased_user_is_in_no_window_and_no_example_and_the_receipt_says_so(loop: Local) -> None:
    async with Screen(loop, "u2") as other, Screen(loop) as screen:
        await until(lambda: screen.last.slate_id in lists(loop) and other.last.slate_id in lists(loop, "u2"))
        await seen_and_clicked(loop, screen.last)
        await publish(loop, on(other.last, "view_item_list", *three(other.last), user="u2"))
        await until(lambda: sum(bool(window.signs) for window in loop.windows.values()) == 2)
        await closed(loop, 2)
        at = time.time()
        await loop.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(at))
        await publish(loop, happened(ERASE, at=at, event_id="er1"))
        await until(lambda: not lists(loop))
        async with asyncio.timeout(30):
            while LINE not in await receipted(loop, "er1"):
                await asyncio.sleep(0.02)
        receipt = await loop.database.get_erasure("er1")
        assert receipt is not None
        [line] = [step for step in receipt.steps if step["store"] == LINE]
        assert line["removed"] >= 2  # a window and an example
        assert [example.user_id for example in examples(loop.log)] == ["u2"]


async def test_a_worker_that_starts_writes_the_line_that_a_killed_one_owed(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path)
    async with local_worker(settings, shop()) as loop:
        async with Screen(loop) as screen:
            await until(lambda: screen.last.slate_id in lists(loop))
            await seen_and_clicked(loop, screen.last)
            await closed(loop, 1)
        at = time.time()
        await loop.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(at))
        await loop.database.add_step("er1", "state table and changelog", 1, instant(at))
        async with local_worker(settings, [], loop.log, loop.database) as again:
            await until(lambda: not examples(loop.log))
            async with asyncio.timeout(30):
                while LINE not in await receipted(again, "er1"):
                    await asyncio.sleep(0.01)


# ---------------------------------------------------------------- what is read
async def test_open_windows_are_among_what_is_known_of_a_user(loop: Local) -> None:
    async with Screen(loop) as screen:
        await until(lambda: screen.last.slate_id in lists(loop))
        slate = screen.last
        await seen_and_clicked(loop, slate)
        replies = loop.exchange.connect().replies("web-1")
        waiting = asyncio.ensure_future(anext(replies))
        await asyncio.sleep(0)
        await ask(loop, Inspect("u1", "r1", "web-1", time.time() + 30))
        async with asyncio.timeout(30):
            body = msgspec.json.decode((await waiting).body)
        [window] = [each for each in body["feedback"] if each["slate_id"] == slate.slate_id]
        assert window["actions"].keys() == {three(slate)[1]}
        assert window["seen"].keys() == set(three(slate))


async def test_rates_are_answered_by_any_worker_and_outlive_it(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path)
    async with local_worker(settings, shop()) as loop:
        async with Screen(loop) as screen:
            await until(lambda: screen.last.slate_id in lists(loop))
            await seen_and_clicked(loop, screen.last)
            await closed(loop, 1)
        rating = loop.deps.requests._rating
        await until(lambda: rating.pupil.lists == 1)
        replies = loop.exchange.connect().replies("web-1")
        waiting = asyncio.ensure_future(anext(replies))
        await asyncio.sleep(0)
        await ask(loop, AskRates("any", "any", "web-1", time.time() + 30, by="placement"))
        async with asyncio.timeout(30):
            body = msgspec.json.decode((await waiting).body)
        [row] = body["feedback"]["rows"]
        assert (row["key"], round(row["seen"], 3), round(row["clicks"], 3)) == ("home", 3.0, 1.0)
        assert row["ctr"]["low"] < row["ctr"]["value"] < row["ctr"]["high"]
        await rating.save()
        async with local_worker(settings, [], loop.log, loop.database) as again:
            assert again.deps.requests._rating.pupil.lists == 1


async def test_a_list_that_cannot_be_read_is_let_go_and_holds_up_no_other(loop: Local) -> None:
    good = Served("s2", "u1", "home", time.time(), "d", "m", (ServedItem("books-1", 0.5, "rules"),))
    told = Lists((Packed("u1", "s1", time.time(), b"not packed"), pack(good)))
    await loop.log.publish(SERVED, "u1", encode_told(told))
    for slate in ("s1", "s2"):
        await publish(loop, on(slate, "select_item", "books-1"))
    await until(
        lambda: all(window.served and window.acts for window in loop.windows.values()) and len(loop.windows) == 2
    )
    [example] = await closed(loop, 1)
    assert example.slate_id == "s2"
    assert lists(loop) == ["s2"]


async def test_a_record_that_is_none_goes_to_the_dead_letters_and_the_next_is_taken(loop: Local) -> None:
    await loop.log.publish(SERVED, "u1", b"nonsense")
    served = Served("s1", "u1", "home", time.time(), "d", "m", (ServedItem("books-1", 0.5, "rules"),))
    await loop.log.publish(SERVED, "u1", encode_told(Lists((pack(served),))))
    await until(lambda: lists(loop) == ["s1"])
    assert loop.metrics.dead.labels(reason="malformed")._value.get() == 1
