"""`rec doctor`: a fact for everything that works, a command for everything that does not, and always an answer."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from rec.cli import machine_probes
from rec.cli.findings import Finding, Probe, Status, examine, line, ok
from rec.cli.machine_probes import check_disk, check_files, check_secret, existing
from rec.cli.service_probes import Answer, check_archive, check_clock, check_flow, check_ready, check_topics
from rec.config import Settings, load_settings
from rec.errors import Unavailable
from rec.slates import Cause
from rec.store import open_log
from rec.store.kafka.survey import GroupFacts, Survey, TopicFacts
from rec.store.sql import migrate
from rec.store.sql.schema import SCHEMA_HEAD
from rec.topics import BEHAVIOR, topics
from tests.cli.runner import Result, rec
from tests.client.fake_server import FakeServer, a_slate
from tests.servers import start_embedded_redis

KEY, SECRET = "Zk3-9vQw_Lm7xR2tYb5n", "qW3rT9uI7pA5sD1fG8hJ4kL6zX2cV0bN"


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with start_embedded_redis(tmp_path_factory.mktemp("redis")) as server:
        yield f"redis://{server.address}/0"


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeServer]:
    """A server that pushes a list for each event, as the real one does."""
    async with FakeServer() as server:

        async def push(request: web.Request, body: Any) -> Any:
            (event,) = body["events"]
            version = 2 * len(server.event_ids)
            for made in (a_slate(version), a_slate(version + 1, cause=Cause("event", event["event_id"]))):
                await server.sockets[-1].push(made)
            return {"accepted": 1, "duplicates": 0, "rejected": []}

        async def greet(command: dict[str, Any]) -> dict[str, Any]:
            asyncio.get_running_loop().call_later(
                0.01, lambda: greetings.append(asyncio.create_task(server.sockets[-1].push(a_slate(1))))
            )
            return {"recovered": False}

        greetings: list[asyncio.Task[None]] = []
        server.on["subscribe"] = greet
        server.http["POST /v1/events"] = push
        monkeypatch.setenv("REC_URL", server.url)
        monkeypatch.setenv("REC_API_KEY", KEY)
        monkeypatch.setenv("REC_TOKEN_SECRET", SECRET)
        yield server
        await asyncio.gather(*greetings)


def probe(done: Result, name: str) -> dict[str, Any]:
    (found,) = (line for line in done.lines if line["probe"] == name)
    return dict(found)


def statuses(done: Result) -> dict[str, str]:
    return {probe["probe"]: probe["status"] for probe in done.lines}


@pytest.mark.parametrize("broker", ["tansu"], indirect=True)
async def test_a_healthy_world_gives_a_fact_for_each_part_and_exit_code_0(
    world: Settings, redis: str, server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REC_REDIS_URL", redis)
    monkeypatch.setenv("REC_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/rec.db")
    settings = load_settings()
    await migrate(settings.database_url)
    async with open_log(settings) as log:
        await log.create(topics(settings))
    done = await rec("doctor", "--json")
    failed = [probe for probe in done.lines if probe["status"] == "fail"]
    assert failed == []
    assert done.code == 0
    found = statuses(done)
    assert list(found) == [
        "settings", "api key", "token secret", "open files", "disk", "encoder", "device",
        "broker", "topics", "groups", "redis", "database", "server", "clock", "round trip",
        "archive",
    ]  # fmt: skip
    assert found["groups"] == "warn"  # no worker has run yet
    facts = {probe["probe"]: probe["fact"] for probe in done.lines}
    assert "event to push in" in facts["round trip"]
    assert "8 topics as they should be" in facts["topics"]
    assert "revision" in facts["database"]
    assert KEY not in done.out + done.err
    assert SECRET not in done.out + done.err


async def test_a_misspelt_setting_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_SEEEN", "exclude")
    (tmp_path / ".env").write_text("rec_redis_ur=redis://elsewhere\nREC_SEED=3\nOTHER=1\n")
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:1")
    done = await rec("doctor", "--json", "--timeout", "1")
    [settings] = [probe for probe in done.lines if probe["probe"] == "settings"]
    assert settings["status"] == "warn"
    assert settings["fact"] == (
        "nothing reads REC_REDIS_UR (did you mean REC_REDIS_URL?), REC_SEEEN (did you mean REC_SEEN?)"
    )
    assert settings["fix"].startswith("unset REC_REDIS_UR REC_SEEEN")


async def test_migrate_makes_the_schema_where_there_is_none_and_is_done_at_once_where_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_DATABASE_URL", f"sqlite+aiosqlite:///{tmp_path}/deep/rec.db")
    first, second = await rec("migrate", "--json"), await rec("migrate", "--json")
    assert first.lines == second.lines == [{"revision": SCHEMA_HEAD}]


async def test_a_database_of_a_later_version_or_a_damaged_one_is_one_line_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "data" / "rec.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_DATABASE_URL", f"sqlite+aiosqlite:///{path}")
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:1")
    await rec("migrate")

    async def said(status: str, fact: str, fix: str) -> None:
        probes = (await rec("doctor", "--json", "--timeout", "1")).lines
        [database] = [probe for probe in probes if probe["probe"] == "database"]
        assert (database["status"], database["fix"]) == (status, fix)
        assert fact in database["fact"]
        for words in (["migrate"], ["up", "--port", "0", "--data-dir", str(path.parent)]):
            done = await asyncio.to_thread(_run, *words)
            assert done.returncode == 3
            assert "Traceback" not in done.stderr
            assert fact in done.stderr.splitlines()[-1]

    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE alembic_version SET version_num = '0099'")
    later = (
        f"The database is of a later version: revision 0099, where this one knows {SCHEMA_HEAD}. Install that version"
    )
    await said("warn", later, "pip install --upgrade shunxi")
    path.write_bytes(path.read_bytes()[:8192])
    await said("fail", "The database file is damaged", "export REC_DATABASE_URL=…   # another database")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "rec.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


async def test_where_nothing_runs_every_failure_names_its_remedy_and_the_exit_code_is_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "REC_BROKER_URL": "kafka://127.0.0.1:1",
        "REC_REDIS_URL": "redis://127.0.0.1:1/0",
        "REC_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/none.db",
        "REC_URL": "http://127.0.0.1:1",
        "REC_API_KEY": "changeme",
    }.items():
        monkeypatch.setenv(name, value)
    done = await rec("doctor", "--json", "--timeout", "2")
    assert done.code == 1
    failed = {probe["probe"]: probe["fix"] for probe in done.lines if probe["status"] == "fail"}
    assert set(failed) >= {"api key", "token secret", "broker", "topics", "redis", "database", "server", "round trip"}
    assert all(failed.values())
    assert failed["database"] == "rec migrate"

    table = await rec("doctor", "--timeout", "2")
    assert table.code == 1
    assert "✗ broker" in table.out
    assert "→ rec up" in table.out
    assert "failed" in table.err
    assert "Traceback" not in table.out + table.err


async def test_a_wrong_setting_is_named_and_the_server_is_probed_all_the_same(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REC_PARTITIONS", "many")
    done = await rec("doctor", "--json")
    assert done.code == 1
    first = done.lines[0]
    assert "REC_PARTITIONS" in first["fact"]
    assert first["fix"].startswith("unset REC_PARTITIONS")
    assert statuses(done)["round trip"] == "ok"


async def test_a_wrong_key_is_told_from_a_push_that_does_not_come(server: FakeServer) -> None:
    server.http["POST /v1/tokens"] = lambda request, body: web.Response(status=401)
    done = await rec("doctor", "--json", "--timeout", "1")
    assert "REC_API_KEY" in probe(done, "round trip")["fix"]
    del server.http["POST /v1/tokens"]
    server.http["POST /v1/events"] = lambda request, body: {"accepted": 1, "duplicates": 0, "rejected": []}
    done = await rec("doctor", "--json", "--timeout", "1")
    assert probe(done, "round trip")["status"] == "fail"
    assert "no push within" in probe(done, "round trip")["fact"]


# ---------------------------------------------------------------- probes are examined in time, whatever they do
async def test_a_probe_that_hangs_breaks_or_fails_is_a_finding() -> None:
    async def hang() -> Finding:
        await asyncio.Event().wait()
        return ok("never")

    async def break_() -> Finding:
        raise ZeroDivisionError("oops")

    async def away() -> Finding:
        raise Unavailable("redis is away")

    found = [await examine(Probe("x", run, "mend it"), within_s=0.01) for run in (hang, break_, away)]
    assert {(one.status, one.fix) for one in found} == {(Status.FAIL, "mend it")}
    assert ["no answer within" in found[0].fact, "ZeroDivisionError" in found[1].fact, found[2].fact] == [
        True,
        True,
        "redis is away",
    ]


def test_a_fact_of_several_lines_is_shown_on_one() -> None:
    assert "\n" not in line("x", ok("one\n  two")).plain


# ---------------------------------------------------------------- judgments
@pytest.mark.parametrize(
    ("value", "status"),
    [("", "fail"), ("changeme-now-please", "fail"), ("a" * 40, "fail"), ("x7Kq-9Lm", "fail"), (KEY, "ok")],
)
def test_a_secret_must_be_one(value: str, status: str) -> None:
    found = check_secret("REC_API_KEY", value, 16)
    assert found.status == status
    assert not value or value not in found.fact


@pytest.mark.parametrize(
    ("soft", "hard", "status", "fix"),
    [
        (1024, 4096, "warn", "prlimit"),
        (1024, resource.RLIM_INFINITY, "warn", "ulimit -n 21000"),
        (65_536, 65_536, "ok", None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, "ok", None),
    ],
)
def test_open_files_are_compared_with_what_is_promised(soft: int, hard: int, status: str, fix: str | None) -> None:
    found = check_files(soft, hard, 20_000)
    assert found.status == status
    assert (found.fix is None) if fix is None else (fix in (found.fix or ""))


def test_disk_space_has_two_steps(tmp_path: Path) -> None:
    sizes = (machine_probes.DISK_FAIL - 1, machine_probes.DISK_WARN - 1, machine_probes.DISK_WARN)
    assert [check_disk(size, tmp_path).status for size in sizes] == ["fail", "warn", "ok"]
    assert existing(tmp_path / "not" / "yet") == tmp_path.resolve()


@pytest.mark.parametrize(("skew", "status"), [(0.4, "ok"), (-1.5, "ok"), (30, "warn"), (-600, "fail")])
def test_clocks_are_compared(skew: float, status: str) -> None:
    at = 1_700_000_000
    assert check_clock(formatdate(at, usegmt=True), at + 0.5 + skew).status == status


def test_a_server_without_a_date_is_no_failure() -> None:
    assert check_clock("", 0.0).status == "warn"


@pytest.mark.parametrize(
    ("status", "body", "says", "fix"),
    [
        (200, b'{"status":"ready"}', "is ready", None),
        (503, b'{"status":"not ready","checks":{"broker":"ok","workers":"none"}}', "workers: none", "rec worker"),
        (503, b'{"checks":{"redis":"away"}}', "redis: away", "docker compose up -d redis"),
        (503, b"{}", "status 503", "rec up"),
        (200, b"<html>", "something else", "export REC_URL"),
    ],
)
def test_readiness_is_told_by_what_is_not_ready(status: int, body: bytes, says: str, fix: str | None) -> None:
    found = check_ready(Answer(status, "", body, 0.001), "http://x")
    assert says in found.fact
    assert (found.fix or "").startswith(fix or "")


def facts(settings: Settings, **changes: TopicFacts) -> Survey:
    made = {topic.name: TopicFacts(topic.name, topic.partitions, 5, dict(topic.config)) for topic in topics(settings)}
    made.update(changes)
    return Survey(list(made.values()), [])


def test_topics_must_be_there_as_wide_as_set_and_compacted_where_it_counts() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    expected, url, changelog = topics(settings), "kafka://b:9092", settings.users_changelog

    assert check_topics(expected, facts(settings), url).status == "ok"
    missing = check_topics(expected, Survey([], []), url)
    assert (missing.status, missing.fix or "") == ("fail", "rec worker   # creates them when it starts")
    narrow = check_topics(expected, facts(settings, behavior=TopicFacts("behavior", 1, 0, {})), url)
    assert narrow.fix == "export REC_PARTITIONS=1"
    kept = check_topics(
        expected, facts(settings, **{changelog: TopicFacts(changelog, settings.partitions, 0, {})}), url
    )
    assert "--bootstrap-server b:9092" in (kept.fix or "")
    silent = check_topics(
        expected, facts(settings, **{changelog: TopicFacts(changelog, settings.partitions, 0, None)}), url
    )
    assert (silent.status, "does not tell" in silent.fact) == ("ok", True)


def test_groups_that_fall_behind_and_dead_letters_are_worth_a_look() -> None:
    def flow(lag: int, dead: int) -> Finding:
        return check_flow(Survey([TopicFacts("d", 1, dead, {})], [GroupFacts("g", "behavior", lag)]), "d")

    assert flow(3, 0).status == "ok"
    assert (flow(3, 2).status, flow(3, 2).fix) == ("warn", "rec topics dead-letters")
    assert flow(100_000, 0).status == "warn"
    assert check_flow(Survey([], []), "d").fix == "rec worker"


# ---------------------------------------------------------------- the archive
def at(records: int, lag: int | None) -> Survey:
    groups = [] if lag is None else [GroupFacts("a-archiver", "behavior", lag)]
    return Survey([TopicFacts("behavior", 2, records, {})], [*groups, GroupFacts("a", "behavior", 9)])


@pytest.mark.parametrize(
    ("first", "later", "status"),
    [
        (at(10, 0), at(10, 0), "ok"),
        (at(0, None), at(0, None), "ok"),  # nothing was accepted yet
        (at(10, 4), at(10, 0), "ok"),
        (at(10, 4), at(10, 3), "ok"),
        (at(10, 4), at(20, 6), "ok"),  # ten more came, eight were archived
        (at(10, 4), at(10, 4), "fail"),
        (at(10, 4), at(20, 14), "fail"),
        (at(10, None), at(10, None), "fail"),  # no archiver has ever run
        (at(90_000, 80_000), at(90_000, 79_000), "warn"),
    ],
)
def test_an_archive_that_takes_nothing_while_something_waits_has_failed(
    first: Survey, later: Survey, status: str
) -> None:
    found = check_archive(first, later, "a-archiver", "behavior", 2.0)
    assert found.status == status
    if status == "fail":
        assert found.fix == "rec archiver"


async def test_a_stopped_archiver_is_found(world: Settings, server: FakeServer) -> None:
    async with open_log(world) as log:
        await log.create(topics(world))
        await log.publish_many(world.topic(BEHAVIOR), [(f"u{k}", b"{}") for k in range(3)])
        found = probe(await rec("doctor", "--json"), "archive")
        assert (found["status"], found["fix"]) == ("fail", "rec archiver")
        assert "3 accepted records wait" in found["fact"]
        async with log.group(world.topic(BEHAVIOR), f"{world.app_id}-archiver") as reader:
            read = 0
            while read < 3:
                read += len(await reader.batch(10, 5.0))
            await reader.commit()
        assert probe(await rec("doctor", "--json"), "archive")["fact"] == "all 3 accepted records are archived"
