"""One event from the log to the exchange, in one process: fold, refresh, sweep, merge, consent, erasure."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rec.catalog import Item
from rec.errors import Unavailable
from rec.events import CONSENT, ERASE, Consent, Event, EventItem, encode_event, instant
from rec.ports import Hint, Pushed, Wanted
from rec.privacy import user_hash
from rec.protocol import MAX_USER_SCREENS
from rec.requests import Expire, Inspect, Refresh, SlateRequest, encode_request
from rec.slates import Cause, Slate, decode_slate
from rec.state import UserState
from rec.store.memory import MemoryExchange
from tests.loop.local import SECRET, Local, local_worker, loop_settings

CATEGORIES = ("Camping", "Kitchen", "Books", "Audio", "Garden", "Toys")


def shop() -> list[Item]:
    return [
        Item(item_id=f"{name.lower()}-{n}", title=f"{name} thing {n}", category=name, brand=f"B{n % 4}", price=10 + n)
        for name in CATEGORIES
        for n in range(12)
    ]  # fmt: skip


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Local]:
    async with local_worker(loop_settings(tmp_path), shop()) as local:
        yield local


async def until(true: Callable[[], Any], within_s: float = 30.0) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.005)


_ids = iter(range(1_000_000))


def happened(name: str, *items: str, user: str | None = "u1", at: float | None = None, **more: Any) -> Event:
    now = time.time() if at is None else at
    event_id = more.pop("event_id", f"e{next(_ids)}")
    return Event(
        event=name, event_id=event_id, user_id=user, items=tuple(EventItem(item) for item in items),
        event_ts=instant(now), received_ts=instant(now), **more,
    )  # fmt: skip


async def publish(loop: Local, *events: Event) -> None:
    for event in events:
        await loop.log.publish("behavior", event.subject, encode_event(event))


async def ask(loop: Local, request: Any) -> None:
    await loop.log.publish("requests", request.user_id, encode_request(request))


class Screen:
    """A connected shopper: subscribed like the web process subscribes, collecting what is pushed."""

    def __init__(self, loop: Local, user_id: str = "u1", n: int = 10, placement: str = "home") -> None:
        self.loop, self.user_id, self.n, self.placement = loop, user_id, n, placement
        self.exchange = loop.exchange.connect()
        self.slates: list[Slate] = []

    async def __aenter__(self) -> Screen:
        await self.exchange.watch(self.user_id)
        await self.exchange.announce("web-1", Wanted(self.user_id, {self.placement: self.n}))
        self._task = asyncio.create_task(self._collect())
        await ask(self.loop, Refresh(self.user_id, Cause("request"), self.placement, self.n))
        await until(lambda: self.slates)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _collect(self) -> None:
        async for pushed in self.exchange.pushes():
            if pushed is not None:
                self.slates.append(decode_slate(pushed.slate.body))

    @property
    def last(self) -> Slate:
        return self.slates[-1]

    def categories(self) -> list[str]:
        return [place.item["category"] for place in self.last.items]


async def test_three_views_turn_one_list_and_leave_the_other(loop: Local) -> None:
    async with Screen(loop, "u1") as one, Screen(loop, "u2") as other:
        before = [place.item_id for place in other.last.items]
        await publish(loop, *(happened("view_item", f"camping-{n}") for n in range(3)))
        await until(lambda: one.categories().count("Camping") >= 5)
        assert [place.item_id for place in other.last.items] == before
        assert len(other.slates) == 1


async def test_the_slate_names_the_event_that_caused_it_and_the_version_grows(loop: Local) -> None:
    async with Screen(loop) as screen:
        first = screen.last
        event = happened("view_item", "books-1")
        await publish(loop, event)
        await until(lambda: len(screen.slates) > 1)
        assert screen.last.cause == Cause("event", event.event_id)
        assert screen.last.epoch == first.epoch
        assert screen.last.version > first.version


async def test_a_repeated_event_pushes_nothing_and_counts_once(loop: Local) -> None:
    async with Screen(loop) as screen:
        event = happened("view_item", "books-1")
        await publish(loop, event, event, event)
        await publish(loop, last := happened("view_item", "books-2"))
        await until(lambda: screen.last.cause.event_id == last.event_id)
        assert loop.users[b"u1"].applied == 2


async def test_an_impression_pushes_nothing(loop: Local) -> None:
    async with Screen(loop) as screen:
        shown = happened("view_item_list", *(place.item_id for place in screen.last.items))
        await publish(loop, shown)
        await until(lambda: loop.users[b"u1"].applied == 1)
        assert len(screen.slates) == 1


async def test_nobody_who_is_not_looking_costs_a_slate(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1", user="absent"))
    await until(lambda: b"absent" in loop.users)
    assert await loop.exchange.latest("absent", "home") is None


async def test_the_sweep_mends_a_push_that_was_lost(loop: Local) -> None:
    async with Screen(loop) as screen:
        newer = msgspec.structs.replace(loop.users[b"u1"], version=50)
        loop.users[b"u1"] = newer  # as after a crash between the fold and the push
        await until(lambda: screen.last.version == 50)


async def test_the_sweep_makes_the_list_of_a_newcomer_whose_request_was_lost(loop: Local) -> None:
    exchange = loop.exchange.connect()
    await exchange.watch("newcomer")
    pushes = exchange.pushes()
    await exchange.announce("web-1", Wanted("newcomer", {"home": 7}))  # the broker was away, and heard of no refresh
    async with asyncio.timeout(30):
        pushed = await anext(pushes)
    assert pushed is not None
    assert (pushed.user_id, pushed.slate.n) == ("newcomer", 7)
    made = loop.metrics.slates.labels(cause="request")._value.get()
    assert await loop.deps.sweep.turn(time.time()) == 0  # and makes it once
    assert loop.metrics.slates.labels(cause="request")._value.get() == made


@pytest.mark.parametrize("events", [1, 2], ids=["a list that is being made", "a list that waits for its turn"])
async def test_the_sweep_does_not_ask_again_for(tmp_path: Path, events: int) -> None:
    begun, go_on = threading.Event(), threading.Event()

    class Slow(ThreadPoolExecutor):
        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            def later() -> Any:
                begun.set()
                assert go_on.wait(10)
                return work(*args, **more)

            return super().submit(later)

    with Slow(1) as slow:
        go_on.set()
        settings = loop_settings(tmp_path, sweep_interval_s=60)
        async with local_worker(settings, shop(), scoring=slow) as loop, Screen(loop) as screen:
            begun.clear()
            go_on.clear()
            await publish(loop, last := happened("view_item", "books-1"))
            await until(begun.is_set)
            if events == 2:
                await publish(loop, last := happened("view_item", "books-2"))
                await until(lambda: loop.users[b"u1"].applied == 2)
            made = loop.metrics.slates.labels(cause="request")._value.get()
            assert await loop.deps.sweep.turn(time.time()) == 1  # the stored list is old, and a new one is on its way
            go_on.set()
            await until(lambda: screen.last.position == loop.users[b"u1"].position)
            assert screen.last.cause == Cause("event", last.event_id)
            await ask(loop, Refresh("u1", Cause("model"), "home", 10))  # behind whatever the sweep may have asked for
            await until(lambda: screen.last.cause.kind == "model")
            assert loop.metrics.slates.labels(cause="request")._value.get() == made


async def test_a_screen_that_has_the_newest_list_gets_no_other(loop: Local) -> None:
    async with Screen(loop) as screen:
        have = screen.last.position
        await ask(loop, Refresh("u1", Cause("request"), "home", 10, have=have))
        await publish(loop, happened("view_item", "books-1"))
        await until(lambda: len(screen.slates) == 2)
        assert screen.last.version == have.version + 1


async def test_a_screen_that_grows_gets_the_longer_list(loop: Local) -> None:
    async with Screen(loop) as screen:
        await screen.exchange.announce("web-1", Wanted("u1", {"home": 30}))
        await ask(loop, Refresh("u1", Cause("request"), "home", 30))
        await until(lambda: len(screen.last.items) == 30)


async def test_a_screen_ahead_of_a_state_that_was_cut_short_is_served_from_a_new_epoch(loop: Local) -> None:
    async with Screen(loop) as screen:
        before = screen.last.position
        ahead = msgspec.structs.replace(before, version=2**53 - 1)
        await ask(loop, Refresh("u1", Cause("request"), "home", 10, have=before, shown=ahead))
        await until(lambda: screen.last.epoch != before.epoch)
        assert screen.last.version == before.version + 1  # a number that a client names is not taken over
        await ask(loop, Refresh("u1", Cause("request"), "home", 10, have=screen.last.position, shown=ahead))
        await publish(loop, happened("view_item", "books-1"))
        await until(lambda: len(screen.slates) == 3)
        assert screen.last.version == before.version + 2  # of an epoch that is over, it is no reason for another


async def reply_to(loop: Local, request: Any) -> dict[str, Any]:
    exchange = loop.exchange.connect()
    answers = exchange.replies("web-1")
    waiting = asyncio.ensure_future(anext(answers))
    await asyncio.sleep(0)
    await ask(loop, request)
    async with asyncio.timeout(30):
        answer = await waiting
    assert answer.request_id == request.request_id
    body: dict[str, Any] = msgspec.json.decode(answer.body)
    return body


async def test_a_request_is_answered_with_as_many_items_as_asked(loop: Local) -> None:
    body = await reply_to(loop, SlateRequest("u9", "r1", "web-1", time.time() + 30, n=3))
    assert len(body["slate"]["items"]) == 3
    assert b"u9" not in loop.users  # asking leaves no trace


async def test_a_request_that_redis_was_away_for_is_answered_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [True]
    there = MemoryExchange.store_slates

    async def once(self: MemoryExchange, slates: Sequence[Pushed], push: bool = True) -> None:
        if away:
            away.pop()
            raise Unavailable("Redis is away")
        await there(self, slates, push)

    monkeypatch.setattr(MemoryExchange, "store_slates", once)
    async with local_worker(loop_settings(tmp_path, sweep_interval_s=60), shop()) as loop:
        body = await reply_to(loop, SlateRequest("u9", "r1", "web-1", time.time() + 30, n=3))
    assert len(body["slate"]["items"]) == 3
    assert not away


async def test_a_worker_whose_clock_is_ahead_of_who_asks_answers_all_the_same(tmp_path: Path) -> None:
    behind = MemoryExchange(lambda: time.time() - 60)
    async with local_worker(loop_settings(tmp_path), shop(), exchange=behind) as loop:
        body = await reply_to(loop, SlateRequest("u9", "r1", "web-1", await behind.time() + 30, n=3))
    assert len(body["slate"]["items"]) == 3


async def test_only_lists_of_open_screens_are_kept_whatever_is_asked_for(loop: Local) -> None:
    async with Screen(loop) as screen:
        first = screen.last
        for number in range(20):
            await reply_to(loop, SlateRequest("u1", f"r{number}", "web-1", time.time() + 30, f"p{number}"))
            await reply_to(loop, SlateRequest(f"v{number}", f"r{number}", "web-1", time.time() + 30))
        body = await reply_to(loop, SlateRequest("u1", "r", "web-1", time.time() + 30, "home", 3))
        assert body["slate"]["version"] == first.version
        assert set(loop.exchange._slates_of("u1")) == {"home"}
        assert await loop.exchange.latest("v1", "home") is None
        await loop.exchange.forget_slates("u1")  # as if Redis had lost it: then the answer is the screen's list, too
        await reply_to(loop, SlateRequest("u1", "r", "web-1", time.time() + 30, "home", 3))
        kept = await loop.exchange.latest("u1", "home")
        assert kept is not None
        assert (kept.position.epoch, kept.n) == (first.epoch, 10)  # as long as the screen


async def test_a_list_that_was_asked_for_and_then_watched_goes_on_from_where_it_was(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1"))
    await until(lambda: b"u1" in loop.users)
    asked = (await reply_to(loop, SlateRequest("u1", "r1", "web-1", time.time() + 30)))["slate"]
    async with Screen(loop) as screen:
        assert (screen.last.epoch, screen.last.version) == (asked["epoch"], asked["version"] + 1)
        await publish(loop, happened("view_item", "books-2"))
        await until(lambda: len(screen.slates) == 2)
        assert [one.version for one in screen.slates] == [asked["version"] + 1, asked["version"] + 2]


async def test_one_who_has_many_screens_does_not_hold_up_another(tmp_path: Path) -> None:
    wanted = {f"p{number}": 10 for number in range(MAX_USER_SCREENS)}
    async with local_worker(loop_settings(tmp_path, refresh_batch=4, sweep_interval_s=60), shop()) as loop:
        stored: list[str] = []
        watching = loop.exchange.connect()
        for user_id in ("many", "one"):
            await watching.watch(user_id)
            await publish(loop, happened("view_item", "toys-1", user=user_id))
        await until(lambda: len(loop.users) == 2)
        await watching.announce("web-1", Wanted("many", wanted))
        await watching.announce("web-1", Wanted("one", {"home": 10}))
        await until(lambda: len(loop.deps.requests._presence) == 2)
        pushes = watching.pushes()
        await publish(loop, happened("view_item", "books-1", user="many"), happened("view_item", "books-1", user="one"))
        async with asyncio.timeout(30):
            while len(stored) < MAX_USER_SCREENS + 1:
                pushed = await anext(pushes)
                assert pushed is not None
                stored.append(pushed.user_id)
        assert stored.index("one") < 12  # in the first batches, not behind all of the other's
        assert stored.count("many") == MAX_USER_SCREENS


async def test_a_worker_that_was_restarted_knows_what_open_lists_show(tmp_path: Path) -> None:
    """What sold out afterwards leaves the list; so does what sold out while no worker ran."""
    async with local_worker(loop_settings(tmp_path), shop()) as before, Screen(before) as screen:
        state, made = before.users[b"u1"], screen.last
        kept = await before.exchange.latest("u1", "home")
        assert kept is not None
    shown = [place.item_id for place in made.items]
    items = [msgspec.structs.replace(item, in_stock=item.item_id != shown[0]) for item in shop()]
    async with local_worker(loop_settings(tmp_path), items) as loop:
        loop.users[b"u1"] = state
        watching = loop.exchange.connect()
        await watching.watch("u1")
        pushes = watching.pushes()
        await watching.store_slates([Pushed("u1", kept)], push=False)
        await watching.announce("web-1", Wanted("u1", {"home": 10}))
        for sold in shown[:2]:
            async with asyncio.timeout(30):
                pushed = await anext(pushes)
            assert pushed is not None
            newest = decode_slate(pushed.slate.body)
            assert newest.cause.kind == "catalog"
            assert sold not in [place.item_id for place in newest.items]
            await loop.database.put_items([msgspec.structs.replace(item, in_stock=False) for item in items
                                           if item.item_id == shown[1]])  # fmt: skip
            await loop.exchange.hint(Hint("catalog", shown[1]))


async def test_what_is_stored_can_be_read(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1"))
    await until(lambda: b"u1" in loop.users)
    body = await reply_to(loop, Inspect("u1", "r2", "web-1", time.time() + 30))
    assert body["state"]["history"][0][1] == "books-1"


async def test_a_visitor_becomes_a_user_with_all_they_did(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1", user=None, visitor_id="v1"))
    await publish(loop, happened("view_item", "books-2", visitor_id="v1"))
    await until(lambda: loop.users.get(b"u1", UserState(epoch="")).visitors == {"v1": "merged"})
    await until(lambda: {touch.item_id for touch in loop.users[b"u1"].history} == {"books-1", "books-2"})
    await publish(loop, happened("view_item", "books-3", user=None, visitor_id="v1"))
    await until(lambda: len(loop.users[b"u1"].history) == 3)
    assert loop.users[b"v1"].history == ()


async def test_denied_consent_turns_the_list_into_the_popular_one_and_keeps_nothing(loop: Local) -> None:
    async with Screen(loop) as screen:
        await publish(loop, *(happened("view_item", f"camping-{n}") for n in range(3)))
        await until(lambda: screen.categories().count("Camping") >= 5)
        await publish(loop, happened("view_item", "camping-4", consent=Consent(personalization_storage="denied")))
        await until(lambda: loop.users[b"u1"].consent is False)
        version = loop.users[b"u1"].version
        await until(lambda: screen.last.version == version)
        assert {place.reason.kind for place in screen.last.items} <= {"popular", "new", "popular_in_category"}
        assert loop.users[b"u1"].history == ()
    _, denied = await loop.exchange.known([], ["u1"])
    assert denied == {"u1"}


async def receipted(loop: Local, erasure_id: str) -> set[str]:
    """The stores that have a line on the receipt."""
    receipt = await loop.database.get_erasure(erasure_id)
    assert receipt is not None
    return {step["store"] for step in receipt.steps}


async def test_an_erased_user_is_gone_and_late_events_do_not_bring_them_back(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1", visitor_id="v1"))
    await until(lambda: b"v1" in loop.users)
    at = time.time()
    await loop.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(at))
    await publish(loop, happened(ERASE, at=at, event_id="er1"))
    await until(lambda: b"u1" not in loop.users and b"v1" not in loop.users)
    await publish(loop, happened("view_item", "books-2", at=at - 60), happened("view_item", "books-3", user="other"))
    await until(lambda: b"other" in loop.users)
    assert b"u1" not in loop.users
    async with asyncio.timeout(30):
        while not await receipted(loop, "er1") >= {"state table and changelog", "redis", "counters"}:
            await asyncio.sleep(0.01)
    await publish(loop, happened("view_item", "books-4", at=at + 60))
    await until(lambda: b"u1" in loop.users)  # whoever comes back afterwards starts anew
    assert [touch.item_id for touch in loop.users[b"u1"].history] == ["books-4"]


@pytest.mark.parametrize(
    "value",
    [
        b"{",
        b"[]",
        b'{"event":"view_item"}',
        b"\xff\xfe",
        b'{"event":"no_such","event_id":"x","user_id":"u1"}',
        b'{"event":"view\\u0000","event_id":"x","user_id":"u1"}',
        b'{"event":"search","event_id":"x","user_id":"u1","received_ts":"0001-01-01T00:00:00+05:00"}',
        b'{"event":"$erase","event_id":"x","user_id":"u1","context":{"visitor":"%s"}}' % (b"x" * 300),
    ],
)
async def test_a_poison_record_goes_to_the_dead_letters_and_everything_else_flows(loop: Local, value: bytes) -> None:
    await loop.log.publish("behavior", "u1", value)
    await publish(loop, happened("view_item", "books-1"))
    await until(lambda: b"u1" in loop.users)
    async for records in loop.log.tail("dead-letters"):
        letter = msgspec.json.decode(records[0].value or b"")
        break
    assert (letter["topic"], letter["reason"] in ("malformed", "failed")) == ("behavior", True)
    assert base64.b64decode(letter["payload_base64"]) == value


async def test_an_event_of_a_kafka_producer_without_times_gets_the_brokers(loop: Local) -> None:
    raw = b'{"event":"view_item","event_id":"k1","user_id":"u1","items":[{"item_id":"books-1"}]}'
    await loop.log.publish("behavior", "u1", raw)
    await until(lambda: b"u1" in loop.users)
    assert loop.users[b"u1"].events_through == pytest.approx(time.time(), abs=30)


async def test_what_a_producer_dates_far_ahead_ends_popularity_for_nobody(loop: Local) -> None:
    await publish(loop, happened("view_item", "books-1"))
    await until(lambda: loop.metrics.counted._value.get() == 1)
    counters = loop.deps.requests._trail_of.__self__  # type: ignore[attr-defined]
    before, now = counters.tables.popularity[:1].tolist(), time.time()
    ahead = now + 10 * 365 * 86_400
    await publish(loop, happened("view_item", "toys-1", user="u1", at=ahead))  # received then: to the dead letters
    dated = happened("view_item", "toys-2", user="u1", at=now)
    await publish(loop, msgspec.structs.replace(dated, event_ts=instant(ahead)))  # it happened before it was received
    await until(lambda: loop.metrics.counted._value.get() == 2 and len(loop.users[b"u1"].history) == 2)
    assert counters.learned_through == loop.users[b"u1"].events_through == pytest.approx(now)
    assert counters.tables.popularity[:1].tolist() == before
    assert loop.metrics.dead.labels(reason="malformed")._value.get() == 1


async def test_a_changed_item_moves_the_lists_that_show_it(loop: Local) -> None:
    async with Screen(loop) as screen:
        shown = screen.last.items[0].item_id
        item = next(item for item in shop() if item.item_id == shown)
        await loop.database.put_items([msgspec.structs.replace(item, in_stock=False)])
        await loop.exchange.hint(Hint("catalog", shown))
        await until(lambda: screen.last.cause.kind == "catalog")
        assert shown not in [place.item_id for place in screen.last.items]


async def test_a_new_product_fills_a_list_that_is_shorter_than_asked_for(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path), []) as loop, Screen(loop, n=5) as screen:
        assert screen.last.items == ()
        await loop.database.put_items(shop()[:2])
        await loop.exchange.hint(Hint("catalog", ""))
        await until(lambda: len(screen.last.items) == 2)
        await loop.database.put_items(shop()[2:9])
        await loop.exchange.hint(Hint("catalog", ""))
        await until(lambda: len(screen.last.items) == 5)
        assert screen.last.cause.kind == "catalog"


async def test_lists_about_two_products_are_made_and_kept_apart(loop: Local) -> None:
    async with Screen(loop) as screen:
        await screen.exchange.announce("web-1", Wanted("u1", {"home": 10, "pdp/books-1": 100, "pdp/toys-1": 100}))
        for product in ("books-1", "toys-1"):
            await ask(loop, Refresh("u1", Cause("request"), "pdp", 100, item_id=product))
        await until(lambda: loop.users[b"u1"].version == 3)
        await publish(loop, happened("view_item", "audio-1"))

        def newest() -> dict[str, Slate]:
            kept = loop.exchange._slates_of("u1")
            return {key: decode_slate(one.body) for key, one in kept.items() if one.position.version == 4}

        await until(lambda: set(newest()) == {"home", "pdp/books-1", "pdp/toys-1"})
        assert newest()["pdp/books-1"].placement == "pdp"
        shown = {key: {place.item_id for place in one.items} for key, one in newest().items()}
        assert shown["pdp/toys-1"] - shown["pdp/books-1"] == {"books-1"}  # each is beside its own product
        assert shown["pdp/books-1"] - shown["pdp/toys-1"] == {"toys-1"}
        await reply_to(loop, SlateRequest("u1", "r1", "web-1", time.time() + 30, "pdp", 5, "garden-1"))
        assert set(loop.exchange._slates_of("u1")) == {"home", "pdp/books-1", "pdp/toys-1"}  # a GET leaves no trace


async def test_the_states_of_who_has_not_come_for_long_are_dropped_and_nobody_elses(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path, idle_days=30), shop()) as loop, Screen(loop, "looks"):
        for user in ("away", "here", "denied"):
            await publish(loop, happened("view_item", "books-1", user=user))
        at_home = happened("view_item", "books-2", user="away")
        await publish(loop, msgspec.structs.replace(at_home, visitor_id="visitor"))
        await until(lambda: b"away" in loop.users and loop.users[b"away"].visitors == {"visitor": "merged"})
        no = Event(event=CONSENT, event_id="no", user_id="denied", consent=Consent(personalization_storage="denied"))
        await publish(
            loop, msgspec.structs.replace(no, event_ts=instant(time.time()), received_ts=instant(time.time()))
        )
        await ask(loop, Refresh("peeked", Cause("request"), "home", 10))
        await until(lambda: {b"away", b"here", b"denied", b"peeked"} <= loop.users.keys())
        await until(lambda: loop.users[b"denied"].consent is False)
        await loop.exchange.connect().announce("web-1", Wanted("peeked", {}))  # and has gone
        await until(lambda: "peeked" not in list(loop.deps.requests._presence))
        long_ago = time.time() - 31 * 86_400
        for key in (b"away", b"denied"):
            loop.users[key] = msgspec.structs.replace(loop.users[key], received_through=long_ago, consent_at=long_ago)
        assert await loop.deps.idling.turn(time.time()) == 2
        await until(lambda: loop.users.keys() == {b"away", b"here", b"denied", b"looks", b"visitor"})
        await until(lambda: loop.metrics.expired._value.get() == 2)
        away = loop.users[b"away"]
        assert away.visitors == {"visitor": "merged"}  # an erasure has to find all of them, and to know
        assert time.time() - 60 < away.began  # what the weights may have learned from
        assert away.is_user
        assert (away.history, away.categories, away.ring, away.applied) == ((), {}, b"", 0)
        assert await loop.deps.idling.turn(time.time()) == 0


async def test_who_comes_back_before_they_are_dropped_stays(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path, idle_days=30), shop()) as loop:
        await publish(loop, happened("view_item", "books-1"))
        await ask(loop, Expire("u1"))
        await ask(loop, Expire("nobody"))
        await publish(loop, happened("view_item", "books-2"))
        await until(lambda: loop.users[b"u1"].applied == 2)
