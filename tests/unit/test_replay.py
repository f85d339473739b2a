"""Full-information replay: the truth is known, so an estimate from a log can be held against it."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest

from rec.evaluation.stream import Action, Stream, stream_of
from rec.simulate.replay import ARMS, N, Replay, anything, chances_of, drawn, epsilon_greedy, play, replay

NAMES = ("adaptive", "bandit", "greedy", "epsilon_greedy", "random")


def walks(sessions: int = 260) -> Stream:
    """Sessions that mostly walk along a circle of 60 items."""
    rng, actions = Random(1), []
    for session in range(sessions):
        at = rng.randrange(60)
        for step in range(6):
            at = (at + 1) % 60 if rng.random() < 0.8 else rng.randrange(60)
            actions.append(Action(1_000.0 * session + 10 * step, f"s{session}", f"i{at}", "select_item"))
    return stream_of(actions)


@pytest.fixture(scope="module")
def body() -> dict[str, Any]:
    stream = walks()
    return replay(NAMES, stream.items, stream.events, seed=1, limit=700)


def test_a_policy_that_knows_more_earns_more_and_reward_and_regret_are_all_there_is(body: dict[str, Any]) -> None:
    table = body["strategies"]
    assert table["greedy"]["reward"] > 2 * table["random"]["reward"]
    assert table["adaptive"]["reward"] > 2 * table["random"]["reward"]
    for figures in table.values():
        assert figures["reward"] + figures["regret"] == body["lists"] == 700


def test_snips_from_the_log_holds_the_truth(body: dict[str, Any]) -> None:
    for name in NAMES:
        beside = body["off_policy"][name]
        assert beside["within"], (name, beside)
        assert beside["snips"]["low"] < beside["snips"]["value"] < beside["snips"]["high"]
    assert body["off_policy"]["random"]["true"] == pytest.approx(10 / 60, abs=0.01)


def test_the_same_seed_gives_the_same_replay() -> None:
    stream = walks(60)
    one, other = (replay(("adaptive", "bandit"), stream.items, stream.events, seed=3, limit=100) for _ in range(2))
    assert one == other


def test_what_was_not_on_the_list_teaches_nothing() -> None:
    """A learner that is told nothing counts nothing, though it knows what the shopper did."""
    stream = walks(20)
    learner = Replay(stream.items)
    for event in stream.events:
        learner.after(event, learner.before(event)[1], told=False)
    assert learner.world.counters.counted == 0
    assert learner.before(stream.events[-1])[0] is not None


def test_lists_are_drawn_with_the_chances_that_are_logged() -> None:
    rng = np.random.default_rng(0)
    chances = np.array([1.0, 0.9, 0.6, 0.3, 0.15, 0.05])
    counts = np.zeros(6)
    for _ in range(4_000):
        rows = drawn(chances, rng)
        assert len(rows) == 3
        counts[rows] += 1
    assert counts / 4_000 == pytest.approx(chances, abs=0.03)


def test_every_policy_fills_its_list() -> None:
    stream = walks(80)
    learner = Replay(stream.items)
    for event in stream.events[:-1]:
        learner.after(event, learner.before(event)[1], told=True)
    _, found = learner.before(stream.events[-1])
    assert found is not None
    size = learner.world.catalog.view().size
    for arm in ARMS:
        assert chances_of(arm, found, size).sum() == pytest.approx(N, abs=0.02)
    assert epsilon_greedy(chances_of(ARMS[0], found, size)).sum() == pytest.approx(N)
    assert anything(size).sum() == pytest.approx(N)
    assert play("greedy", learner, stream.events[-5:], seed=1).mix == {}
