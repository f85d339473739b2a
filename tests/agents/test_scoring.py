"""agents/scoring.py: in whose thread lists are made."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from agents.scoring import Scoring
from rec.gate import Gate
from rec.recommend import Ask, Brain, World, recommend_many
from rec.slates import Cause
from tests.unit.shop import NOW, shop


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="scoring") as executor:
        yield executor


class Watched(World):
    """A world that remembers from which thread it was looked at."""

    def watch(self) -> list[str]:
        self.threads: list[str] = []
        return self.threads

    def shelf(self, now: float) -> object:  # type: ignore[override]
        self.threads.append(threading.current_thread().name.split("_")[0])
        return super().shelf(now)


def watched() -> tuple[Watched, list[str]]:
    plain = shop()
    world = Watched(plain.catalog, plain.counters, brain=Brain.untaught())
    return world, world.watch()


def asks(n: int) -> list[Ask]:
    return [Ask(f"u{k}", "home", 5, None, Cause("event", f"e{k}"), None) for k in range(n)]


async def test_the_first_lists_are_made_in_the_thread_and_cheap_ones_on_the_loop_from_then_on(
    executor: ThreadPoolExecutor,
) -> None:
    world, threads = watched()
    scoring = Scoring(world, executor, random.Random(1), inline_s=10.0)
    await scoring.make(asks(2), NOW)
    await scoring.make(asks(1), NOW)
    await scoring.make(asks(1), NOW)
    assert threads == ["scoring", "MainThread", "MainThread"]


async def test_lists_that_cost_too_much_stay_in_the_thread(executor: ThreadPoolExecutor) -> None:
    world, threads = watched()
    scoring = Scoring(world, executor, random.Random(1), inline_s=0.0)
    for _ in range(3):
        await scoring.make(asks(2), NOW)
    assert threads == ["scoring"] * 3


async def test_what_a_new_version_costs_is_found_out_in_the_thread(executor: ThreadPoolExecutor) -> None:
    world, threads = watched()
    scoring = Scoring(world, executor, random.Random(1), inline_s=10.0)
    await scoring.make(asks(1), NOW)
    world.brain = Brain(Gate.prior(), version="v2")
    await scoring.make(asks(1), NOW)
    await scoring.make(asks(1), NOW)
    assert threads == ["scoring", "scoring", "MainThread"]


@pytest.mark.parametrize(("turn_s", "turns"), [(0.0, 10), (60.0, 1)])
async def test_lists_that_wait_are_made_together_for_so_long_between_two_turns_of_the_loop(
    executor: ThreadPoolExecutor, turn_s: float, turns: int
) -> None:
    world, threads = watched()
    scoring = Scoring(world, executor, random.Random(1), inline_s=10.0, turn_s=turn_s)
    await scoring.make(asks(1), NOW)
    threads.clear()
    taken = 0

    async def count() -> None:
        nonlocal taken
        while True:
            taken += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(count())
    await scoring.make(asks(10), NOW)
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)
    assert threads == ["MainThread"] * turns
    assert taken >= turns


@pytest.mark.parametrize("inline_s", [0.0, 10.0])
async def test_slates_come_in_the_order_of_the_asks_and_are_those_of_the_recommender(
    executor: ThreadPoolExecutor, inline_s: float
) -> None:
    world, _ = watched()
    scoring = Scoring(world, executor, random.Random(1), inline_s=inline_s)
    await scoring.make(asks(1), NOW)
    slates = await scoring.make(asks(7), NOW)
    plain = recommend_many(asks(7), world, now=NOW, rng=random.Random(2))
    assert [(s.user_id, s.cause, s.items) for s in slates] == [(s.user_id, s.cause, s.items) for s in plain]
