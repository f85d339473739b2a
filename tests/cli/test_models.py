"""`rec models`: what there is, whether its weights are whole, and that a person's choice holds."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rec.config import load_settings
from rec.errors import ModelError
from rec.model import checkpoint
from rec.ports import Hint, Models, ModelVersion
from rec.store import open_exchange
from rec.store.sql import SqlDatabase
from tests.cli.databases import new_database
from tests.cli.runner import rec, rec_now
from tests.servers import start_embedded_redis


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    return new_database(tmp_path, monkeypatch)


def weights(n: int) -> dict[str, dict[str, Any]]:
    return {"model": {"w": np.full(8, n, np.float32)}, "optimizer": {"m": np.zeros(8, np.float32)}}


def version(n: int) -> ModelVersion:
    """Version n with its weights on disk, where the settings say."""
    url = load_settings().models_location
    return ModelVersion(
        version=f"v{n}",
        parent=f"v{n - 1}" if n > 1 else None,
        state="held",
        digest=checkpoint.save(url, f"v{n}", weights(n), {"offset": 10 * n}),
        offset=10 * n,
        learned_through=datetime(2026, 11, 25, 10, n, tzinfo=UTC),
        created_at=datetime.now(UTC) - timedelta(minutes=65 - n),
        config={"dim": 8},
        metrics={"hr@10": 0.25, "live_hr@10": 0.2, "nll": 3.5},
        url=url,
        note="",
    )


async def fill(database: SqlDatabase, count: int, *went_live: str) -> None:
    async with database as opened:
        for n in range(1, count + 1):
            await opened.record_version(await asyncio.to_thread(version, n))
        for name in went_live:
            await opened.go_live(name)


async def states(database: SqlDatabase) -> tuple[dict[str, str], str | None]:
    async with database as opened:
        return {each.version: each.state for each in await opened.versions()}, await opened.pinned()


async def change(database: Models, name: str, **fields: Any) -> None:
    found = await database.version_of(name)
    assert found is not None
    await database.record_version(found._replace(**fields))


async def change_state(database: SqlDatabase, name: str, state: str) -> None:
    async with database as opened:
        await change(opened, name, state=state)


def damage(name: str, file: str = "model.safetensors") -> None:
    path = Path(".rec/models") / name / file
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")


# ---------------------------------------------------------------- looking
async def test_list_shows_states_ages_and_scores_newest_first(database: SqlDatabase) -> None:
    assert (await rec("models", "list")).err == "there is no version yet\n"
    await fill(database, 3, "v1", "v2")
    done = await rec("models", "list")
    assert done.code == 0
    head, *rows = [line.split() for line in done.out.splitlines()]
    assert " ".join(head) == "state version age learned through (UTC) hr@10 nll parent"
    assert [row[:2] for row in rows] == [["held", "v3"], ["live", "v2"], ["past", "v1"]]
    assert " ".join(rows[0][2:]) == "1 h ago 2026-11-25 10:03:00 0.2500 (live 0.2000) 3.5000 v2"
    lines = (await rec("models", "list", "--json", "--last", "2")).lines
    assert [(line["version"], line["state"], line["pinned"]) for line in lines] == [
        ("v3", "held", False),
        ("v2", "live", False),
    ]
    assert lines[1]["metrics"] == {"hr@10": 0.25, "live_hr@10": 0.2, "nll": 3.5}


async def test_list_marks_what_is_pinned_and_a_live_one_that_is_withdrawn(database: SqlDatabase) -> None:
    await fill(database, 2, "v1")
    async with database as opened:
        await opened.withdraw("v2", "erased")
        await opened.pin("v2")
    done = await rec("models", "list")
    assert "held, pinned" in done.out
    assert "live, withdrawn" in done.out
    assert "v2 is pinned" in done.err
    assert "rec models promote --automatic" in done.err


async def test_show_tells_everything_and_that_the_checksums_hold(database: SqlDatabase) -> None:
    await fill(database, 1)
    done = await rec("models", "show", "v1", "--json")
    assert done.code == 0
    (shown,) = done.lines
    assert (shown["version"], shown["offset"], shown["config"]) == ("v1", 10, {"dim": 8})
    files = ["meta.json", "model.safetensors", "optimizer.safetensors"]
    assert shown["files"] == [{"file": file, "holds": True, "wrong": None} for file in files]
    assert '"learned_through": "2026-11-25T10:01:00Z"' in (await rec("models", "show", "v1")).out


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "meta.json"])
async def test_show_names_the_file_that_is_broken_and_exits_with_1(database: SqlDatabase, file: str) -> None:
    await fill(database, 1)
    damage("v1", file)
    done = await rec("models", "show", "v1", "--json")
    assert done.code == 1
    assert [each["file"] for each in done.lines[0]["files"] if not each["holds"]] == [file]
    assert f"{file}: " in done.err


async def test_weights_of_another_version_under_its_name_are_noticed(database: SqlDatabase) -> None:
    await fill(database, 1)
    async with database as opened:
        await change(opened, "v1", digest="0" * 64)
    assert "these are other weights" in (await rec("models", "show", "v1")).err
    assert (await rec("models", "promote", "v1")).code == 1


async def test_show_tells_what_sql_knows_when_the_weights_are_out_of_reach(database: SqlDatabase) -> None:
    await fill(database, 2)
    async with database as opened:
        await change(opened, "v1", url=None)
        await change(opened, "v2", url="nope://bucket")
    bare = await rec("models", "show", "v1", "--json")
    assert (bare.code, bare.lines[0]["url"], "files" in bare.lines[0]) == (0, None, False)
    away = await rec("models", "show", "v2", "--json")
    assert (away.code, away.lines[0]["version"], away.lines[1]["error"]["code"]) == (3, "v2", "config")


# ---------------------------------------------------------------- choosing
async def test_promote_makes_a_version_live_and_pins_it_until_the_trainer_is_let_go(database: SqlDatabase) -> None:
    await fill(database, 3, "v3")
    done = await rec("models", "promote", "v1", "--note", "the calm one", "--json")
    assert done.code == 0
    assert done.lines == [{"version": "v1", "replaced": "v3", "pinned": "v1", "workers_told": False}]
    assert await states(database) == ({"v3": "past", "v2": "held", "v1": "live"}, "v1")
    async with database as opened:
        live = await opened.live_version()
        assert live is not None
        assert live.note == "the calm one"
        with pytest.raises(ModelError, match="pinned"):
            await opened.go_live("v3")
    again = await rec("models", "promote", "v1")
    assert "v1 is live, and pinned" in again.err
    assert "rec models promote --automatic" in again.err
    assert (await rec("models", "promote", "--automatic", "--json")).lines == [{"pinned": None, "released": "v1"}]
    assert (await states(database))[1] is None
    assert "nothing was pinned" in (await rec("models", "promote", "--automatic")).err


async def test_promote_refuses_what_cannot_serve_and_changes_nothing(database: SqlDatabase) -> None:
    await fill(database, 4, "v4")
    damage("v2")
    async with database as opened:
        await opened.withdraw("v2", "erased")
        await change(opened, "v3", url=None)
    for name, why in (
        ("v1", "is withdrawn"),
        ("v2", "the weights of v2 are broken (model.safetensors: its checksum is wrong)"),
        ("v3", "has no weights"),
        ("v9", "no model version v9"),
    ):
        done = await rec("models", "promote", name)
        assert (done.code, done.out) == (1, "")
        assert why in done.err
        assert "rec models list" in done.err
    assert await states(database) == ({"v4": "live", "v3": "held", "v2": "held", "v1": "withdrawn"}, None)


@pytest.mark.parametrize("arguments", [[], ["v1", "--automatic"]])
async def test_promote_wants_a_version_or_to_let_go(database: SqlDatabase, arguments: list[str]) -> None:
    done = await rec("models", "promote", *arguments)
    assert done.code == 2
    assert "--automatic" in done.err


async def test_rollback_goes_to_what_served_before_and_pins_it(database: SqlDatabase) -> None:
    await fill(database, 5, "v1", "v2", "v3", "v5")  # v4 never served
    done = await rec("models", "rollback", "--json")
    assert done.code == 0
    assert done.lines[0] == {"version": "v3", "replaced": "v5", "pinned": "v3", "workers_told": False}
    damage("v2")
    further = await rec("models", "rollback")
    assert "passed over: the weights of v2 are broken" in further.err
    assert "v1 is live instead of v3, and pinned" in further.err
    expected = {"v5": "rolled_back", "v4": "held", "v3": "rolled_back", "v2": "past", "v1": "live"}
    assert await states(database) == (expected, "v1")


async def test_a_rollback_that_leads_nowhere_says_so(database: SqlDatabase) -> None:
    nothing = await rec("models", "rollback")
    assert nothing.code == 1
    assert "No version is live" in nothing.err
    await fill(database, 2, "v2")
    async with database as opened:
        await opened.withdraw("v2", "erased")
    done = await rec("models", "rollback")
    assert done.code == 1
    assert "there is no way back from v2" in done.err
    assert "rec models promote gate-0" in done.err
    assert await states(database) == ({"v2": "live", "v1": "withdrawn"}, None)


async def test_what_every_installation_begins_with_can_be_chosen_and_is_a_way_back(database: SqlDatabase) -> None:
    await fill(database, 1, "v1")
    done = await rec("models", "promote", "gate-0", "--json")
    assert done.lines == [{"version": "gate-0", "replaced": "v1", "pinned": "gate-0", "workers_told": False}]
    assert await states(database) == ({"gate-0": "live", "v1": "past"}, "gate-0")
    shown = await rec("models", "show", "gate-0", "--json")
    assert (shown.code, shown.lines[0]["state"]) == (0, "live")
    async with database as opened:
        await opened.record_version(await asyncio.to_thread(version, 2))
    await rec("models", "promote", "v2")
    await change_state(database, "v1", "withdrawn")
    assert (await rec("models", "rollback", "--json")).lines[0]["version"] == "gate-0"


async def test_every_choice_is_in_the_audit_trail(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    await fill(database, 2, "v1")
    await rec("models", "promote", "v2")
    await rec("models", "rollback", "--note", "worse")
    await rec("models", "promote", "--automatic")
    entries = (await rec("audit", "--json")).lines
    assert {entry["actor"] for entry in entries} == {"alice"}
    assert [(entry["action"], entry["target"], entry["detail"]) for entry in entries] == [
        ("rec models promote", "v2", {"note": "promoted by hand", "replaced": "v1"}),
        ("rec models rollback", "v1", {"note": "worse", "replaced": "v2"}),
        ("rec models promote", "automatic", {"released": "v1"}),
    ]


# ---------------------------------------------------------------- telling the workers
async def test_without_redis_it_says_that_workers_look_by_themselves(database: SqlDatabase) -> None:
    await fill(database, 1)
    done = await rec("models", "promote", "v1")
    assert done.code == 0
    assert "look by themselves" in done.err


def test_with_redis_the_workers_are_told_which_version_went_live(
    database: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen_while_choosing() -> tuple[list[Hint | None], list[bool]]:
        await fill(database, 2, "v1")
        async with open_exchange(load_settings()) as exchange:
            hints = exchange.hints()
            assert await anext(hints) is None  # listening from here on
            told = [(await rec("models", *words, "--json")).lines[0] for words in (["promote", "v2"], ["rollback"])]
            async with asyncio.timeout(30):
                return [await anext(hints), await anext(hints)], [line["workers_told"] for line in told]

    with start_embedded_redis(tmp_path / "redis") as redis:
        monkeypatch.setenv("REC_REDIS_URL", f"redis://{redis.address}/0")
        assert asyncio.run(listen_while_choosing()) == ([Hint("model", "v2"), Hint("model", "v1")], [True, True])


def test_a_database_without_tables_names_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_DATABASE_URL", f"sqlite:///{tmp_path}/rec.db")
    done = rec_now("models", "list", "--json")
    assert (done.code, done.lines[0]["error"]["code"]) == (3, "config")
    assert "rec migrate" in done.err
