"""`rec feedback export` on real brokers: each list once, as it is now, as `rec experiments result` reads it."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec

from rec.config import Settings
from rec.feedback import FeedbackExample, Place, encode_example
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
         "category": "Camping", "actions": {"select_item": 5.0}}
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
