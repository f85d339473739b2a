"""From SQL and feedback to the screen: an experiment, or what lists have earned, decides which strategy is used."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rec.feedback import FeedbackExample, Place, encode_example
from rec.policy.chosen import Offer
from rec.policy.experiments import Arm, Experiment, assigned
from rec.policy.store import Who
from rec.policy.strategy import Strategy
from rec.ports import Hint
from rec.requests import SlateRequest
from rec.topics import FEEDBACK
from tests.loop.local import Local, local_worker, loop_settings
from tests.loop.test_feedback import closed, lists, on, three
from tests.loop.test_loop import Screen, happened, publish, reply_to, shop, until

WHO = Who("anna", "to try it")
ALL_BOLD = Experiment(
    name="x", arms=(Arm(name="a", strategy="bold", share=0.5), Arm(name="b", strategy="bold", share=0.5))
)


@pytest.fixture
async def loop(tmp_path: Path) -> AsyncIterator[Local]:
    async with local_worker(loop_settings(tmp_path), shop()) as local:
        yield local


async def store(loop: Local, *names: str, bandit: bool = False) -> None:
    for name in names:
        await loop.database.put_strategy(Offer(Strategy(name=name, category_share=0.5), bandit), WHO)


async def test_the_next_list_of_a_connected_shopper_is_made_by_the_strategy_of_their_arm(loop: Local) -> None:
    async with Screen(loop) as screen:
        assert screen.last.strategy == "default"
        await store(loop, "bold")
        await loop.database.put_experiment(ALL_BOLD, WHO)
        await loop.exchange.connect().hint(Hint("strategies", ""))
        began = time.monotonic()
        while screen.last.strategy != "bold":
            await publish(loop, last := happened("view_item", "books-1"))
            await until(lambda event=last: screen.last.cause.event_id == event.event_id)  # type: ignore[misc]
            assert time.monotonic() - began < 2


async def test_an_exposure_is_logged_when_somebody_looks_at_a_list_that_the_experiment_decided(loop: Local) -> None:
    """To be assigned is none, nor is it to have such a list on a screen; the next look at it is."""
    await store(loop, "bold")
    await loop.database.put_experiment(ALL_BOLD, WHO)
    await loop.exchange.connect().hint(Hint("strategies", ""))
    async with Screen(loop) as looked_at, Screen(loop, "u2") as unseen:
        for screen, user in ((looked_at, "u1"), (unseen, "u2")):
            while screen.last.strategy != "bold":
                await publish(loop, last := happened("view_item", "books-1", user=user))
                await until(lambda event=last, s=screen: s.last.cause.event_id == event.event_id)  # type: ignore[misc]
        slate = looked_at.last
        await until(lambda: {looked_at.last.slate_id, unseen.last.slate_id} <= {*lists(loop), *lists(loop, "u2")})
        began = time.time()
        await publish(loop, on(slate, "view_item_list", *three(slate)))
        await until(lambda: any(window.seen for window in loop.windows.values()))
        [exposure] = await closed(loop, 1)
    assert (exposure.user_id, exposure.slate_id, exposure.experiment) == ("u1", slate.slate_id, "x")
    arm = assigned(ALL_BOLD, "u1", "home")
    assert arm is not None
    assert exposure.arm == arm.name
    assert exposure.at >= began - 1  # when they looked, not when the list was made


async def test_a_stored_strategy_holds_the_lists_that_it_makes(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, sweep_interval_s=30)
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        await loop.database.put_strategy(Offer(Strategy(name="bold", hold_s=0.4)), WHO)
        await loop.database.put_experiment(ALL_BOLD, WHO)
        await loop.exchange.connect().hint(Hint("strategies", ""))
        while screen.last.strategy != "bold":
            await publish(loop, last := happened("view_item", "books-1"))
            await until(lambda event=last: screen.last.cause.event_id == event.event_id)  # type: ignore[misc]
        made, before = time.perf_counter(), len(screen.slates)
        events = [happened("view_item", f"toys-{n}") for n in range(3)]
        await publish(loop, *events)
        await until(lambda: len(screen.slates) > before)
        assert time.perf_counter() - made > 0.3
        assert screen.last.cause.event_id == events[-1].event_id


def example(at: int, strategy: str, reward: float) -> bytes:
    now, place = time.time(), Place("i", 0.5, "knn", 1.0, "c", True, reward, {})
    return encode_example(FeedbackExample(f"s{at}", "u", 0, "home", strategy, "m", now, now, (place,)))


async def test_what_lists_have_earned_moves_traffic_to_the_strategy_that_earned_it(loop: Local) -> None:
    await store(loop, "calm", "bold", bandit=True)
    records = [("u", example(at, "bold" if at % 2 else "calm", float(at % 2))) for at in range(400)]
    await loop.log.publish_many(FEEDBACK, records)
    await loop.exchange.connect().hint(Hint("strategies", ""))
    counts: Counter[str] = Counter()
    number = iter(range(10_000))

    async def listed() -> str:
        request = SlateRequest("new", f"r{next(number)}", "web-1", time.time() + 30, n=3)
        strategy: str = (await reply_to(loop, request))["slate"]["strategy"]
        return strategy

    began = time.monotonic()
    while await listed() == "default":  # until both have been read
        assert time.monotonic() - began < 2
    for _ in range(60):
        counts[await listed()] += 1
    assert set(counts) <= {"calm", "bold"}
    assert counts["bold"] > 45  # the other has its floor of 5 %, and what is drawn before all was heard
