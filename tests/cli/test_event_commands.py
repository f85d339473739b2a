"""`rec events`: history goes in once, comes out by day, and goes through the loop again."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.dataset as ds
import pytest

from rec.config import Settings
from rec.events import Attribution, Consent, Event, EventItem, decode_event, encode_event
from rec.ports import Record
from rec.privacy import user_hash
from rec.store import open_log
from rec.store.sql import SqlDatabase
from rec.topics import BEHAVIOR
from tests.cli.databases import new_database
from tests.cli.runner import rec, rec_now

DAY = datetime(2026, 11, 1, tzinfo=UTC)
CLICKS = "user,product,timestamp\nu1,a,2026-11-01T10:00:00Z\nu2,b,2026-11-02T10:00:00Z\nu1,c,2026-11-03T10:00:00Z\n"
MAPPED = ("--event", "view_item", "--map", "user_id=user", "--map", "item_id=product", "--map", "event_ts=timestamp")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    return new_database(tmp_path, monkeypatch)


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


async def archived(database: SqlDatabase) -> list[Event]:
    async with database as opened:
        return [decode_event(raw) async for page in opened.read() for _, raw in page]


async def append(database: SqlDatabase, *events: Event) -> None:
    async with database as opened:
        await opened.append([(event, encode_event(event)) for event in events])


def an_event(n: int, at: datetime, **details: Any) -> Event:
    stamps = {"event_ts": at, "received_ts": at + timedelta(seconds=1)}
    items = (EventItem(f"sku_{n}", index=n, price=9.5), EventItem("b"))
    return Event(event="view_item", event_id=f"e{n}", user_id=f"u{n % 2}", items=items, **(stamps | details))


# ---------------------------------------------------------------- import
async def test_history_goes_into_the_archive_with_its_own_times(database: SqlDatabase) -> None:
    done = await rec("events", "import", write("a.csv", CLICKS), *MAPPED, "--json")
    assert done.code == 0, done.err
    (summary,) = done.lines
    assert (summary["rows"], summary["imported"], summary["repeated"], summary["bad"]) == (3, 3, 0, 0)
    events = await archived(database)
    assert [(e.user_id, e.items[0].item_id) for e in events] == [("u1", "a"), ("u2", "b"), ("u1", "c")]
    assert all(e.event_ts == e.received_ts for e in events)
    assert events[1].event_ts == datetime(2026, 11, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize("time_format", ["%Q", "%d/%m/%", "%d %d"])
async def test_a_time_format_that_is_none_is_one_usage_error_before_any_row(
    database: SqlDatabase, time_format: str
) -> None:
    done = await rec("events", "import", write("a.csv", CLICKS), *MAPPED, "--time-format", time_format)
    assert done.code == 2
    assert f"--time-format {time_format!r}: " in done.err
    assert "a.csv:" not in done.err
    assert await archived(database) == []


async def test_a_shops_own_names_of_events_and_times_are_understood(database: SqlDatabase) -> None:
    text = "event,user_id,item_id,event_ts\nbuy,u1,a,23/11/2026 17:46\nview_item,u1,b,23.11.2026\nview_item,u1,b,\n"
    foreign = ("--alias", "buy=purchase", "--time-format", "%d/%m/%Y %H:%M")
    done = await rec("events", "import", write("own.csv", text), *foreign)
    assert done.code == 1
    assert "own.csv:3: event_ts: '23.11.2026' is not written as --time-format '%d/%m/%Y %H:%M' says." in done.err
    assert "own.csv:4: event_ts: is missing" in done.err
    (event,) = await archived(database)
    assert (event.event, event.event_ts) == ("purchase", datetime(2026, 11, 23, 17, 46, tzinfo=UTC))
    assert (await rec("events", "import", "own.csv", "--alias", "buy=bought")).code == 2


async def test_importing_again_changes_nothing_whatever_the_file_is_called(database: SqlDatabase) -> None:
    await rec("events", "import", write("a.csv", CLICKS), *MAPPED)
    header, *rows = CLICKS.splitlines()
    again = "\n".join([header, *reversed(rows), "u3,d,2026-11-03T10:00:00Z"])
    done = await rec("events", "import", write("b.csv", again), *MAPPED, "--json")
    assert (done.lines[0]["imported"], done.lines[0]["repeated"]) == (1, 3)
    assert len(await archived(database)) == 4


async def test_bad_rows_and_columns_that_go_nowhere_are_told(database: SqlDatabase) -> None:
    rows = [
        '{"event":"Product Added","user_id":7,"event_ts":1793527200,"items":[{"item_id":"a"}]}',
        '{"event":"lick_item","user_id":"u","event_ts":1793527200,"item_id":"a"}',
        '{"event":"search","visitor_id":"v","event_ts":"2026-11-01","search_term":"tent"}',
        '{"event":"search","event_ts":"2026-11-01","search_term":"tent"}',
    ]
    done = await rec("events", "import", write("a.jsonl", "\n".join(rows)))
    assert done.code == 1
    assert "a.jsonl:2: There is no event 'lick_item'" in done.err
    assert "a.jsonl:4: Nobody is named" in done.err
    assert [event.event for event in await archived(database)] == ["add_to_cart", "search"]
    done = await rec("events", "import", write("b.csv", "event,user_id,event_ts,item_id,mood,age\n"))
    assert (done.code, "left out: age, mood" in done.err) == (0, True)


async def test_without_consent_only_the_fact_goes_in(database: SqlDatabase) -> None:
    text = "event,user_id,event_ts,item_id,analytics_storage\nview_item,u,2026-11-01,a,denied\n"
    assert (await rec("events", "import", write("a.csv", text))).code == 0
    (event,) = await archived(database)
    assert (event.user_id, event.items, event.consent) == ("u", (), Consent(analytics_storage="denied"))


async def test_an_import_does_not_bring_back_whoever_was_erased(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "k" * 32
    async with database as opened:
        await opened.open_erasure("x", user_hash(secret, "u1"), datetime(2026, 11, 2, tzinfo=UTC))
    refused = await rec("events", "import", write("a.csv", CLICKS), *MAPPED)
    assert (refused.code, "REC_ERASURE_SECRET" in refused.err) == (3, True)
    monkeypatch.setenv("REC_ERASURE_SECRET", secret)
    done = await rec("events", "import", "a.csv", *MAPPED, "--json")
    assert (done.lines[0]["imported"], done.lines[0]["erased"]) == (2, 1)
    assert [(e.user_id, e.items[0].item_id) for e in await archived(database)] == [("u2", "b"), ("u1", "c")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "--map event=COLUMN --map event_ts=COLUMN"),
        (("--event", "lick_item"), "--event lick_item: there is no such event"),
        (("--event", "view_item"), "--map event_ts=COLUMN"),
        ((*MAPPED, "--map", "itemid=product"), "did you mean item_id"),
    ],
)
async def test_a_usage_error_is_told_before_anything_is_stored(
    database: SqlDatabase, arguments: tuple[str, ...], message: str
) -> None:
    done = await rec("events", "import", write("a.csv", CLICKS), *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


# ---------------------------------------------------------------- log
@pytest.fixture
def log_world(world: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A world on a real broker, with a database of its own."""
    new_database(tmp_path, monkeypatch)
    return world


