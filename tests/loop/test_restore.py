"""What the archive gives back is what the loop had: states and counters, visitors and consent and erasure."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agents.archiver import Archiver
from agents.forget import Forgetting
from rec.events import ERASE, Consent, Event, instant
from rec.privacy import user_hash
from rec.restore import restore
from rec.state import FoldRules, UserState, decode_state
from rec.topics import BEHAVIOR, REQUESTS
from tests.loop.local import SECRET, Local, local_worker, loop_settings
from tests.loop.test_loop import happened, publish, shop, until

NOW = 1_790_000_000.0


@pytest.fixture
async def archived(tmp_path: Path) -> AsyncIterator[Local]:
    """A loop whose events are archived as they come."""
    async with local_worker(loop_settings(tmp_path, archive_flush_s=0.01), shop()) as loop:
        forgetting = Forgetting(
            secret=SECRET, database=loop.database, exchange=loop.exchange, to=loop.log,
            behavior_topic=BEHAVIOR, requests_topic=REQUESTS,
        )  # fmt: skip
        archiver = Archiver(
            source=loop.log, topic=BEHAVIOR, group="archiver", database=loop.database,
            forgetting=forgetting, metrics=loop.metrics, flush_s=0.01,
        )  # fmt: skip
        stop = asyncio.Event()
        task = asyncio.create_task(archiver.run(stop))
        yield loop
        stop.set()
        await task


async def restored(loop: Local) -> dict[str, UserState]:
    """Restore the archive into an empty log, and read the changelog as the worker would."""
    from rec.store.memory import MemoryLog
    from rec.topics import topics

    log = MemoryLog()
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
