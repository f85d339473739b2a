"""How a list takes the place of another in a running worker: what stays, for how long, and what is told of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rec.errors import Unavailable
from rec.events import Consent
from rec.ports import Pushed, StoredSlate
from rec.requests import SlateRequest
from rec.slates import Position, Slate, encode_slate
from rec.store.memory import MemoryExchange
from tests.loop.local import Local, local_worker, loop_settings
from tests.loop.test_feedback import examples, on
from tests.loop.test_loop import Screen, ask, happened, publish, shop, until


def ids(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items]


def staying(slate: Slate, word: str) -> list[str]:
    return [place.item_id for place in slate.items if word in place.reason.policy]


def kept_on(screen: Screen) -> bool:
    return bool(staying(screen.last, "kept"))


async def test_where_the_tail_is_swapped_the_first_places_stay_and_the_rest_follows(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "tail", "keep_places": 3})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        before = screen.last
        await publish(loop, *(happened("view_item", f"camping-{n}") for n in range(3)))
        await until(lambda: screen.categories().count("Camping") >= 4)
        assert ids(screen.last)[:3] == ids(before)[:3] == staying(screen.last, "kept")
        assert len(set(ids(screen.last))) == len(screen.last.items) == 10
        assert screen.last.version > before.version
        assert [place.propensity for place in screen.last.items[:3]] == [1.0] * 3
        assert [place.source for place in screen.last.items[:3]] != ["rule"] * 3


async def test_what_may_not_be_listed_any_more_stays_nowhere(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "tail", "keep_places": 4})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        first, second, third = ids(screen.last)[:3]
        await publish(loop, happened("not_interested", first))
        await until(lambda: len(screen.slates) > 1)
        assert first not in ids(screen.last)
        await publish(loop, happened("purchase", second))
        await until(lambda: second not in ids(screen.last))
        item = next(item for item in shop() if item.item_id == third)
        await loop.database.put_items([msgspec.structs.replace(item, in_stock=False)])
        await until(lambda: third not in ids(screen.last))
        await publish(loop, last := happened("view_item", "camping-1"))
        await until(lambda: screen.last.cause.event_id == last.event_id)
        assert not {first, second, third} & set(ids(screen.last))


async def test_a_list_that_waits_has_the_new_position_at_once_and_the_new_items_within_its_time(
    tmp_path: Path,
) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "wait", "wait_s": 0.4})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        before, clock = screen.last, asyncio.get_running_loop()
        event = happened("view_item", "camping-0")
        await publish(loop, event)
        await until(lambda: len(screen.slates) > 1)
        came, stays = clock.time(), screen.last
        assert ids(stays) == ids(before) == staying(stays, "waiting")
        assert stays.version == loop.users[b"u1"].version
        await publish(loop, happened("view_item", "camping-1"), last := happened("view_item", "camping-2"))
        await until(lambda: len(screen.slates) > 2)
        assert clock.time() - came >= 0.3
        assert len(screen.slates) == 3  # what came meanwhile is in it
        assert screen.last.cause.event_id == last.event_id
        assert not staying(screen.last, "waiting")
        assert screen.categories().count("Camping") >= 5
        assert screen.last.version == loop.users[b"u1"].version


async def test_the_list_comes_where_nothing_else_happens_too(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "wait", "wait_s": 0.1})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await publish(loop, event := happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 2)
        _, stays, after = screen.slates
        assert staying(stays, "waiting")
        assert not staying(after, "waiting")
        assert after.version > stays.version
        assert after.cause.event_id == event.event_id


async def test_the_decision_and_the_one_list_after_it_are_told_with_what_they_earned(tmp_path: Path) -> None:
    settings = loop_settings(
        tmp_path, strategy={"refresh": "wait", "wait_s": 0.2, "temperature": 0.3}, feedback_window_s=0.2
    )
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await publish(loop, happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 2)
        stays, after = screen.slates[1:]
        await publish(loop, on(stays, "view_item_list", *ids(stays)), on(after, "select_item", ids(after)[0]))
        await until(lambda: {stays.slate_id, after.slate_id} <= {each.slate_id for each in examples(loop.log)})
        told = {each.slate_id: each for each in examples(loop.log)}
        decided, then = told[stays.slate_id].decision, told[after.slate_id].decision
        assert decided is not None
        assert then is not None
        assert (decided.action, decided.root, decided.propensity) == ("wait", "", 1.0)
        assert (then.action, then.root, then.context) == ("wait", stays.slate_id, decided.context)
        drawn, first = told[after.slate_id].draw, told[after.slate_id].places[0]
        assert drawn is not None
        assert (drawn.places, drawn.temperature) == (10, 0.3)
        assert set(ids(after)) <= set(drawn.item_ids)
        assert first.brand == next(item.brand for item in shop() if item.item_id == first.item_id)
        assert sum(told[after.slate_id].merit["brand"].values()) > 0.99


async def test_a_learned_refresh_is_drawn_by_the_chance_that_is_told(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "learned", "wait_s": 0.05}, feedback_window_s=0.2)
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await publish(loop, event := happened("view_item", "camping-0"))
        await until(lambda: screen.last.cause.event_id == event.event_id)
        await publish(loop, on(screen.last, "view_item_list", *ids(screen.last)))
        await until(lambda: examples(loop.log))
        decided = examples(loop.log)[0].decision
        assert decided is not None
        assert 0.2 < decided.propensity < 0.5


def decisions(loop: Local) -> dict[tuple[str, str], float]:
    """(action, placement) → how often, as the worker's metric has it."""
    [family] = loop.metrics.refreshes.collect()
    counts = [sample for sample in family.samples if sample.name.endswith("_total")]
    return {(one.labels["action"], one.labels["placement"]): one.value for one in counts}


