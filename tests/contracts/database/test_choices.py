"""The choices beside the archive: the newest of each subject and use, stored with the rows, gone with an erasure."""

from __future__ import annotations

from datetime import timedelta, timezone

from rec.ports import Chosen, Database
from tests.contracts.database.test_archives import NOW, row

LATER = NOW + timedelta(seconds=5)
PERSONALIZATION, ANALYTICS = ("a", "personalization"), ("a", "analytics")


async def test_choices_come_back_by_subject_and_use(database: Database) -> None:
    choices = {
        PERSONALIZATION: Chosen(True, NOW),
        ANALYTICS: Chosen(False, LATER),
        ("b", "personalization"): Chosen(True, NOW),
    }
    assert await database.append([row(1)], choices) == 1
    assert await database.choices_of(["a", "nobody"]) == {
        PERSONALIZATION: Chosen(True, NOW),
        ANALYTICS: Chosen(False, LATER),
    }
    assert await database.choices_of([]) == {}
    assert set(await database.choices_of([f"h{n}" for n in range(2_500)] + ["b"])) == {("b", "personalization")}


async def test_an_older_choice_never_replaces_a_newer_one(database: Database) -> None:
    await database.append([row(1)], {PERSONALIZATION: Chosen(True, LATER)})
    await database.append([row(2)], {PERSONALIZATION: Chosen(False, NOW)})
    assert await database.choices_of(["a"]) == {PERSONALIZATION: Chosen(True, LATER)}
    await database.append([row(3)], {PERSONALIZATION: Chosen(False, LATER)})
    assert await database.choices_of(["a"]) == {PERSONALIZATION: Chosen(False, LATER)}


async def test_since_when_events_may_be_kept_is_stored_and_moves_with_an_older_denial(database: Database) -> None:
    await database.append([row(1)], {PERSONALIZATION: Chosen(False, LATER)})
    assert (await database.choices_of(["a"]))[PERSONALIZATION].since is None
    await database.append([row(2)], {PERSONALIZATION: Chosen(False, LATER, NOW, follows=True)})
    assert await database.choices_of(["a"]) == {PERSONALIZATION: Chosen(False, LATER, NOW, follows=True)}


async def test_rows_that_are_known_already_still_bring_their_choices(database: Database) -> None:
    await database.append([row(1)])
    assert await database.append([row(1)], {PERSONALIZATION: Chosen(True, NOW)}) == 0
    assert await database.choices_of(["a"]) == {PERSONALIZATION: Chosen(True, NOW)}


async def test_choices_are_kept_as_instants_whatever_their_zone(database: Database) -> None:
    india = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await database.append([row(1)], {PERSONALIZATION: Chosen(True, india)})
    chosen = (await database.choices_of(["a"]))[PERSONALIZATION]
    assert (chosen.at, chosen.at.utcoffset()) == (NOW, timedelta(0))


async def test_an_erased_subject_has_no_choices_left(database: Database) -> None:
    await database.append([row(1)], {PERSONALIZATION: Chosen(True, NOW), ANALYTICS: Chosen(True, NOW)})
    assert await database.forget_choices("a") == 2
    assert await database.forget_choices("a") == 0
    assert await database.choices_of(["a"]) == {}
