"""Lists of one's own as a policy's log: the weights are right, and what they say is what another strategy earns."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from rec.errors import BadInput
from rec.evaluation.exported import against_draw, against_name, drawing, listed_of, read_lists
from rec.evaluation.off_policy import OffPolicy, off_policy
from rec.evaluation.places import at_places
from rec.policy.explore import draw, inclusion
from rec.policy.strategy import Strategy

LOGITS = np.array([2.0, 1.5, 1.2, 0.9, 0.4, 0.1])
LIKED = np.array([0.1, 0.5, 0.1, 0.1, 0.4, 0.1])  # what the items are really worth, whatever the ranker says
EXAMINED = np.array([1.0, 0.6, 0.4])


def lists(count: int, temperature: float, seed: int = 1) -> list[dict[str, Any]]:
    """Lists of three places, drawn and clicked as their shoppers like."""
    rng, noise = Random(seed), np.random.default_rng(seed)
    made = []
    for at in range(count):
        order = draw(LOGITS.astype(np.float32), 3, temperature, lambda: 1 - noise.random(len(LOGITS))).order.tolist()
        rewards = [float(rng.random() < LIKED[item] * EXAMINED[place]) for place, item in enumerate(order)]
        made.append(
            {
                "subject": f"u{at % 200}",
                "placement": "home",
                "strategy": "own",
                "reward": sum(rewards),
                "places": [{"item_id": f"i{i}", "reward": r} for i, r in zip(order, rewards, strict=True)],
                "draw": {
                    "temperature": temperature,
                    "places": 3,
                    "candidates": [{"item_id": f"i{i}", "logit": float(x)} for i, x in enumerate(LOGITS)],
                },
            }
        )
    return made


def earns(temperature: float) -> float:
    """The true reward a place, by the item-position model."""
    return float((at_places(LOGITS, 3, temperature) * LIKED[:, None] * EXAMINED).sum() / 3)


def judged(made: list[dict[str, Any]], target: str) -> OffPolicy:
    found = [listed_of(each) for each in made]
    strategy = drawing(target, (each.strategy for each in found))
    assert isinstance(strategy, Strategy)
    log, _ = against_draw(found, strategy, depth_given="explore_depth" in target)
    return off_policy(log, np.random.default_rng(0), draws=300)


@pytest.mark.parametrize("temperature", [0.05, 0.5, 2.0])
def test_a_place_is_drawn_as_often_as_it_is_said(temperature: float) -> None:
    noise, count = np.random.default_rng(3), 20_000
    said = at_places(LOGITS, 3, temperature)
    assert said.sum(axis=0) == pytest.approx(np.ones(3))
    assert said.sum(axis=1) == pytest.approx(inclusion((LOGITS - LOGITS.max()) / temperature, 3), abs=2e-3)
    found = np.zeros_like(said)
    for _ in range(count):
        order = draw(LOGITS.astype(np.float32), 3, temperature, lambda: 1 - noise.random(len(LOGITS))).order
        found[order, np.arange(3)] += 1 / count
    assert np.abs(found - said).max() < 0.015


@pytest.mark.parametrize("target", ["greedy", '{"temperature":0.2}', '{"temperature":1.5}'])
def test_what_another_draw_would_earn_lies_in_its_interval(target: str) -> None:
    found = judged(lists(4_000, 0.6), target)
    truth = earns(0.0 if target == "greedy" else json.loads(target)["temperature"])
    for estimate in (found.ips, found.snips, found.dr):
        assert estimate.low < truth < estimate.high
    assert found.mean_weight == pytest.approx(1.0, abs=0.1)
    assert found.model == "action and position"


def test_what_was_hardly_ever_drawn_carries_no_conclusion() -> None:
    found = judged(lists(200, 0.05), '{"temperature":2}')
    assert not found.conclusive
    assert found.verdict.startswith("No conclusion")


def test_a_log_of_greedy_lists_says_nothing_of_chance() -> None:
    found = judged(lists(1_000, 0.0), '{"temperature":1}')
    assert not found.conclusive
    assert found.unseen > 0.3


def test_a_named_strategy_is_judged_by_the_lists_that_the_bandit_gave_it() -> None:
    rng, made = Random(5), list[dict[str, Any]]()
    for at in range(3_000):
        bold = rng.random() < 0.3
        reward = float(rng.random() < (0.5 if bold else 0.2))
        made.append({"subject": f"u{at}", "placement": "home", "strategy": "bold" if bold else "calm",
                     "reward": reward, "places": [], "chance": 0.3 if bold else 0.7})  # fmt: skip
    made += [{**made[0], "experiment": "x"}, {**made[0], "chance": None}]
    log, left = against_name([listed_of(each) for each in made], "bold")
    found = off_policy(log, np.random.default_rng(0), draws=300)
    assert [each.lists for each in left] == [2]
    assert found.ips.low < 0.5 < found.ips.high
    assert found.verdict.startswith("The target policy earns more")


def test_what_the_log_cannot_tell_is_refused_with_the_remedy() -> None:
    with pytest.raises(BadInput, match="offer it to the bandit"):
        drawing('{"diversity":"mmr"}', ["own"])
    with pytest.raises(BadInput, match="no list of the log was made by it. It has: own"):
        drawing("other", ["own"])
    with pytest.raises(BadInput, match="no JSON"):
        drawing("{", ["own"])
    with pytest.raises(BadInput, match="fewer candidates than explore_depth"):
        judged(lists(3, 0.5), '{"temperature":1,"explore_depth":9}')
    with pytest.raises(BadInput, match="chose it for none"):
        against_name([listed_of(each) for each in lists(3, 0.5)], "own")


def test_a_file_that_is_no_export_says_how_to_write_one(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text('{"action":"a","reward":1}\n')
    with pytest.raises(BadInput, match="rec feedback export"):
        read_lists([file])
