"""`rec feedback export` on real brokers: each list once, as it is now, as `rec experiments result` reads it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest

from rec.config import Settings
from rec.feedback import FeedbackExample, Place, encode_example
from rec.policy.explore import draw as pick
from rec.policy.note import Draw
from rec.store import open_log
from rec.topics import FEEDBACK, topics
from tests.cli.runner import rec


def a_list(slate_id: str, user_id: str, reward: float, revision: int = 0) -> FeedbackExample:
    place = Place("tent", 0.5, "knn", 0.25, "Camping", True, reward, {"select_item": 5.0} if reward else {})
    return FeedbackExample(slate_id, user_id, revision, "home", "bold", "gate-0", 1.0, 2.0, (place,))


async def tell(settings: Settings, *examples: FeedbackExample, back: tuple[str, ...] = ()) -> None:
    async with open_log(settings) as log:
        await log.create(topics(settings))
        records = [(example.slate_id, encode_example(example)) for example in examples]
        await log.publish_many(settings.topic(FEEDBACK), [*records, *((slate_id, None) for slate_id in back)])


async def test_each_list_is_a_line_of_its_newest_revision_and_none_of_who_was_erased(
    world: Settings, tmp_path: Path
) -> None:
    seen = a_list("s1", "u1", 0.0)
    bought = msgspec.structs.replace(a_list("s1", "u1", 5.0), revision=1)
    others = [a_list(f"t{n}", f"v{n}", 0.0) for n in range(30)]
    await tell(world, seen, a_list("s2", "u2", 1.0), bought, *others, back=("s2",))
    out = tmp_path / "lists.jsonl"
    done = await rec("feedback", "export", str(out), "--json")
    assert (done.code, done.lines) == (0, [{"lists": 31}]), done.err
    rows = {row["slate_id"]: row for row in map(json.loads, out.read_text().splitlines())}
    assert rows.keys() == {"s1", *(f"t{n}" for n in range(30))}
    assert (rows["s1"]["subject"], rows["s1"]["at"], rows["s1"]["reward"]) == ("u1", 2.0, 5.0)
    assert rows["s1"]["places"] == [
        {"item_id": "tent", "seen": True, "reward": 5.0, "propensity": 0.25, "score": 0.5, "source": "knn",
         "category": "Camping", "brand": "", "seller": "", "actions": {"select_item": 5.0}}
    ]  # fmt: skip


async def test_a_world_without_feedback_says_what_would_fill_it(world: Settings, tmp_path: Path) -> None:
    await tell(world)
    done = await rec("feedback", "export", str(tmp_path / "lists.jsonl"))
    assert done.code == 0, done.err
    assert "REC_FEEDBACK" in done.err
    assert (tmp_path / "lists.jsonl").read_text() == ""


async def test_where_nothing_can_be_written_the_argument_is_named_and_nothing_is_left(
    world: Settings, tmp_path: Path
) -> None:
    await tell(world, a_list("s1", "u1", 1.0))
    done = await rec("feedback", "export", str(tmp_path / "no" / "such" / "lists.jsonl"))
    assert done.code == 3
    assert "OUT" in done.err
    assert not (tmp_path / "no").exists()


def drawn(number: int, order: list[str], clicked: str, noise: Random) -> FeedbackExample:
    """A list of two of three items, drawn at temperature 0.5; one of them is liked most."""
    places = tuple(
        Place(
            item,
            0.5,
            "knn",
            0.6,
            "Camping",
            True,
            float(item == clicked and noise.random() < 0.5),
            {},
            brand=f"B-{item}",
        )
        for item in order
    )
    draw = Draw(0.5, 2, ("a", "b", "c"), np.array([0.3, 0.2, 0.1], "<f4").tobytes())
    return FeedbackExample(f"d{number}", f"u{number % 300}", 0, "home", "bold" if number % 2 else "calm", "gate-0", 1.0,
                           2.0, places, chance=0.5, draw=draw, merit={"brand": {"B-a": 0.5, "B-b": 0.5}})  # fmt: skip


async def test_the_commands_of_the_how_to_judge_a_strategy_by_the_log_that_is_there(
    world: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise, logits, made = Random(1), np.array([0.3, 0.2, 0.1], np.float32), []
    uniform = np.random.default_rng(1)
    for number in range(1_500):
        order = pick(logits, 2, 0.5, lambda: 1 - uniform.random(3)).order.tolist()
        made.append(drawn(number, ["abc"[at] for at in order], "a", noise))
    await tell(world, *made)
    monkeypatch.chdir(tmp_path)
    text = (Path(__file__).parents[2] / "docs/howto/judge.md").read_text()
    commands = [line for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S) for line in block.splitlines()]
    said = {}
    for command in commands:
        done = await rec(*shlex.split(command)[1:])
        assert done.code == 0, (command, done.err)
        said[command] = done.out
    assert any("export" in command for command in commands)
    found = await rec("evaluate", "--policy", "lists.jsonl", "--strategy", "greedy", "--json")
    (body,) = found.lines
    assert body["model"] == "action and position"
    assert body["dr"]["low"] > body["logged"]["value"]  # `a` comes first then, always
    assert body["verdict"].startswith("The target policy earns more")
    shares = await rec("feedback", "exposure", "--share", "B-c=0.1", "--json")
    (body,) = shares.lines
    groups = {row["group"]: row for row in body["groups"]}
    assert groups["B-c"]["target"] == pytest.approx(0.1)
    assert groups["B-a"]["target"] == pytest.approx(0.45)
    assert sum(row["share"] for row in body["groups"]) == pytest.approx(1.0)
    assert groups["B-c"]["gap"] == pytest.approx(groups["B-c"]["share"] - 0.1)