async def test_each_decision_is_counted_once_and_the_list_that_follows_a_wait_is_no_decision(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "wait", "wait_s": 0.1})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        assert decisions(loop) == {}  # what was asked for comes whole
        await publish(loop, happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 2)
        assert [bool(staying(slate, "waiting")) for slate in screen.slates] == [False, True, False]
        await until(lambda: decisions(loop) == {("wait", "home"): 1.0})


async def test_a_placement_whose_name_a_client_made_up_has_no_label_of_its_own(tmp_path: Path) -> None:
    settings = loop_settings(
        tmp_path, strategy={"refresh": "tail", "keep_places": 3}, placements={"magazine": {"follows": "shopper"}}
    )
    async with local_worker(settings, shop()) as loop:
        for at, placement in enumerate(("magazine", "made.up", "another")):
            async with Screen(loop, f"u{at}", placement=placement) as screen:
                await publish(loop, *(happened("view_item", f"camping-{n}", user=f"u{at}") for n in range(3)))
                await until(partial(kept_on, screen))
        await until(lambda: decisions(loop).keys() == {("tail", "magazine"), ("tail", "other")})
        assert decisions(loop)["tail", "other"] >= 2


async def test_where_every_list_comes_whole_nothing_is_decided_and_nothing_counted(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path), shop()) as loop, Screen(loop) as screen:
        await publish(loop, *(happened("view_item", f"camping-{n}") for n in range(3)))
        await until(lambda: screen.categories().count("Camping") >= 5)
        assert decisions(loop) == {}


async def test_without_consent_nothing_is_decided(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "tail", "keep_places": 3})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await publish(loop, happened("view_item", "camping-0"))
        await until(lambda: staying(screen.last, "kept"))
        denied = Consent(personalization_storage="denied")
        await publish(loop, happened("view_item", "camping-1", consent=denied))
        await until(lambda: not staying(screen.last, "kept"))


async def test_a_list_that_waits_for_a_worker_that_is_gone_is_made_anew_by_the_next(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path), shop()) as loop, Screen(loop) as screen:
        await publish(loop, happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 1)
        waits = as_left_behind(loop, screen.last)
        await screen.exchange.store_slates([Pushed("u1", waits)])
        await until(lambda: len(screen.slates) > 3)
        assert not staying(screen.last, "waiting")


