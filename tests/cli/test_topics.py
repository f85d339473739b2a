"""`rec topics` on real brokers: what is there, who is behind, what could not be processed."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from agents.dead_letters import dead_letter
from rec.cli.here import find_server
from rec.config import Settings
from rec.dead_letters import newest_letters
from rec.embedded.announce import announce, announced
from rec.embedded.home import Home
from rec.ports import Record
from rec.store import open_log
from rec.store.memory import MemoryLog
from rec.topics import BEHAVIOR, DEAD_LETTERS, Topic, topics
from tests.cli.runner import rec


def a_letter(k: int, at: float) -> bytes:
    record = Record("behavior", 1, k, at, b"u1", b'{"half": ')
    return msgspec.json.encode(dead_letter(record, "malformed" if k % 2 else "failed", ValueError(f"why {k}"), at))


async def fill(settings: Settings, letters: int) -> None:
    """Topics, ten events, dead letters."""
    async with open_log(settings) as log:
        await log.create(topics(settings))
        behavior = settings.topic(BEHAVIOR)
        await log.publish_many(behavior, [(f"u{k}", b"{}") for k in range(10)])
        now = time.time()
        for k in range(letters):
            await log.publish(settings.topic(DEAD_LETTERS), f"u{k}", a_letter(k, now - letters + k))


async def read_all_and_then_fall_behind(settings: Settings, by: int) -> None:
    """The archiver's group has committed the ten events, and more have come since."""
    behavior = settings.topic(BEHAVIOR)
    async with open_log(settings) as log:
        async with log.group(behavior, f"{settings.app_id}-archiver") as reader:
            read = 0
            while read < 10:
                read += len(await reader.batch(100, 5.0))
            await reader.commit()
        await log.publish_many(behavior, [(f"u{k}", b"{}") for k in range(by)])


async def test_topics_shows_partitions_records_lag_and_dead_letters(world: Settings) -> None:
    await fill(world, letters=3)
    await read_all_and_then_fall_behind(world, by=4)
    done = await rec("topics", "--json")
    assert done.code == 0, done.err
    (shown,) = done.lines
    facts = {topic["name"].removeprefix(world.topic_prefix): topic for topic in shown["topics"]}
    assert (facts["behavior"]["partitions"], facts["behavior"]["records"]) == (2, 14)
    assert facts["dead-letters"]["records"] == 3
    assert facts[world.users_changelog]["config"]["cleanup.policy"] == "compact"
    assert shown["groups"] == [{"group": f"{world.app_id}-archiver", "topic": world.topic(BEHAVIOR), "lag": 4}]
    assert shown["dead_letters"] == {"total": 3, "reasons": {"failed": 2, "malformed": 1}}
    assert shown["missing"] == []

    table = await rec("topics")
    assert table.code == 0
    assert "newest of each key" in table.out
    assert "dead letters: 3 (newest 3: failed 2, malformed 1)" in table.out
    assert "rec topics dead-letters" in table.err


async def test_dead_letters_shows_the_newest_with_their_reasons_and_no_personal_data(world: Settings) -> None:
    await fill(world, letters=5)
    done = await rec("topics", "dead-letters", "--last", "2", "--json")
    assert [(line["offset"], line["reason"]) for line in done.lines] == [(3, "malformed"), (4, "failed")]
    assert not {"key", "payload", "payload_base64"} & set(done.lines[0])
    table = await rec("topics", "dead-letters", "--last", "2")
    assert "behavior[1]@4" in table.out
    assert "ValueError: why 4" in table.out
    assert "half" not in table.out
    assert "u1" not in table.out
    with_payload = await rec("topics", "dead-letters", "--last", "1", "--payload", "--json")
    assert with_payload.lines[0]["payload"] == '{"half": '


async def test_looking_at_a_fresh_broker_creates_nothing(world: Settings) -> None:
    for _ in range(2):
        done = await rec("topics", "--json")
        assert done.code == 0, done.err
        assert done.lines[0]["topics"] == []
        assert len(done.lines[0]["missing"]) == 8
    assert "no dead letters" in (await rec("topics", "dead-letters")).err
    assert "missing: the worker creates it" in (await rec("topics")).out


async def test_a_broker_that_is_away_is_exit_code_4(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:1")
    done = await rec("topics", "--timeout", "0.5")
    assert (done.code, done.out) == (4, "")
    assert "127.0.0.1:1" in done.err
    assert "rec doctor" in done.err


@pytest.mark.parametrize("option", [["--json"], ["--timeout", "1"]])
async def test_options_before_dead_letters_are_refused_and_not_ignored(option: list[str]) -> None:
    done = await rec("topics", *option, "dead-letters")
    assert done.code == 2
    assert f"{option[0]} has no use with `rec topics dead-letters`" in done.err


async def test_an_unreadable_dead_letter_is_shown_as_one() -> None:
    log = MemoryLog()
    await log.create([Topic("dead-letters", 1, {})])
    await log.publish("dead-letters", "k", b"nonsense")
    await log.publish("dead-letters", "k", a_letter(1, time.time() + 60))
    one, two = await newest_letters(log, "dead-letters", 10, 1.0)
    assert (one.letter.reason, two.letter.reason) == ("unreadable dead letter", "malformed")


# ---------------------------------------------------------------- the `rec up` of a folder
def test_what_a_running_rec_up_tells_is_believed_and_what_a_dead_one_told_is_not(tmp_path: Path) -> None:
    assert announced(tmp_path) == {}
    announce(tmp_path, {"REC_BROKER_URL": "kafka://127.0.0.1:7"})
    assert announced(tmp_path) == {}  # nobody ever held the folder
    with Home(tmp_path).locked():
        assert announced(tmp_path) == {"REC_BROKER_URL": "kafka://127.0.0.1:7"}
        file = tmp_path / "running.json"
        assert file.stat().st_mode & 0o077 == 0
    assert announced(tmp_path) == {}  # though its process, this one, lives
    with Home(tmp_path).locked():
        for content in ("nonsense", "[]", '{"env": 3}'):
            file.write_text(content)
            assert announced(tmp_path) == {}


def test_without_a_named_server_the_address_is_the_one_that_rec_up_listens_on(tmp_path: Path) -> None:
    env = {"REC_DATA_DIR": str(tmp_path)}
    (tmp_path / "port").write_text("8090\n")
    for host, url in {
        "::1": "http://[::1]:8090",
        "0.0.0.0": "http://127.0.0.1:8090",
        "shop": "http://shop:8090",
    }.items():
        announce(tmp_path, {"REC_HOST": host})
        with Home(tmp_path).locked():
            assert find_server(None, "key", env).url == url
        assert find_server(None, "key", env).url == "http://127.0.0.1:8090"


async def test_topics_finds_the_rec_up_of_its_folder_unless_another_broker_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".rec").mkdir()
    announce(tmp_path / ".rec", {"REC_BROKER_URL": "kafka://127.0.0.1:7"})
    with Home(tmp_path / ".rec").locked():
        assert "127.0.0.1:7:" in (await rec("topics", "--timeout", "0.3")).err
    monkeypatch.setenv("REC_BROKER_URL", "kafka://127.0.0.1:9")
    assert "127.0.0.1:9:" in (await rec("topics", "--timeout", "0.3")).err
