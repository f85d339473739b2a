"""`rec catalog`: products go in by the file, whatever is wrong with one of them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from aiohttp import web
from pyarrow import parquet

from rec.catalog import Item
from rec.config import load_settings
from rec.ports import Hint
from rec.store import open_exchange
from rec.store.sql import SqlDatabase
from tests.cli.databases import new_database
from tests.cli.runner import rec, rec_now
from tests.client.fake_server import FakeServer
from tests.servers import start_embedded_redis

TENT = Item(item_id="1", title="Tent", price=19.9, category="camping", attributes={"colour": "green"})
STOVE = Item(item_id="2", title="Stöve")


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    return new_database(tmp_path, monkeypatch)


def write(name: str, text: str) -> str:
    Path(name).write_text(text)
    return name


async def stored(database: SqlDatabase) -> list[Item]:
    async with database as opened:
        return sorted((await opened.changes(0)).items, key=lambda item: item.item_id)


async def test_items_of_every_kind_of_file_go_in(database: SqlDatabase) -> None:
    write("a.csv", "item_id,title,price,category,colour\n1,Tent,19.9,camping,green\n")
    write("b.jsonl", '{"item_id":2,"title":"Stöve"}\n')
    rows = [{"item_id": n, "title": f"Item {n}", "price": None} for n in (3, 4)]
    parquet.write_table(pa.Table.from_pylist(rows), "c.parquet")
    done = await rec("catalog", "import", "a.csv", "b.jsonl", "c.parquet", "--json")
    assert done.code == 0, done.err
    (summary,) = done.lines
    assert (summary["files"], summary["rows"], summary["imported"], summary["bad"]) == (3, 4, 4, 0)
    assert await stored(database) == [TENT, STOVE, *(Item(item_id=str(n), title=f"Item {n}") for n in (3, 4))]
    assert "4 items imported from 4 rows" in done.err


async def test_columns_that_items_do_not_have_are_told_and_can_be_left_out(database: SqlDatabase) -> None:
    write("a.csv", "item_id,title,customer\n1,Tent,u1\n1,Tent,u2\n")
    kept = await rec("catalog", "import", "a.csv")
    assert "Kept as attributes: customer (--no-attributes leaves them out)" in kept.err
    assert "2 rows imported as 1 items from 2 rows" in kept.err
    assert await stored(database) == [Item(item_id="1", title="Tent", attributes={"customer": "u2"})]
    left = await rec("catalog", "import", "a.csv", "--no-attributes", "--json")
    assert "attributes:" not in left.err
    assert (left.lines[0]["rows"], left.lines[0]["imported"]) == (2, 1)  # items, not rows
    assert await stored(database) == [Item(item_id="1", title="Tent")]


async def test_columns_of_other_names_are_mapped(database: SqlDatabase) -> None:
    write("a.csv", "sku;name;item_id\n2;Stöve;old\n")
    done = await rec("catalog", "import", "a.csv", "--map", "item_id=sku", "--map", "title=name")
    assert done.code == 0, done.err
    assert await stored(database) == [STOVE]


async def test_bad_rows_are_told_by_file_and_line_and_the_others_go_in(database: SqlDatabase) -> None:
    rows = ["item_id,title,price", "1,,", "2,Stöve,", "3,Pan,cheap", "4,Cup,1,2", *(f"b{n},," for n in range(30))]
    write("a.csv", "\n".join(rows))
    done = await rec("catalog", "import", "a.csv", "--json", "--errors", "bad.jsonl")
    assert done.code == 1
    assert await stored(database) == [STOVE]
    (summary,) = done.lines
    assert (summary["rows"], summary["imported"], summary["bad"]) == (34, 1, 33)
    told = done.err.splitlines()
    assert told[0].startswith("a.csv:2: title: is missing")
    assert told[1].startswith("a.csv:4: price: ")
    assert told[2] == "a.csv:5: 4 columns, but the header has 3"
    assert told[20] == "… and 13 more bad rows; all are in bad.jsonl"
    lines = [json.loads(line) for line in Path("bad.jsonl").read_text().splitlines()]
    assert len(lines) == 33
    assert (lines[1]["file"], lines[1]["line"], lines[1]["field"]) == ("a.csv", 4, "price")


async def test_importing_again_is_no_change(database: SqlDatabase) -> None:
    write("a.csv", "item_id,title\n" + "".join(f"{n},Item {n}\n" for n in range(1_200)))
    (first,) = (await rec("catalog", "import", "a.csv", "--json")).lines
    (second,) = (await rec("catalog", "import", "a.csv", "--json")).lines
    assert first["revision"] == second["revision"] == 1_200


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.csv"], 2, "a.csv: There is no column title. Name the one that holds it: --map title=COLUMN"),
        (["a.csv", "--map", "titel=name"], 2, "did you mean title"),
        (["a.csv", "--map", "title=naem"], 2, "did you mean name"),
        (["a.csv", "--map", "title"], 2, "write OURS=THEIRS"),
        (
            ["blank.csv"],
            2,
            "blank.csv: there is no header line, the file is blank. Its first line must name the columns.",
        ),
        (["commas.csv"], 2, "commas.csv: the header line names no columns."),
        (["a.txt"], 2, "what kind of file"),
        (["missing.csv"], 2, "does not exist"),
        (["good.csv", "--api-key", "k"], 2, "--api-key has no use with an import into the database"),
        (["a.csv", "--map", "title=name", "--errors", "no/such/folder"], 3, "--errors no/such/folder"),
    ],
)
async def test_a_usage_error_is_told_before_anything_is_stored(
    database: SqlDatabase, arguments: list[str], code: int, message: str
) -> None:
    write("a.csv", "item_id,name\n1,Tent\n")
    write("a.txt", "item_id,title\n1,Tent\n")
    write("blank.csv", "\n \n")
    write("commas.csv", ",,\n")
    write("good.csv", "item_id,title,name\n1,Tent,Tent\n")
    done = await rec("catalog", "import", "good.csv", *arguments)
    assert (done.code, done.out) == (code, "")
    assert message in done.err
    assert await stored(database) == []


async def test_a_database_without_tables_names_the_command_that_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REC_DATABASE_URL", f"sqlite:///{tmp_path}/rec.db")
    done = await rec("catalog", "import", write("a.csv", "item_id,title\n1,Tent\n"))
    assert done.code == 3
    assert "rec migrate" in done.err


async def test_without_redis_it_says_that_workers_look_by_themselves(database: SqlDatabase) -> None:
    done = await rec("catalog", "import", write("a.csv", "item_id,title\n1,Tent\n"), "--json")
    assert done.code == 0
    assert done.lines[0]["workers_told"] is False
    assert "look by themselves" in done.err


def test_with_redis_the_workers_are_told(
    database: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listen_while_importing() -> tuple[Hint | None, bool]:
        async with open_exchange(load_settings()) as exchange:
            hints = exchange.hints()
            assert await anext(hints) is None  # listening from here on
            done = await rec("catalog", "import", write("a.csv", "item_id,title\n1,Tent\n"), "--json")
            async with asyncio.timeout(30):
                return await anext(hints), done.lines[0]["workers_told"]

    with start_embedded_redis(tmp_path / "redis") as redis:
        monkeypatch.setenv("REC_REDIS_URL", f"redis://{redis.address}/0")
        assert asyncio.run(listen_while_importing()) == (Hint("catalog", ""), True)


async def test_a_server_takes_the_items_where_the_database_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with FakeServer() as server:
        server.http["PUT /v1/items"] = lambda _, body: web.json_response(
            {
                "accepted": len(body["items"]) - 1,
                "rejected": [{"index": 1, "code": "invalid_field", "message": "title: not that one."}],
                "revision": 7,
            }
        )
        write("a.csv", "item_id,title\n1,Tent\n\n2,Stöve\n")
        done = await rec("catalog", "import", "a.csv", "--url", server.url, "--api-key", "key", "--json")
        (call,) = server.calls
    assert done.code == 1
    assert [item["item_id"] for item in call.body["items"]] == ["1", "2"]
    assert done.lines[0]["imported"] == 1
    assert done.lines[0]["revision"] == 7
    assert "a.csv:4: title: not that one." in done.err


def test_a_terminal_gets_a_bar(database: SqlDatabase, tmp_path: Path) -> None:
    write("a.csv", "item_id,title\n" + "".join(f"{n},Item {n}\n" for n in range(20_000)))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "rec.cli", "catalog", "import", "a.csv"]
    process = subprocess.Popen(command, stderr=theirs, cwd=tmp_path, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 65_536):
            shown += chunk
    except OSError:  # Linux's way to say that the other end is closed
        pass
    finally:
        os.close(ours)
    assert process.wait(30) == 0
    assert b"importing items" in shown
    assert b"rows" in shown
    assert b"20,000 items imported" in shown


def test_show_and_count(database: SqlDatabase) -> None:
    write("a.jsonl", '{"item_id":"1","title":"Tent","price":19.9,"category":"camping","colour":"green"}\n')
    assert rec_now("catalog", "import", "a.jsonl").code == 0
    assert rec_now("catalog", "show", "1", "--json").lines == [
        {"item_id": "1", "title": "Tent", "category": "camping", "price": 19.9, "attributes": {"colour": "green"}}
    ]
    assert '  "title": "Tent"' in rec_now("catalog", "show", "1").out
    assert rec_now("catalog", "count").out == "1\n"
    assert rec_now("catalog", "count", "--json").lines == [{"items": 1}]
    missing = rec_now("catalog", "show", "7")
    assert (missing.code, missing.out) == (1, "")
    assert "no item '7'" in missing.err


async def test_blank_lines_before_the_header_are_no_header(database: SqlDatabase) -> None:
    done = await rec("catalog", "import", write("a.csv", "\n\nitem_id,title\n2,Stöve\n,\n"))
    assert done.code == 1
    assert "a.csv:5: item_id: is missing" in done.err
    assert await stored(database) == [STOVE]


def test_an_error_is_data_when_json_was_asked_for_and_the_exit_code_stays(database: SqlDatabase) -> None:
    missing = rec_now("catalog", "show", "nope", "--json")
    assert missing.code == rec_now("catalog", "show", "nope").code == 1
    (said,) = missing.lines
    assert (said["error"]["code"], said["error"]["field"], said["error"]["temporary"]) == (
        "not_found",
        "item_id",
        False,
    )
    assert said["error"]["message"] in missing.err
    wrong = rec_now("catalog", "show", "--json")
    assert (wrong.code, wrong.lines[0]["error"]["code"]) == (2, "usage")
    assert "Missing argument" in wrong.lines[0]["error"]["message"]
    assert rec_now("catalog", "show", "--", "--json").out == ""  # an item of that name


# ---------------------------------------------------------------- audit
async def test_an_import_is_recorded_with_its_counts_and_who_ran_it(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "alice")
    write("a.csv", "item_id,title\n1,Tent\n2,Stöve\n3,\n")
    assert (await rec("audit")).out == ""
    assert (await rec("catalog", "import", "a.csv")).code == 1
    (entry,) = (await rec("audit", "--json")).lines
    assert (entry["actor"], entry["action"], entry["target"]) == ("alice", "rec catalog import", "catalog")
    assert entry["detail"] == {"files": ["a.csv"], "rows": 3, "imported": 2, "bad": 1, "revision": 2}
    shown = await rec("audit")
    assert "alice" in shown.out
    assert "rec catalog import" in shown.out


async def test_an_import_that_ends_early_is_recorded_as_far_as_it_came(
    database: SqlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.csv", "item_id,title\n1,Tent\n")
    done = await rec("catalog", "import", "a.csv", "--errors", "no/such/folder")
    assert done.code == 3
    (entry,) = (await rec("audit", "--json")).lines
    assert (entry["detail"]["ended_early"], entry["detail"]["imported"]) == ("ConfigError", 0)


async def test_audit_shows_the_newest_entries_newest_last_and_none_of_their_control_characters(
    database: SqlDatabase,
) -> None:
    async with database as opened:
        for n in range(5):
            await opened.record("api key", "delete item", "catalog", {"first": [f"{n}\x1b[2J"]})
    done = await rec("audit", "--last", "2", "--json")
    assert [entry["detail"]["first"][0][0] for entry in done.lines] == ["3", "4"]
    assert "\x1b" not in (await rec("audit")).out
