"""The archive: exactly one row per event_id, in order, no more of it than its sender allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from agents.archiver import Archiver
from agents.metrics import Metrics
from rec.archive_rules import kept
from rec.events import Attribution, Consent, Event, EventItem, decode_event, encode_event
from rec.ports import Database
from rec.store.memory import MemoryExchange, MemoryLog
from rec.topics import BEHAVIOR, Topic
from tests.loop.local import forgetting_of

NOW = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)

Row = tuple[Event, bytes]
Opener = Callable[[], AbstractAsyncContextManager[Database]]


def row(n: int, *, user: str | None = "u", visitor: str | None = None, at: datetime = NOW) -> Row:
    event = Event(
        event="view_item",
        event_id=f"e{n}",
        user_id=user,
        visitor_id=visitor,
        session_id="s",
        items=(EventItem(f"sku_{n}", price=9.5),),
        received_ts=at,
        event_ts=at,
    )
    return event, encode_event(event)


async def stored(database: Database, **query: datetime | int | None) -> list[bytes]:
    return [payload async for page in database.read(**query) for _, payload in page]  # type: ignore[arg-type]


async def test_events_come_back_as_they_were_in_the_order_in_which_they_came(database: Database) -> None:
    rows = [row(n) for n in (3, 1, 2)]
    assert await database.append(rows[:2]) == 2
    assert await database.append(rows[2:]) == 1
    assert await stored(database) == [payload for _, payload in rows]
    assert await database.count_events() == 3


async def test_a_repeated_event_is_stored_once(database: Database) -> None:
    assert await database.append([row(1), row(2), row(1)]) == 2
    assert await database.append([row(2), row(3)]) == 1
    assert await database.append([row(1)]) == 0
    assert await database.append([]) == 0
    assert [decode_event(raw).event_id for raw in await stored(database)] == ["e1", "e2", "e3"]


WITHHELD = {"withheld": True, "items": (), "session_id": None}


def like(one: Row, **changes: object) -> Row:
    event = msgspec.structs.replace(one[0], **changes)
    return event, encode_event(event)


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one after the other"])
@pytest.mark.parametrize("turned", [True, False], ids=["the user's copy first", "the visitor's copy first"])
async def test_an_event_handed_on_to_a_user_is_the_users_whichever_copy_comes_first(
    database: Database, turned: bool, together: bool
) -> None:
    copies = [row(1, user=None, visitor="v"), row(1, user="u", visitor="v")]
    ours = copies[1]
    if turned:
        copies.reverse()
    if together:
        assert await database.append([*copies, row(2)]) == 2
    else:
        assert await database.append([copies[0], row(2)]) == 2
        assert await database.append(copies[1:]) == 0
    assert await stored(database) == [ours[1], row(2)[1]]
    assert await database.events_of("u") == [row(2)[1], ours[1]]
    assert await database.events_of("nobody", ["v"]) == []
    assert await database.delete_events_of("u") == 2
    assert await database.append([ours]) == 1


@pytest.mark.parametrize("turned", [True, False])
async def test_of_two_copies_the_one_that_may_be_used_stays_whosever_it_is(database: Database, turned: bool) -> None:
    whole, bare = row(1, user=None, visitor="v"), like(row(1, user="u", visitor="v"), **WITHHELD)
    for copy in (bare, whole) if turned else (whole, bare):
        await database.append([copy])
    assert await stored(database) == [whole[1]]


async def test_no_copy_takes_the_place_of_another_users_or_another_devices(database: Database) -> None:
    first = [row(1, user="u", visitor="v"), row(2, user=None, visitor="v"), like(row(3, visitor="v"), **WITHHELD)]
    await database.append(first)
    others = [row(1, user="w", visitor="v"), row(2, user="w", visitor="x"), row(3, user="w", visitor="v")]
    assert await database.append(others) == 0
    assert await stored(database) == [payload for _, payload in first]


async def test_the_first_of_two_events_with_one_id_stays(database: Database) -> None:
    await database.append([row(1)])
    await database.append([(row(2)[0], row(2)[1]), row(1, user="another")])
    assert await stored(database) == [row(1)[1], row(2)[1]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 100])
async def test_reading_goes_on_where_it_stopped(database: Database, chunk: int) -> None:
    await database.append([row(n) for n in range(7)])
    numbers = [seq async for page in database.read(chunk) for seq, _ in page]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == 7
    rest = [seq async for page in database.read(chunk, after=numbers[3]) for seq, _ in page]
    assert rest == numbers[4:]
    assert [page async for page in database.read(chunk, after=numbers[-1])] == []


async def test_reading_keeps_to_a_span_of_time(database: Database) -> None:
    await database.append([row(n, at=NOW + timedelta(hours=h)) for n, h in enumerate((5, 0, 3, 1, 2, 4))])
    since, until = NOW + timedelta(hours=1), NOW + timedelta(hours=4)
    inside = [decode_event(raw).at for raw in await stored(database, since=since, until=until, chunk=2)]
    assert inside == [(NOW + timedelta(hours=h)).timestamp() for h in (3, 1, 2)]
    in_another_zone = since.astimezone(datetime.strptime("+0530", "%z").tzinfo)
    assert len(await stored(database, since=in_another_zone)) == 5
    assert len(await stored(database, until=since)) == 1


async def test_what_is_appended_while_somebody_reads_is_read_too(database: Database) -> None:
    await database.append([row(n) for n in range(4)])
    seen: list[bytes] = []
    async for page in database.read(chunk=2):
        seen += [payload for _, payload in page]
        if len(seen) == 4:
            await database.append([row(9)])
    assert seen == [row(n)[1] for n in (0, 1, 2, 3, 9)]


async def test_archivers_with_the_same_events_leave_one_row_each_and_a_reader_misses_none(opener: Opener) -> None:
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(opener()) for _ in range(3)]

        async def archive(client: Database, order: int) -> int:
            new = 0
            for start in range(0, 200, 20):
                new += await client.append([row(n) for n in range(start, start + 30)][::order])
            return new

        seen: list[str] = []
        after = 0

        async def follow() -> None:
            nonlocal after
            async for page in clients[0].read(chunk=7, after=after):
                after = page[-1][0]
                seen.extend(decode_event(payload).event_id for _, payload in page)

        archivers = asyncio.gather(*(archive(client, order) for client in clients for order in (1, -1)))
        while not archivers.done():
            await follow()
            await asyncio.sleep(0)
        counts = await archivers
        await follow()
        assert sum(counts) == 210 == await clients[1].count_events()
        assert sorted(seen) == sorted(f"e{n}" for n in range(210))


async def test_the_newest_events_of_a_user_come_first(database: Database) -> None:
    await database.append([row(n, user=f"u{n % 2}") for n in range(6)])
    assert await database.events_of("u1") == [row(n, user="u1")[1] for n in (5, 3, 1)]
    assert await database.events_of("nobody") == []


async def test_all_events_of_a_user_are_read_however_many(database: Database) -> None:
    await database.append([row(n, user="u1") for n in range(4_100)])
    assert [decode_event(raw).event_id for raw in await database.events_of("u1")] == [
        f"e{n}" for n in reversed(range(4_100))
    ]


async def test_what_visitors_did_without_a_user_is_read_with_the_user_they_became(database: Database) -> None:
    await database.append(
        [row(1, user=None, visitor="v1"), row(2, user="u1"), row(3, user="u2", visitor="v1"), row(4, user="v1")]
    )
    assert [decode_event(raw).event_id for raw in await database.events_of("u1", ["v1"])] == ["e2", "e1"]


async def test_of_a_visitor_goes_what_was_done_without_a_user_and_until_the_moment(database: Database) -> None:
    later = NOW + timedelta(seconds=1)
    await database.append(
        [row(1, user=None, visitor="v"), row(2, user="v"), row(3, user=None, visitor="v", at=later), row(4, user="u")]
    )
    assert await database.delete_events_of(None, ["v"], until=NOW) == 1
    assert [decode_event(raw).event_id for raw in await stored(database)] == ["e2", "e3", "e4"]
    assert await database.delete_events_of("v") == 2


async def test_a_user_and_their_visitors_are_forgotten_and_nobody_else(database: Database) -> None:
    await database.append(
        [
            row(1, user="u1"),
            row(2, user=None, visitor="v1"),
            row(3, user="u1", visitor="v1"),
            row(4, user="u2", visitor="v1"),  # somebody else on the same device
            row(5, user=None, visitor="v2"),
            row(6, user="u2"),
        ]
    )
    assert await database.delete_events_of("u1", ["v1"]) == 3
    assert [decode_event(raw).event_id for raw in await stored(database)] == ["e4", "e5", "e6"]
    assert await database.delete_events_of("u1", ["v1"]) == 0
    assert await database.delete_events_of("v2") == 1
    assert await database.count_events() == 2


async def test_numbers_of_forgotten_events_are_not_used_again(database: Database) -> None:
    await database.append([row(1), row(2)])
    last = [seq async for page in database.read() for seq, _ in page][-1]
    await database.delete_events_of("u")
    await database.append([row(3)])
    assert [seq async for page in database.read(after=last) for seq, _ in page] != []


@pytest.mark.parametrize("choice", [Consent(analytics_storage="denied"), Consent(personalization_storage="denied")])
async def test_without_consent_only_the_fact_is_stored_whatever_the_archiver_hands_in(
    database: Database, choice: Consent
) -> None:
    event = msgspec.structs.replace(
        row(1, visitor="v")[0],
        consent=choice,
        search_term="tent",
        value=9.5,
        currency="EUR",
        transaction_id="t",
        attribution=Attribution("slate"),
        context={"page": "/tents"},
    )
    assert await database.append([(event, encode_event(event))]) == 1
    (payload,) = await stored(database)
    assert payload == encode_event(kept(event))
    assert msgspec.json.decode(payload) == {
        "event": "view_item",
        "event_id": "e1",
        "user_id": "u",
        "visitor_id": "v",
        "consent": msgspec.to_builtins(choice),
        "received_ts": "2026-11-23T18:00:00.123456Z",
        "event_ts": "2026-11-23T18:00:00.123456Z",
    }
    assert await database.append([row(1)]) == 0  # it is counted all the same


async def test_a_choice_to_allow_leaves_the_event_whole(database: Database) -> None:
    allowed = Consent(personalization_storage="granted", analytics_storage="granted")
    event = msgspec.structs.replace(row(1)[0], consent=allowed)
    await database.append([(event, encode_event(event))])
    assert await stored(database) == [encode_event(event)]


@pytest.mark.parametrize(
    "value",
    [
        b'{"event":"no_such","event_id":"x","user_id":"u"}',
        b'{"event":"%s","event_id":"x","user_id":"u"}' % (b"e" * 65),
        b'{"event":"view_item\\u0000","event_id":"x","user_id":"u"}',
        b'{"event":"search","event_id":"x","user_id":"u","received_ts":"0001-01-01T00:00:00+05:00"}',
        b'{"event":"search","event_id":"x","user_id":"u","event_ts":"0001-01-01T00:00:00+05:00"}',
        b'{"event":"$erase","event_id":"x","user_id":"u","context":{"visitor":"%s"}}' % (b"x" * 300),
        b'{"event":"$consent","event_id":"x","user_id":"u","context":{"since":1e300},'
        b'"consent":{"personalization_storage":"granted"}}',
    ],
    ids=["name", "long-name", "nul", "received", "happened", "visitor", "since"],
)
async def test_what_no_table_takes_holds_no_archiver_up(database: Database, value: bytes) -> None:
    async with MemoryLog() as log:
        await log.create([Topic(BEHAVIOR, 1, {})])
        await log.publish(BEHAVIOR, "u", value)
        _, payload = row(1)
        await log.publish(BEHAVIOR, "u", payload)
        archiver = Archiver(
            source=log, topic=BEHAVIOR, group="archiver", database=database,
            forgetting=forgetting_of(database, MemoryExchange(), log), metrics=Metrics(), flush_s=0.01,
        )  # fmt: skip
        stop = asyncio.Event()
        stop.set()
        await archiver.run(stop)
    kept_ids = [decode_event(raw).event_id for raw in await stored(database)]
    assert [event_id for event_id in kept_ids if event_id != "x"] == ["e1"]