async def published(settings: Settings, count: int) -> list[Record]:
    """The first `count` records of the behavior topic, once they are there."""
    records: list[Record] = []
    async with open_log(settings) as log, asyncio.timeout(20):
        async for batch in log.tail(settings.topic(BEHAVIOR)):
            records += batch
            if len(records) >= count:
                break
    return records


async def test_history_goes_to_the_log_keyed_by_its_user(log_world: Settings) -> None:
    done = await rec("events", "import", write("a.csv", CLICKS), *MAPPED, "--to", "log", "--json")
    assert done.code == 0, done.err
    assert done.lines[0]["imported"] == 3
    records = await published(log_world, 3)
    events = [decode_event(record.value or b"") for record in records]
    assert sorted((event.subject, event.items[0].item_id) for event in events) == [
        ("u1", "a"),
        ("u1", "c"),
        ("u2", "b"),
    ]
    assert [record.key.decode() for record in records] == [event.subject for event in events]


async def test_waiting_for_a_worker_that_is_not_there_ends_and_says_so(
    log_world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rec.cli.folded.STALL_S", 0.1)
    done = await rec("events", "import", write("a.csv", CLICKS), *MAPPED, "--to", "log", "--wait")
    assert done.code == 5
    assert "no worker has folded an event" in done.err
    assert "rec doctor" in done.err
    assert (await rec("events", "import", "a.csv", *MAPPED, "--wait")).code == 2


async def test_the_archive_is_replayed_into_the_log_from_a_time_on(log_world: Settings) -> None:
    database = SqlDatabase(f"sqlite:///{Path.cwd()}/rec.db")
    events = [an_event(n, DAY + timedelta(hours=n)) for n in range(6)]
    await append(database, *events)
    done = await rec("events", "replay", "--since", "2026-11-01T02:00", "--speed", "1e6", "--json")
    assert done.code == 0, done.err
    assert done.lines[0]["replayed"] == 4
    records = await published(log_world, 4)
    assert [decode_event(record.value or b"") for record in records if record.key == b"u1"] == [events[3], events[5]]


def test_a_broker_that_is_away_is_told(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:1")
    done = rec_now("events", "replay")
    assert (done.code, done.out) == (4, "")


def test_a_time_that_is_none_is_a_usage_error(database: SqlDatabase) -> None:
    done = rec_now("events", "replay", "--since", "yesterday")
    assert (done.code, "ISO 8601" in done.err) == (2, True)


# ---------------------------------------------------------------- export
def exported(folder: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.dataset(folder, partitioning="hive").to_table().to_pylist()
    return sorted(rows, key=lambda row: str(row["event_id"]))


async def test_events_come_out_by_day_with_typed_columns(database: SqlDatabase) -> None:
    full = an_event(
        1,
        DAY + timedelta(hours=23, minutes=59, microseconds=7),
        visitor_id="v",
        session_id="s",
        attribution=Attribution("slate", 42),
        search_term="tent",
        value=9.5,
        currency="EUR",
        transaction_id="t",
        consent=Consent(personalization_storage="granted", ad_storage="denied"),
        context={"page": "/"},
    )
    await append(database, full, an_event(2, DAY + timedelta(days=1)), an_event(3, DAY))
    done = await rec("events", "export", "--out", "out", "--json")
    assert done.code == 0, done.err
    assert (done.lines[0]["events"], done.lines[0]["days"]) == (3, {"2026-11-01": 2, "2026-11-02": 1})
    assert sorted(place.name for place in Path("out").iterdir()) == ["day=2026-11-01", "day=2026-11-02"]
    first, second, third = exported("out")
    assert first == {
        "event_id": "e1",
        "event": "view_item",
        "user_id": "u1",
        "visitor_id": "v",
        "session_id": "s",
        "event_ts": full.event_ts,
        "received_ts": full.received_ts,
        "client_ts": None,
        "items": [
            {"item_id": "sku_1", "index": 1, "price": 9.5, "quantity": None},
            {"item_id": "b", "index": None, "price": None, "quantity": None},
        ],
        "slate_id": "slate",
        "slate_version": 42,
        "search_term": "tent",
        "value": 9.5,
        "currency": "EUR",
        "transaction_id": "t",
        "personalization_storage": "granted",
        "analytics_storage": None,
        "ad_storage": "denied",
        "ad_personalization": None,
        "context": '{"page":"/"}',
        "day": "2026-11-01",
    }
    assert (second["day"], third["day"], third["slate_id"]) == ("2026-11-02", "2026-11-01", None)


async def test_what_was_exported_can_be_imported_as_it_was(
    database: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [an_event(n, DAY + timedelta(hours=n), context={"n": n}, value=n + 0.5) for n in range(30)]
    events.append(an_event(30, DAY, attribution=Attribution("sl", 3), consent=Consent(analytics_storage="granted")))
    await append(database, *events)
    assert (await rec("events", "export", "--out", "out")).code == 0
    other = tmp_path / "other"
    other.mkdir()
    files = [str(path) for path in (tmp_path / "out").glob("*/*.parquet")]
    fresh = await asyncio.to_thread(new_database, other, monkeypatch)
    done = await rec("events", "import", *files)
    assert done.code == 0, done.err
    assert "left out" not in done.err
    assert sorted(await archived(fresh), key=lambda e: int(e.event_id[1:])) == events


async def test_exporting_again_replaces_its_days_and_takes_out_who_was_erased(database: SqlDatabase) -> None:
    await append(database, *(an_event(n, DAY + timedelta(days=n)) for n in range(4)))
    Path("out/day=other").mkdir(parents=True)
    assert (await rec("events", "export", "--out", "out")).code == 0
    async with database as opened:
        assert await opened.delete_events_of("u1") == 2
        late = an_event(8, DAY + timedelta(days=2, hours=1))
        await opened.append([(late, encode_event(late))])
    span = ("--since", "2026-11-02", "--until", "2026-11-04")
    done = await rec("events", "export", "--out", "out", *span, "--json")
    assert done.lines[0]["days"] == {"2026-11-03": 2}
    days = sorted(place.name for place in Path("out").iterdir())
    assert days == ["day=2026-11-01", "day=2026-11-03", "day=2026-11-04", "day=other"]  # the 4th: outside the span
    assert [row["event_id"] for row in exported("out")] == ["e0", "e2", "e3", "e8"]


async def test_an_export_that_fails_leaves_the_last_one(database: SqlDatabase) -> None:
    await append(database, an_event(1, DAY))
    assert (await rec("events", "export", "--out", "out")).code == 0
    async with database as opened:
        broken = msgspec.structs.replace(an_event(2, DAY), event_id="broken")
        await opened.append([(an_event(3, DAY), encode_event(an_event(3, DAY))), (broken, b"not JSON")])
    with pytest.raises(msgspec.DecodeError):
        await rec("events", "export", "--out", "out")
    assert [place.name for place in Path("out").iterdir()] == ["day=2026-11-01"]
    assert [row["event_id"] for row in exported("out")] == ["e1"]


def test_a_folder_that_cannot_be_written_is_told(database: SqlDatabase) -> None:
    Path("file").write_text("")
    done = rec_now("events", "export", "--out", "file/out")
    assert (done.code, "--out file/out" in done.err) == (3, True)


def test_files_of_many_days_are_written_with_few_of_them_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rec import export

    monkeypatch.setattr(export, "MAX_OPEN", 2)
    monkeypatch.setattr(export, "MAX_HELD_ROWS", 10)
    monkeypatch.setattr(export, "GROUP_ROWS", 4)
    files = export.DayFiles(tmp_path / "out")
    days = [DAY + timedelta(days=n * 7 % 5) for n in range(60)]
    for n, day in enumerate(days):
        files.add([an_event(n, day)])
    files.finish()
    files.discard()
    rows = exported(str(tmp_path / "out"))
    assert len(rows) == 60
    assert all(row["day"] == str(row["event_ts"].date()) for row in rows)
    assert files.rows == {date(2026, 11, 1) + timedelta(days=n): 12 for n in range(5)}
    assert len(list((tmp_path / "out").glob("day=2026-11-01/part-*.parquet"))) > 1


@pytest.mark.parametrize("command", [("export", "--out", "out"), ("replay",)])
@pytest.mark.parametrize("until", ["2026-11-01", "2026-11-25"])
def test_a_span_that_ends_before_it_begins_is_a_usage_error(
    database: SqlDatabase, command: tuple[str, ...], until: str
) -> None:
    done = rec_now("events", *command, "--since", "2026-11-25", "--until", until)
    assert done.code == 2
    assert "--until" in done.err
    assert not Path("out").exists()


async def test_an_import_of_events_is_recorded(database: SqlDatabase) -> None:
    Path("a.jsonl").write_text('{"event":"view_item","user_id":"u1","item_id":"x","event_ts":"2026-11-01T00:00:00Z"}\n')
    assert (await rec("events", "import", "a.jsonl")).code == 0
    (entry,) = (await rec("audit", "--json")).lines
    assert (entry["action"], entry["target"], entry["detail"]["imported"]) == ("rec events import", "archive", 1)
    assert "u1" not in str(entry)


async def test_a_replay_that_reaches_no_broker_is_not_recorded_for_it_did_nothing(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:1")
    assert (await rec("events", "replay", "--json")).lines[0]["error"]["code"] == "unavailable"
    assert (await rec("audit", "--json")).lines == []
