"""`rec strategies` and `rec experiments`: stored, looked at, dropped, each change with who and why."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rec.cli.audit import actor
from rec.cli.feedback_export import row_of
from rec.feedback import FeedbackExample, Place
from rec.policy.experiments import assigned, experiment_of
from rec.store.sql import SqlDatabase
from tests.cli.databases import new_database
from tests.cli.runner import Result, rec_now

AB = {"name": "ab", "arms": [{"name": "control", "strategy": "calm", "share": 0.5},
                             {"name": "bold", "strategy": "bold", "share": 0.5}]}  # fmt: skip


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    return new_database(tmp_path, monkeypatch)


def put(name: str, *more: str, **values: Any) -> Result:
    return rec_now("strategies", "put", json.dumps({"name": name, **values}), "--why", "to try it", *more)


def trail(database: SqlDatabase) -> list[tuple[str, str, str, str]]:
    async def read() -> list[dict[str, Any]]:
        async with database as opened:
            return await opened.recent()

    return [(e["actor"], e["action"], e["target"], e["detail"]["why"]) for e in asyncio.run(read())]


def test_a_strategy_is_stored_looked_at_and_dropped_and_the_trail_says_who_and_why(database: SqlDatabase) -> None:
    assert "no strategy is stored" in rec_now("strategies", "list").err
    assert put("bold", "--bandit", category_share=0.4).code == 0
    listed = rec_now("strategies", "list")
    assert "bold  yes" in listed.out
    assert '{"category_share":0.4}' in listed.out
    shown = rec_now("strategies", "show", "bold", "--json").lines
    assert shown == [{"strategy": {"name": "bold", "category_share": 0.4}, "bandit": True}]
    assert rec_now("strategies", "drop", "bold", "--why", "it earned less").code == 0
    assert trail(database) == [
        (actor(), "drop strategy", "bold", "it earned less"),
        (actor(), "put strategy", "bold", "to try it"),
    ]


def test_a_bandit_that_learns_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "REC_FEEDBACK=true" in put("bold", "--bandit").err
    assert "REC_FEEDBACK" not in put("bold").err
    monkeypatch.setenv("REC_FEEDBACK", "true")
    assert "REC_FEEDBACK" not in put("bold", "--bandit").err


def test_an_experiment_is_put_from_a_file_stopped_and_dropped(database: SqlDatabase) -> None:
    for name in ("calm", "bold"):
        assert put(name).code == 0
    Path("ab.json").write_text(json.dumps(AB))
    assert rec_now("experiments", "put", "ab.json", "--why", "does it pay?").code == 0
    assert "control 50% calm, bold 50% bold" in rec_now("experiments", "list").out
    refused = rec_now("strategies", "drop", "bold", "--why", "tidy")
    assert refused.code == 2
    assert "'ab' needs 'bold'" in refused.err
    stopped = rec_now("experiments", "stop", "ab", "--why", "it does", "--json").lines
    assert stopped == [{"experiment": "ab", "running": False, "workers_told": False}]
    assert rec_now("experiments", "show", "ab", "--json").lines[0]["running"] is False
    assert rec_now("experiments", "drop", "ab", "--why", "done").code == 0
    assert [line[1] for line in trail(database)[:3]] == ["drop experiment", "put experiment", "put experiment"]


def test_whose_arm_it_is_can_be_asked() -> None:
    for name in ("calm", "bold"):
        put(name)
    rec_now("experiments", "put", json.dumps(AB), "--why", "w")
    arm = assigned(experiment_of(AB), "u1", "home")
    assert arm is not None
    (found,) = rec_now("experiments", "who", "ab", "u1", "--json").lines
    assert found == {"experiment": "ab", "subject": "u1", "placement": "home", "arm": arm.name}
    told = rec_now("experiments", "who", "ab", "u1")
    assert (told.out, told.err) == (f"u1 is in arm {arm.name}, which is {arm.strategy}\n", "")
    assert "subject is empty" in rec_now("experiments", "who", "ab", " ").err


def test_a_result_is_read_from_lists_as_feedback_export_writes_them() -> None:
    for name in ("calm", "bold"):
        put(name)
    rec_now("experiments", "put", json.dumps(AB), "--why", "w")
    experiment, rows, began = experiment_of(AB), [], time.time() + 1
    for at in range(2_000):  # before it began everybody had the same strategy
        rows.append({"subject": f"old{at}", "at": began - 5_000 + at, "reward": at % 2, "placement": "home"})
    for at in range(3_000):
        arm = assigned(experiment, f"u{at}", "home")
        assert arm is not None
        reward = int(at % (3 if arm.name == "bold" else 9) == 0)
        place = Place("tent", 1.0, "knn", 1.0, "", seen=True, reward=reward, actions={})
        seen = began + at
        example = FeedbackExample("s", f"u{at}", 0, "home", arm.strategy, "gate-0", seen, seen, (place,))
        rows.append(row_of(msgspec.structs.replace(example, experiment="ab", arm=arm.name)))
        if at < 100:  # the same strategy, chosen by the bandit
            rows.append(row_of(msgspec.structs.replace(example, user_id=f"u{3_000 + at}")))
    Path("log.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    late = str(began + 200_000)
    (found,) = rec_now("experiments", "result", "ab", "log.jsonl", "--now", late, "--json").lines
    (effect,) = found["effects"]
    assert found["before"] == 2_000
    assert sum(arm["subjects"] for arm in found["arms"].values()) == 3_000
    assert sum(arm["exposed"] for arm in found["arms"].values()) == 3_000
    assert found["otherwise"] == 100
    assert effect["arm"] == "bold"
    assert 0 < effect["low"] < effect["value"] < effect["high"]
    assert effect["verdict"] == "earns more than control"
    told = rec_now("experiments", "result", "ab", "log.jsonl", "--now", late)
    assert "earns more than control" in told.out
    assert "2,000 lists of before" in told.err
    early = rec_now("experiments", "result", "ab", "log.jsonl", "--now", str(began + 2_000), "--json").lines[0]
    assert early["effects"][0]["verdict"].startswith("too early")  # nobody's day is over
    fewer = rec_now("experiments", "result", "ab", "log.jsonl", "--now", late, "--since", str(began + 1_000), "--json")
    assert fewer.lines[0]["before"] == 3_100
    for wrong, field in ((("--now", "nan"), "--now"), (("--since", "inf"), "--since"), (("--since", "5"), "--since")):
        refused = rec_now("experiments", "result", "ab", "log.jsonl", *wrong, "--json")
        assert refused.code == 2
        assert refused.lines[0]["error"]["field"] == field


def test_an_experiment_that_does_not_know_when_it_began_asks_for_it(tmp_path: Path) -> None:
    for name in ("calm", "bold"):
        put(name)
    rec_now("experiments", "put", json.dumps(AB), "--why", "w")
    with sqlite3.connect(tmp_path / "rec.db") as connection:  # as an earlier version stored it
        connection.execute("UPDATE experiments SET body = ?", (json.dumps(AB),))
    Path("log.jsonl").write_text('{"subject":"u1","at":1000,"reward":1}\n')
    refused = rec_now("experiments", "result", "ab", "log.jsonl")
    assert refused.code == 2
    assert "--since" in refused.err
    assert rec_now("experiments", "result", "ab", "log.jsonl", "--since", "900").code == 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("strategies", "put", "{}", "--why", "w"), "an object with a name"),
        (("strategies", "put", '{"name":"a","hue":1}', "--why", "w"), "hue"),
        (("strategies", "put", "gone.json", "--why", "w"), "no such file"),
        (("strategies", "put", '{"name":', "--why", "w"), "not valid JSON"),
        (("strategies", "put", '{"name":"a"}', "--why", " "), "--why is empty"),
        (("strategies", "put", '{"name":"a"}'), "--why"),
        (("experiments", "put", json.dumps(AB), "--why", "w"), "which is not stored"),
    ],
)
def test_what_is_wrong_is_refused_by_its_field(asked: tuple[str, ...], said: str, database: SqlDatabase) -> None:
    done = rec_now(*asked)
    assert done.code == 2
    assert said in done.err
    assert trail(database) == []


@pytest.mark.parametrize("asked", [("strategies", "show", "a"), ("experiments", "show", "a"),
                                   ("strategies", "drop", "a", "--why", "w")])  # fmt: skip
def test_what_is_not_there_is_said(asked: tuple[str, ...]) -> None:
    done = rec_now(*asked)
    assert done.code == 1
    assert "There is no" in done.err
