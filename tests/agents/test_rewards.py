"""What lists earned, through the trainer: learned from the log, and not of who is erased."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from rec.examples import Erased, Lesson, Rewarded, decode_lesson
from rec.state import Touch, UserState
from tests.agents.school import BEGIN, TEACHING, TOPIC, School, until, walks

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("warm_children")]

REWARDED = msgspec.structs.replace(TEACHING, training=msgspec.structs.replace(TEACHING.training, policy=1.0))


def lists(user_id: str, count: int) -> list[Lesson]:
    """What some lists of a user earned."""
    state = UserState(epoch="", history=(Touch(BEGIN, "i1", "view_item"),))
    return [
        Rewarded(f"{user_id}-{at}", user_id, 0, BEGIN + 1 + at, 5, (("i20", 4.0, 0.5),), state) for at in range(count)
    ]


async def taught(folder: Path, lessons: list[Lesson]) -> tuple[School, str]:
    school = School(folder, teaching=REWARDED)
    await school.open()
    return school, await school.learn(lessons)


async def test_what_the_lists_of_an_erased_user_earned_is_gone_from_weights_and_log(tmp_path: Path) -> None:
    """Also where they did nothing that is an example: their lists are all that was ever learned of them."""
    others: list[Lesson] = [*walks(4, 60), *lists("u1", 4), *walks(4, 60, seed=1)]
    _, expected = await taught(tmp_path / "without", others)
    school, before = await taught(tmp_path / "with", [*others[:30], *lists("somebody", 4), *others[30:]])
    assert before != expected
    at = datetime.fromtimestamp(BEGIN + 1_000, UTC)
    await school.database.open_erasure("e1", "hash", at)
    await school.say([Erased("somebody", at.timestamp(), BEGIN, "e1")])
    async with school.trainer():
        await until(lambda: bool(school.database._erasures["e1"].steps))
    assert await school.digest() == expected
    newest = {record.key: record.value for record in school.log.partitions(TOPIC)[0].records}
    left = [decode_lesson(value) for value in newest.values() if value]  # after a compaction
    assert {each.user_id for each in left if isinstance(each, Rewarded)} == {"u1"}
