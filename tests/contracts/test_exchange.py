"""The exchange: the newest slate is kept and pushed, presence is merged, marks expire, nothing else leaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import TypeVar

import msgspec
import pytest

from rec.ports import Exchange, Hint, Pushed, Reply, StoredSlate, Wanted
from rec.protocol import MAX_USER_SCREENS
from rec.slates import Position
from rec.store.presence import KEPT_SLATES
from tests.contracts.conftest import ExchangeWorld

T = TypeVar("T")
DAY_S = 86_400


def slate(version: int, user_id: str = "u1", placement: str = "home", epoch: str = "a", n: int = 20) -> Pushed:
    body = msgspec.json.encode({"user_id": user_id, "version": version})
    return Pushed(user_id, StoredSlate(placement, Position(epoch, version), n, body))


async def following(messages: AsyncIterator[T]) -> T:
    async with asyncio.timeout(30):
        return await anext(messages)


async def through(messages: AsyncIterator[T], last: T) -> list[T]:
    """Messages up to `last`, that one included."""
    found = [await following(messages)]
    while found[-1] != last:
        found.append(await following(messages))
    return found


# ---------------------------------------------------------------- slates
async def test_the_latest_slate_comes_back_byte_for_byte(exchange: Exchange) -> None:
    body = '{"title":"Zelt ⛺\\n","n":[1,2]}'.encode() + b" " * 100_000
    stored = StoredSlate("search", Position('e"p\noch', 2**53 - 1), 7, body)
    await exchange.store_slates([Pushed("Jürgen:1", stored)])
    assert await exchange.latest("Jürgen:1", "search") == stored
    assert await exchange.latest("Jürgen:1", "home") is None
    assert await exchange.latest("Jürgen", "search") is None


@pytest.mark.parametrize(
    ("kept", "offered", "newest"),
    [
        (slate(2), slate(3), slate(3)),
        (slate(2), slate(2, n=5), slate(2)),
        (slate(2), slate(1), slate(2)),
        (slate(9), slate(10), slate(10)),  # as numbers, not as text
        (slate(9), slate(1, epoch="b"), slate(1, epoch="b")),
    ],
)
async def test_only_a_larger_version_or_another_epoch_replaces_a_slate(
    exchange: Exchange, kept: Pushed, offered: Pushed, newest: Pushed
) -> None:
    await exchange.store_slates([kept])
    await exchange.store_slates([offered])
    assert await exchange.latest("u1", "home") == newest.slate


async def test_of_several_slates_for_one_place_stored_at_once_the_newest_is_kept(exchange: Exchange) -> None:
    await exchange.store_slates([slate(3), slate(5), slate(4)])
    assert await exchange.latest("u1", "home") == slate(5).slate


async def test_shuffled_stores_from_several_processes_end_at_the_newest_and_never_push_backwards(
    world: ExchangeWorld, exchange: Exchange, other: Exchange
) -> None:
    users = [f"u{number}" for number in range(5)]
    pushes = exchange.pushes()
    for user_id in users:
        await exchange.watch(user_id)
    offers = [slate(version, user_id) for version in range(1, 41) for user_id in users]
    Random(7).shuffle(offers)
    halves = offers[::2], offers[1::2]
    await asyncio.gather(
        *(each.store_slates(half[at : at + 7]) for each, half in zip((exchange, other), halves, strict=True)
          for at in range(0, 100, 7))
    )  # fmt: skip
    assert [await other.latest(user_id, "home") for user_id in users] == [slate(40, u).slate for u in users]
    seen: dict[str, list[int]] = {}
    while len(newest := [v[-1] for v in seen.values()]) < 5 or set(newest) != {40}:
        pushed = await following(pushes)
        assert pushed is not None
        seen.setdefault(pushed.user_id, []).append(pushed.slate.position.version)
    assert all(versions == sorted(set(versions)) for versions in seen.values())


async def test_a_watched_user_is_pushed_what_was_kept_and_nothing_else(exchange: Exchange, other: Exchange) -> None:
    pushes = exchange.pushes()
    await exchange.watch("u1")
    await other.store_slates([slate(2), slate(2, "u2"), slate(1, placement="cart")])
    await other.store_slates([slate(1)])  # stale
    await other.store_slates([slate(3)], push=False)
    await other.store_slates([slate(4)])
    assert await through(pushes, slate(4)) == [slate(2), slate(1, placement="cart"), slate(4)]


async def test_who_is_no_longer_watched_is_no_longer_pushed(exchange: Exchange, other: Exchange) -> None:
    pushes = exchange.pushes()
    await exchange.watch("u1")
    await exchange.watch("u2")
    await exchange.unwatch("u1")
    await exchange.unwatch("nobody")
    await other.store_slates([slate(1), slate(1, "u2")])
    assert await following(pushes) == slate(1, "u2")
    await exchange.watch("u1")
    await other.store_slates([slate(2)])
    assert await following(pushes) == slate(2)


async def test_every_process_that_watches_a_user_is_pushed(exchange: Exchange, other: Exchange) -> None:
    streams = exchange.pushes(), exchange.pushes(), other.pushes()
    await exchange.watch("u1")
    await other.watch("u1")
    await other.store_slates([slate(1)])
    assert [await following(stream) for stream in streams] == [slate(1)] * 3


async def test_many_slates_are_stored_in_one_go(exchange: Exchange) -> None:
    many = [slate(version, f"u{version}") for version in range(1, 601)]
    await exchange.store_slates(many)
    places = [(pushed.user_id, "home") for pushed in many]
    assert await exchange.positions([*places, ("nobody", "home")]) == [*(p.slate.position for p in many), None]
    await exchange.store_slates([])
    assert await exchange.positions([]) == []


async def test_a_slate_is_forgotten_after_a_day_without_a_successor(world: ExchangeWorld, exchange: Exchange) -> None:
    await exchange.store_slates([slate(1), slate(1, placement="cart")])
    world.pass_time(DAY_S - 10)
    await exchange.store_slates([slate(2)])
    world.pass_time(20)
    assert await exchange.latest("u1", "home") == slate(2).slate
    assert await exchange.latest("u1", "cart") is None


async def test_lists_about_products_are_kept_apart_whatever_the_ids_look_like(exchange: Exchange) -> None:
    one, other = slate(1, "u1", "pdp/a:b"), slate(1, "b:u1", "pdp/a")
    await exchange.store_slates([one, other, slate(7, "u1", "pdp")])
    assert await exchange.latest("u1", "pdp/a:b") == one.slate
    assert await exchange.latest("b:u1", "pdp/a") == other.slate
    assert await exchange.positions([("u1", "pdp/a"), ("u1", "pdp")]) == [None, Position("a", 7)]


async def test_a_list_about_a_product_is_forgotten_soon(world: ExchangeWorld, exchange: Exchange) -> None:
    await exchange.store_slates([slate(1), slate(1, placement="pdp/a"), slate(1, placement="pdp/b")])
    world.pass_time(500)
    await exchange.store_slates([slate(2, placement="pdp/b")])
    world.pass_time(200)
    await exchange.store_slates([slate(3, placement="pdp/b")])
    assert set((await exchange.keys_of("u1"))["slates"]) == {"home", "pdp/b"}
    assert await exchange.forget("u1") == 2


async def test_of_one_user_so_many_slates_are_kept_and_those_that_would_expire_first_go(
    exchange: Exchange, other: Exchange
) -> None:
    """Whatever placements and products are invented; the key of what goes is found, whatever its name looks like."""
    await exchange.store_slates([slate(1, "u2"), slate(1, "u:1 ü"), slate(1, "u:1 ü", "cart")])
    for number in range(3 * KEPT_SLATES):
        await exchange.store_slates([slate(1, "u:1 ü", f"pdp/ä %:{number}/~\n-_.")])
    kept = (await other.keys_of("u:1 ü"))["slates"]
    assert len(kept) == KEPT_SLATES
    assert {"home", "cart", f"pdp/ä %:{3 * KEPT_SLATES - 1}/~\n-_."} <= set(kept)
    assert await other.latest("u:1 ü", "pdp/ä %:0/~\n-_.") is None
    assert await exchange.forget("u:1 ü") == KEPT_SLATES
    assert await exchange.latest("u2", "home") == slate(1, "u2").slate


# ---------------------------------------------------------------- replies
async def test_a_reply_reaches_the_process_that_asked_alone(exchange: Exchange, other: Exchange) -> None:
    mine, theirs = exchange.replies("web 1"), other.replies("web 2")
    async with asyncio.timeout(30):
        answer, waiting = None, asyncio.ensure_future(anext(mine))
        while not waiting.done():  # a reply to somebody who does not listen yet is lost
            await other.reply("web 1", Reply('r"1', b'{"slate":{}}\n'))
            await asyncio.wait([waiting], timeout=0.05)
        answer = await waiting
    assert answer == Reply('r"1', b'{"slate":{}}\n')
    async with asyncio.timeout(30):
        waiting = asyncio.ensure_future(anext(theirs))
        while not waiting.done():
            await exchange.reply("web 2", Reply("r2", b"{}"))
            await asyncio.wait([waiting], timeout=0.05)
    assert (await waiting).request_id == "r2"


# ---------------------------------------------------------------- presence
async def test_who_is_connected_to_several_nodes_wants_the_larger_list_of_each_placement(
    exchange: Exchange, other: Exchange
) -> None:
    await exchange.announce("n1", Wanted("u1", {"home": 5, "cart/tent": 3}))
    await other.announce("n2", Wanted("u1", {"home": 9}))
    await other.announce("n2", Wanted("u2", {"home": 1}))
    assert sorted(await exchange.online()) == [
        Wanted("u1", {"home": 9, "cart/tent": 3}),
        Wanted("u2", {"home": 1}),
    ]
    await other.announce("n2", Wanted("u1", {}))
    await exchange.announce("n1", Wanted("u1", {"home": 5}))
    assert sorted(await other.online()) == [Wanted("u1", {"home": 5}), Wanted("u2", {"home": 1})]
    await exchange.announce("n1", Wanted("u1", {}))
    await other.retire("n2")
    assert await exchange.online() == []


async def test_announcements_arrive_merged_as_they_happen(exchange: Exchange, other: Exchange) -> None:
    arrivals = exchange.arrivals()
    assert await following(arrivals) is None  # from now on none is missed
    await other.announce("n1", Wanted("u1", {"home": 5}))
    await exchange.announce("n2", Wanted("u1", {"home": 9, "pdp/tent": 3}))
    await exchange.announce("n2", Wanted("u1", {}))
    await other.announce("n1", Wanted("u1", {}))
    assert [await following(arrivals) for _ in range(4)] == [
        Wanted("u1", {"home": 5}),
        Wanted("u1", {"home": 9, "pdp/tent": 3}),
        Wanted("u1", {"home": 5}),
        Wanted("u1", {}),
    ]
    await other.announce("n1", Wanted("u1", {"home": 5}))
    await other.retire("n1")
    assert await following(arrivals) == Wanted("u1", {"home": 5})
    assert await following(arrivals) is None  # look who is left


async def test_a_user_has_so_many_screens_over_all_nodes_and_may_always_show_less(
    exchange: Exchange, other: Exchange
) -> None:
    half = {f"p{number}": 5 for number in range(MAX_USER_SCREENS - 1)}
    assert await exchange.announce("n1", Wanted("u1", half))
    assert await other.announce("n2", Wanted("u1", {"p0": 9, "pdp/ä": 3}))
    arrivals = exchange.arrivals()
    assert await following(arrivals) is None
    assert not await other.announce("n2", Wanted("u1", {"p0": 9, "pdp/ä": 3, "one more": 1}))
    assert not await exchange.announce("n1", Wanted("u1", {**half, "one more": 1}))
    assert await exchange.announce("n1", Wanted("u2", {**half, "another's": 1}))
    assert await following(arrivals) == Wanted("u2", {**half, "another's": 1})  # nothing was said of what was refused
    await other.tend("n2")
    assert Wanted("u1", {**half, "p0": 9, "pdp/ä": 3}) in await exchange.online()
    assert await other.announce("n2", Wanted("u1", {"pdp/b": 3}))  # another one instead
    assert await other.announce("n2", Wanted("u1", {}))
    assert await exchange.announce("n1", Wanted("u1", {**half, "one more": 1}))


async def test_announcements_of_a_node_that_is_not_tended_expire(
    world: ExchangeWorld, exchange: Exchange, other: Exchange
) -> None:
    await exchange.announce("tended", Wanted("u1", {"home": 5}))
    await other.announce("dead", Wanted("u2", {"home": 5}))
    for _ in range(3):
        world.pass_time(20)
        await exchange.tend("tended")
    assert [wanted.user_id for wanted in await exchange.online()] == ["u1"]


async def test_tending_brings_back_announcements_that_were_lost(
    world: ExchangeWorld, exchange: Exchange, other: Exchange
) -> None:
    await exchange.announce("n1", Wanted("u1", {"pdp/tent": 5}))
    await exchange.announce("n1", Wanted("u2", {"home": 5}))
    await exchange.announce("n1", Wanted("u2", {}))
    world.pass_time(100)
    assert await other.online() == []
    arrivals = other.arrivals()
    assert await following(arrivals) is None
    await exchange.tend("n1")
    assert await following(arrivals) is None
    assert await other.online() == [Wanted("u1", {"pdp/tent": 5})]


# ---------------------------------------------------------------- remembered ids, consent
async def test_remembered_ids_are_known_until_they_expire(world: ExchangeWorld, exchange: Exchange) -> None:
    assert await exchange.remember(["e1", "e2"], 3_600) == set()
    assert await exchange.remember(["e2", "e3", "e1"], 60) == {"e1", "e2"}
    assert await exchange.remember([], 60) == set()
    assert await exchange.known(["e1", "e2", "e3", "e4"], []) == ({"e1", "e2", "e3"}, set())
    world.pass_time(120)
    assert await exchange.known(["e1", "e3"], ["u1"]) == ({"e1"}, set())
    assert await exchange.known([], []) == (set(), set())


async def test_who_denied_consent_is_known_until_they_grant_it(exchange: Exchange, other: Exchange) -> None:
    await exchange.set_denied("u1", True)
    await exchange.set_denied("u2", True)
    await other.set_denied("u2", False)
    assert await other.known([], ["u1", "u2", "u3"]) == (set(), {"u1"})
    await other.set_all_denied(["u2", "u3"], True)
    await other.set_all_denied([], True)
    assert await exchange.known([], ["u1", "u2", "u3"]) == (set(), {"u1", "u2", "u3"})
    await other.set_all_denied(["u1", "u3", "nobody"], False)
    assert await exchange.known([], ["u1", "u2", "u3"]) == (set(), {"u2"})
    await exchange.set_denied("u1", True)
    await exchange.set_denied("u2", False)
    assert await other.known(["e"], ["u1"]) == (set(), {"u1"})


# ---------------------------------------------------------------- hints, leases, workers
async def test_a_hint_reaches_everybody(exchange: Exchange, other: Exchange) -> None:
    streams = exchange.hints(), other.hints(), other.hints()
    assert [await following(stream) for stream in streams] == [None, None, None]
    await exchange.hint(Hint("erased", "Jürgen\n"))
    assert [await following(stream) for stream in streams] == [Hint("erased", "Jürgen\n")] * 3


async def test_a_lease_has_one_holder_at_a_time(world: ExchangeWorld, exchange: Exchange, other: Exchange) -> None:
    taken = await asyncio.gather(exchange.lease("sweep", "a", 10), other.lease("sweep", "b", 10))
    assert sorted(taken) == [False, True]
    holder, waiting = ("a", "b") if taken[0] else ("b", "a")
    world.pass_time(6)
    assert await exchange.lease("sweep", holder, 10)  # prolonged
    world.pass_time(6)
    assert not await other.lease("sweep", waiting, 10)
    assert await other.lease("another", waiting, 10)
    world.pass_time(6)
    assert await other.lease("sweep", waiting, 10)


async def test_what_workers_say_of_themselves_holds_for_a_while(
    world: ExchangeWorld, exchange: Exchange, other: Exchange
) -> None:
    await exchange.set_worker_state("w1", "recovering")
    await other.set_worker_state("w2", "ready")
    await exchange.set_worker_state("w1", "ready")
    assert await other.worker_states() == {"w1": "ready", "w2": "ready"}
    world.pass_time(10)
    await exchange.set_worker_state("w1", "ready")
    world.pass_time(10)
    assert await other.worker_states() == {"w1": "ready"}


async def test_what_processes_report_holds_for_a_while_and_the_last_word_counts(
    world: ExchangeWorld, exchange: Exchange, other: Exchange
) -> None:
    assert await exchange.reports() == {}
    await exchange.report("web a", b'{"at":1}')
    await other.report("worker h:1", bytes(range(256)))
    await exchange.report("web a", b'{"at":2}')
    assert await other.reports() == {"web a": b'{"at":2}', "worker h:1": bytes(range(256))}
    assert await other.worker_states() == {}
    world.pass_time(10)
    await exchange.report("web a", b'{"at":3}')
    world.pass_time(10)
    assert await other.reports() == {"web a": b'{"at":3}'}


# ---------------------------------------------------------------- erasure
async def test_what_is_stored_about_a_user_can_be_read_and_removed(exchange: Exchange, other: Exchange) -> None:
    await exchange.store_slates([slate(1), slate(2, placement="pdp/tent"), slate(1, "u2")])
    await exchange.announce("n1", Wanted("u1", {"home": 5}))
    await exchange.set_denied("u1", True)
    assert await other.keys_of("u1") == {
        "slates": {"home": {"user_id": "u1", "version": 1}, "pdp/tent": {"user_id": "u1", "version": 2}},
        "on_screen": {"home": 5},
        "personalization_denied": True,
    }
    assert await exchange.forget("u1") == 4
    assert await other.keys_of("u1") == {"slates": {}, "on_screen": {}, "personalization_denied": False}
    assert await exchange.forget("u1") == 0
    await exchange.tend("n1")
    assert await exchange.online() == []
    assert await exchange.latest("u2", "home") == slate(1, "u2").slate


async def test_the_slates_of_a_user_can_be_removed_alone(exchange: Exchange, other: Exchange) -> None:
    await exchange.store_slates([slate(1), slate(2, placement="cart"), slate(1, "u2")])
    await exchange.announce("n1", Wanted("u1", {"home": 5}))
    await exchange.set_denied("u1", True)
    assert await other.forget_slates("u1") == 2
    assert await other.forget_slates("u1") == 0
    kept = await other.keys_of("u1")
    assert kept == {"slates": {}, "on_screen": {"home": 5}, "personalization_denied": True}
    assert await exchange.latest("u2", "home") == slate(1, "u2").slate


# ---------------------------------------------------------------- the connection
async def test_streams_end_when_the_exchange_is_left(world: ExchangeWorld) -> None:
    async with world.connect() as exchange:
        streams = [exchange.pushes(), exchange.replies("n"), exchange.arrivals(), exchange.hints()]
    for stream in streams:
        async with asyncio.timeout(30):
            assert [message async for message in stream] in ([], [None])


async def test_a_cancelled_reader_ends_and_another_reads_on(exchange: Exchange) -> None:
    pushes = exchange.pushes()
    await exchange.watch("u1")
    reading = asyncio.create_task(following(pushes))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await exchange.store_slates([slate(1)])
    assert await following(pushes) == slate(1)


async def test_the_exchanges_clock_goes_on_in_seconds_since_1970(exchange: Exchange) -> None:
    first = await exchange.time()
    assert first > 1_700_000_000
    assert await exchange.time() >= first


async def test_a_ping_takes_some_time(exchange: Exchange) -> None:
    assert 0 <= await exchange.ping() < 2