def as_left_behind(loop: Local, slate: Slate) -> StoredSlate:
    """The list as it stands at the next position, all of it waiting."""
    state = loop.users[b"u1"]
    loop.users[b"u1"] = msgspec.structs.replace(state, version=state.version + 1)
    items = tuple(
        msgspec.structs.replace(place, reason=msgspec.structs.replace(place.reason, policy=("waiting",)))
        for place in slate.items
    )
    left = msgspec.structs.replace(slate, items=items, version=state.version + 1)
    return StoredSlate("home", Position(left.epoch, left.version), len(items), encode_slate(left))


async def test_a_list_that_stays_whole_has_no_room_for_a_new_item(tmp_path: Path) -> None:
    strategy = {"refresh": "wait", "wait_s": 0.1, "cold_place": 2, "temperature": 0.1}
    async with local_worker(loop_settings(tmp_path, strategy=strategy), shop()) as loop, Screen(loop) as screen:
        before = screen.last
        await publish(loop, happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 2)
        assert ids(screen.slates[1]) == ids(before)
        assert not staying(screen.last, "waiting")


async def test_what_was_listed_before_the_last_word_on_consent_stays_nowhere(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"refresh": "tail", "keep_places": 10})
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await publish(loop, *(happened("view_item", f"camping-{n}") for n in range(3)))
        await until(lambda: len(screen.slates) > 1)
        for choice in ("denied", "granted"):
            said = happened("search")
            await publish(
                loop, msgspec.structs.replace(said, consent=Consent(personalization_storage=choice), search_term=None)
            )
        await publish(loop, last := happened("view_item", "music-1"))
        await until(lambda: screen.last.cause.event_id == last.event_id)
        assert not staying(screen.last, "kept")


async def test_a_list_that_waits_goes_in_its_time_though_there_is_always_another_to_be_made(tmp_path: Path) -> None:
    class Slow(ThreadPoolExecutor):
        """Each batch of lists takes as long as five times the next request."""

        def submit(self, work: Callable[..., Any], /, *args: Any, **more: Any) -> Future[Any]:
            def slowly() -> Any:
                time.sleep(0.05)
                return work(*args, **more)

            return super().submit(slowly)

    settings = loop_settings(tmp_path, strategy={"refresh": "wait", "wait_s": 0.2}, sweep_interval_s=60)
    with Slow(1) as scoring:
        scoring.submit(int).result()
        async with local_worker(settings, shop(), scoring=scoring) as loop, Screen(loop) as screen:
            asked = 0

            async def others() -> None:
                nonlocal asked
                while True:
                    asked += 1
                    await ask(loop, SlateRequest(f"o{asked}", f"r{asked}", "web-1", time.time() + 60, n=5))
                    await asyncio.sleep(0.01)

            load = asyncio.create_task(others())
            await until(lambda: asked > 20)
            clock, event = asyncio.get_running_loop(), happened("view_item", "camping-0")
            await publish(loop, event)
            await until(lambda: len(screen.slates) > 1)
            came, begun = clock.time(), asked
            assert staying(screen.last, "waiting")
            await until(lambda: len(screen.slates) > 2)
            took = clock.time() - came
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
        assert not staying(screen.last, "waiting")
        assert screen.last.cause.event_id == event.event_id
        assert 0.15 < took < 2.0
        assert asked > begun + 5  # nobody stopped asking meanwhile


async def test_a_list_that_could_not_be_stored_while_it_was_to_stay_is_followed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, there = list[bool](), MemoryExchange.store_slates

    async def store(self: MemoryExchange, slates: Sequence[Pushed], push: bool = True) -> None:
        if away:
            away.pop()
            raise Unavailable("Redis is away")
        await there(self, slates, push)

    monkeypatch.setattr(MemoryExchange, "store_slates", store)
    settings = loop_settings(tmp_path, strategy={"refresh": "wait", "wait_s": 0.1}, sweep_interval_s=60)
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        before = screen.last
        away.append(True)
        await publish(loop, event := happened("view_item", "camping-0"))
        await until(lambda: len(screen.slates) > 1 and not staying(screen.last, "waiting"))
        assert not away
        assert screen.last.cause.event_id == event.event_id
        assert screen.last.version > before.version
        assert screen.last.version == loop.users[b"u1"].version
