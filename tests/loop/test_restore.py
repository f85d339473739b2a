"""What the archive gives back is what the loop had: states and counters, visitors and consent and erasure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from rec.events import CONSENT, ERASE, Consent, Event, decode_event, encode_event, instant
from rec.ports import Chosen
from rec.privacy import user_hash, visitor_row
from rec.restore import restore
from rec.state import FoldRules, UserState, decode_state
from rec.store.memory import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import BEHAVIOR, topics
from rec.visitors import MAX_VISITORS
from tests.loop.local import SECRET, Local, archiving, local_worker, loop_settings
from tests.loop.test_loop import happened, publish, shop, until

NOW = 1_790_000_000.0


@pytest.fixture
async def archived(tmp_path: Path) -> AsyncIterator[Local]:
    """A loop whose events are archived as they come."""
    async with local_worker(loop_settings(tmp_path), shop()) as loop, archiving(loop):
        yield loop


@pytest.fixture
async def idle(tmp_path: Path) -> AsyncIterator[Local]:
    """A loop without an archiver: its archive holds what a test puts there."""
    async with local_worker(loop_settings(tmp_path), shop()) as loop:
        yield loop


async def restored(loop: Local, log: MemoryLog | None = None) -> dict[str, UserState]:
    """Restore the archive into an empty log, and read the changelog as the worker would."""
    log = log or MemoryLog()
    await log.create(topics(loop.settings))
    said: list[tuple[str, int, int]] = []
    result, counters = await restore(
        loop.database, log, loop.settings, FoldRules.from_settings(loop.settings), lambda *line: said.append(line)
    )
    assert counters.offsets == {}
    assert result.users == 0 or said[-1][1] == result.users
    users: dict[str, UserState] = {}
    ends = await log.ends(loop.settings.users_changelog)
    seen = 0
    if not sum(ends.values()):
        return users
    async for records in log.tail(loop.settings.users_changelog):
        for record in records:
            assert record.value is not None
            users[record.key.decode()] = decode_state(record.value)
        seen += len(records)
        if seen == sum(ends.values()):
            break
    return users


def bare(state: UserState) -> UserState:
    """Without what a restart may change: the epoch, the version, the order in which ids came in."""
    return msgspec.structs.replace(state, epoch="", version=0, ring=b"".join(sorted(_marks(state.ring))))


def _marks(ring: bytes) -> list[bytes]:
    return [ring[at : at + 8] for at in range(0, len(ring), 8)]


async def test_every_state_comes_back_as_it_was(archived: Local) -> None:
    rng = random.Random(5)
    names = ["view_item", "select_item", "add_to_cart", "purchase", "not_interested", "view_item_list"]
    items = [item.item_id for item in shop()]
    events: list[Event] = []
    for n in range(300):
        at = NOW + n
        events.append(happened(rng.choice(names), rng.choice(items), user=f"u{rng.randrange(8)}", at=at))
    events += rng.sample(events, 60)  # the same ids again
    await publish(archived, *events)
    await until(lambda: sum(state.applied for state in archived.users.values()) == 300)
    while await archived.database.count_events() < 300:
        await asyncio.sleep(0.01)
    there = {key.decode(): bare(state) for key, state in archived.users.items()}
    assert {key: bare(state) for key, state in (await restored(archived)).items()} == there


async def test_a_record_that_cannot_be_folded_is_not_archived_and_the_next_start_goes_well(tmp_path: Path) -> None:
    async with local_worker(loop_settings(tmp_path), shop()) as loop:
        async with archiving(loop):
            await loop.log.publish(BEHAVIOR, "u1", b'{"event":"no_such","event_id":"x","user_id":"u1"}')
            await publish(loop, happened("view_item", "books-1", event_id="e1"))
            await until(lambda: b"u1" in loop.users)
        assert await left(loop.database) == ["e1"]
        assert [touch.item_id for touch in (await restored(loop))["u1"].history] == ["books-1"]


async def test_a_row_that_cannot_be_folded_is_left_out_and_goes_with_the_erasure_of_its_user(
    idle: Local, caplog: pytest.LogCaptureFixture
) -> None:
    await archive(
        idle.database,
        happened("no_such", user="u1", at=NOW, event_id="older"),
        happened("view_item", "books-1", user="u2", at=NOW),
        happened("no_such", user="u2", at=NOW, event_id="unknown"),
        happened("view_item", "books-2", user="u2", at=NOW + 1),
    )
    await idle.database.append([(happened("view_item", at=NOW, user="u2", event_id="unreadable"), b"{")])
    await idle.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    users = await restored(idle)
    assert [touch.item_id for touch in users["u2"].history] == ["books-1", "books-2"]
    assert set(users) == {"u2"}
    assert await idle.database.delete_events_of("u1") == 0
    assert "2 events of the archive cannot be folded and were left out" in caplog.text


async def test_a_merged_visitor_comes_back_merged(archived: Local) -> None:
    await publish(archived, happened("view_item", "books-1", user=None, visitor_id="v1", at=NOW))
    await publish(archived, happened("view_item", "books-2", visitor_id="v1", at=NOW + 1))
    await publish(archived, happened("view_item", "books-3", user=None, visitor_id="v1", at=NOW + 2))
    while await archived.database.count_events() < 3:
        await asyncio.sleep(0.01)
    users = await restored(archived)
    assert {touch.item_id for touch in users["u1"].history} == {"books-1", "books-2", "books-3"}
    assert users["v1"].merged_into == "u1"


async def test_a_denial_is_remembered_and_what_was_denied_is_not(archived: Local) -> None:
    denied = Consent(personalization_storage="denied")
    await publish(archived, happened("view_item", "books-1", at=NOW, consent=denied))
    while await archived.database.count_events() < 1:
        await asyncio.sleep(0.01)
    state = (await restored(archived))["u1"]
    assert state.consent is False
    assert state.history == ()


async def test_an_erased_user_does_not_come_back(archived: Local) -> None:
    await publish(
        archived, happened("view_item", "books-1", at=NOW), happened("view_item", "books-1", user="u2", at=NOW)
    )
    while await archived.database.count_events() < 2:
        await asyncio.sleep(0.01)
    await archived.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    await publish(archived, happened(ERASE, at=NOW + 5, event_id="er1"))
    while await archived.database.count_events() > 1:
        await asyncio.sleep(0.01)
    assert set(await restored(archived)) == {"u2"}


async def archive(database: MemoryDatabase, *events: Event) -> None:
    await database.append([(event, encode_event(event)) for event in events])


async def left(database: MemoryDatabase) -> list[str]:
    return [decode_event(raw).event_id async for page in database.read() for _, raw in page]


async def test_an_erasure_that_died_with_the_log_is_finished_by_the_restore(idle: Local) -> None:
    await archive(
        idle.database,
        happened("view_item", "books-1", user=None, visitor_id="v1", at=NOW, event_id="of-visitor"),
        happened("view_item", "books-2", visitor_id="v1", at=NOW + 1, event_id="of-user"),
        happened("view_item", "books-3", user="u2", at=NOW + 1, event_id="of-another"),
        happened("view_item", "books-4", at=NOW + 6, event_id="afterwards"),
        happened("view_item", "books-5", user=None, visitor_id="v1", at=NOW + 6, event_id="visitor-afterwards"),
    )
    await idle.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    users = await restored(idle)
    assert await left(idle.database) == ["of-another", "afterwards", "visitor-afterwards"]
    assert [touch.item_id for touch in users["u1"].history] == ["books-4"]
    assert [touch.item_id for touch in users["v1"].history] == ["books-5"]
    receipt = await idle.database.get_erasure("er1")
    assert receipt is not None
    assert {step["store"]: step["removed"] for step in receipt.steps} == {
        "archive": 1,
        "archive, visitor 1": 1,
        "suppression list, visitor 1": 0,
        "state table and changelog": 0,
        "counters": 0,
        "feedback": 0,
        "redis": 0,
        "state table and changelog, visitor 1": 0,
        "counters, visitor 1": 0,
        "feedback, visitor 1": 0,
        "redis, visitor 1": 0,
    }
    assert await idle.database.erased_at(user_hash(SECRET, "v1")) == instant(NOW + 5)


async def test_a_restore_after_that_finds_nothing_more_and_rewrites_no_line(idle: Local) -> None:
    await archive(idle.database, happened("view_item", "books-1", visitor_id="v1", at=NOW))
    await idle.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    assert await restored(idle) == {}
    first = await idle.database.get_erasure("er1")
    assert await restored(idle) == {}
    assert await idle.database.get_erasure("er1") == first


ALL_LINES = {"archive", "state table and changelog", "counters", "feedback", "redis"}


async def lines_of(database: MemoryDatabase, erasure_id: str) -> dict[str, int]:
    receipt = await database.get_erasure(erasure_id)
    assert receipt is not None
    return {step["store"]: step["removed"] for step in receipt.steps}


async def visitor_was_erased(database: MemoryDatabase, *stores: str, removed: int = 3) -> None:
    """What the worker and the archiver had written of v1, a visitor of u1, when they were killed."""
    await database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    await database.open_erasure(visitor_row(SECRET, "v1", instant(NOW + 5)), user_hash(SECRET, "v1"), instant(NOW + 5))
    for store in stores:
        await database.add_step("er1", f"{store}, visitor 1", removed, instant(NOW + 6))


async def test_a_line_that_is_there_stays_and_every_visitor_gets_all_lines(idle: Local) -> None:
    await archive(
        idle.database,
        happened("view_item", "books-1", visitor_id="v1", at=NOW),
        happened("view_item", "books-2", visitor_id="v2", at=NOW + 1),
        happened("view_item", "books-3", user=None, visitor_id="v2", at=NOW + 2),
    )
    await visitor_was_erased(idle.database, "archive", "redis")  # v1's own rows are gone
    assert await restored(idle) == {}
    lines = await lines_of(idle.database, "er1")
    assert lines.keys() == ALL_LINES | {f"{s}, visitor {n}" for n in (1, 2) for s in {*ALL_LINES, "suppression list"}}
    assert (lines["archive"], lines["archive, visitor 1"], lines["redis, visitor 1"]) == (2, 3, 3)
    assert lines["archive, visitor 2"] == 1


async def test_a_visitor_whose_user_has_left_the_archive_gets_the_missing_lines(idle: Local) -> None:
    of_visitor = [happened("view_item", "books-1", user=None, visitor_id="v1", at=NOW + n) for n in range(2)]
    await archive(idle.database, *of_visitor)
    await visitor_was_erased(idle.database, "redis", removed=1)
    await idle.database.add_step("er1", "archive", 7, instant(NOW + 6))
    assert await restored(idle) == {}
    lines = await lines_of(idle.database, "er1")
    assert lines.keys() == ALL_LINES | {f"{s}, visitor 1" for s in {*ALL_LINES, "suppression list"}}
    assert (lines["archive"], lines["archive, visitor 1"], lines["redis, visitor 1"]) == (7, 2, 1)


async def test_a_visitor_beyond_the_bound_was_never_the_users_and_stays(idle: Local) -> None:
    await archive(
        idle.database,
        *(happened("view_item", "books-1", visitor_id=f"v{n}", at=NOW + n / 100) for n in range(MAX_VISITORS + 1)),
        happened("view_item", "books-2", user=None, visitor_id="v0", at=NOW + 1, event_id="of-the-first"),
        happened("view_item", "books-2", user=None, visitor_id=f"v{MAX_VISITORS}", at=NOW + 1, event_id="of-the-last"),
    )
    await idle.database.open_erasure("er1", user_hash(SECRET, "u1"), instant(NOW + 5))
    assert set(await restored(idle)) == {f"v{MAX_VISITORS}"}
    assert await left(idle.database) == ["of-the-last"]
    assert f"archive, visitor {MAX_VISITORS + 1}" not in await lines_of(idle.database, "er1")


async def test_who_came_back_and_chose_keeps_the_choice(idle: Local) -> None:
    digest = user_hash(SECRET, "u1")
    denial = {(digest, "personalization"): Chosen(True, instant(NOW + 9))}
    event = happened("view_item", at=NOW + 9, consent=Consent(personalization_storage="denied"))
    await idle.database.append([(event, encode_event(event))], denial)
    await idle.database.open_erasure("er1", digest, instant(NOW + 5))
    await restored(idle)
    assert await idle.database.choices_of([digest]) == denial


async def test_a_choice_that_died_on_its_way_is_passed_on_after_all_and_once(idle: Local) -> None:
    denied = Consent(personalization_storage="denied")
    await archive(
        idle.database,
        happened("view_item", user=None, visitor_id="v1", at=NOW, consent=denied),
        happened("view_item", "books-1", visitor_id="v1", at=NOW + 1),
    )
    told = MemoryLog()
    users = await restored(idle, told)
    assert (users["u1"].consent, users["u1"].history) == (False, ())
    assert users["v1"].consent is False
    records = [record for partition in told.partitions(BEHAVIOR) for record in partition.records]
    events = [decode_event(record.value or b"") for record in records]
    assert {(event.event, event.subject, event.personalization) for event in events} == {
        (CONSENT, "u1", "denied"),
        (CONSENT, "v1", "denied"),
    }
    await archive(idle.database, *events)
    await restored(idle, again := MemoryLog())
    assert not any(partition.records for partition in again.partitions(BEHAVIOR))


async def test_an_open_receipt_of_somebody_the_archive_does_not_know_is_finished_too(idle: Local) -> None:
    await idle.database.open_erasure("er1", user_hash(SECRET, "nobody"), instant(NOW))
    await restored(idle)
    receipt = await idle.database.get_erasure("er1")
    assert receipt is not None
    assert {step["store"] for step in receipt.steps} >= {"archive", "redis"}


async def test_a_restore_does_not_erase_the_visitor_of_another_user_of_the_device(idle: Local) -> None:
    await archive(
        idle.database,
        happened("view_item", "books-1", user=None, visitor_id="v1", at=NOW, event_id="of-visitor"),
        happened("view_item", "books-2", user="a", visitor_id="v1", at=NOW + 1, event_id="of-a"),
        happened("view_item", "books-3", user="b", visitor_id="v1", at=NOW + 2, event_id="of-b"),
    )
    await idle.database.open_erasure("er1", user_hash(SECRET, "b"), instant(NOW + 5))
    users = await restored(idle)
    assert await left(idle.database) == ["of-visitor", "of-a"]
    assert users["a"].visitors == {"v1": "merged"}
    assert "b" not in users


async def test_a_visitor_goes_to_the_next_user_of_the_device_once_the_first_is_erased(idle: Local) -> None:
    await archive(
        idle.database,
        happened("view_item", "books-1", user="a", visitor_id="v1", at=NOW, event_id="of-a"),
        happened("view_item", "books-2", user=None, visitor_id="v1", at=NOW + 6, event_id="of-visitor"),
        happened("view_item", "books-3", user="b", visitor_id="v1", at=NOW + 7, event_id="of-b"),
    )
    await idle.database.open_erasure("er1", user_hash(SECRET, "a"), instant(NOW + 5))
    await idle.database.open_erasure("er2", user_hash(SECRET, "b"), instant(NOW + 9))
    assert await restored(idle) == {}
    assert await left(idle.database) == []


async def test_a_restore_gives_no_user_away_to_who_names_them_as_a_visitor(idle: Local) -> None:
    await archive(
        idle.database,
        happened("view_item", "books-1", user="victim", at=NOW),
        happened("view_item", "books-2", user="tm", visitor_id="victim", at=NOW + 1),
    )
    users = await restored(idle)
    assert [touch.item_id for touch in users["victim"].history] == ["books-1"]
    assert users["tm"].visitors == {"victim": "refused"}
