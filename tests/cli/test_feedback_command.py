"""`rec feedback`: a table for people, one JSON value for scripts; `rec track --slate` sends what it counts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.runner import rec
from tests.client.fake_server import FakeServer

RATE = {"value": 0.125, "low": 0.05, "high": 0.25}
FOUND: dict[str, Any] = {
    "by": "item", "through": 1_700_000_000.0, "lists": 3, "half_life_s": 1.0, "level": 0.95, "prior": {},
    "rows": [{"key": "tent", "seen": 8.0, "clicks": 1.0, "purchases": 0.0, "ctr": RATE, "cvr": RATE}],
}  # fmt: skip


async def test_the_table_has_rates_with_their_intervals(server: FakeServer) -> None:
    server.http["GET /v1/feedback"] = lambda request, body: FOUND
    done = await rec("feedback", "--by", "item")
    assert done.code == 0
    head, row = done.out.splitlines()
    assert head.split()[0] == "item"
    rate = ["12.50%", "5.00%", "–", "25.00%"]
    assert row.split() == ["tent", "8.0", "1.0", *rate, "0.0", *rate]
    assert "3 lists" in done.err


async def test_json_is_the_answer(server: FakeServer) -> None:
    server.http["GET /v1/feedback"] = lambda request, body: FOUND
    done = await rec("feedback", "--by", "item", "--json")
    assert done.lines == [FOUND]


async def test_nothing_yet_is_said_and_is_no_error(server: FakeServer) -> None:
    server.http["GET /v1/feedback"] = lambda request, body: {**FOUND, "rows": [], "through": None}
    done = await rec("feedback")
    assert (done.code, done.out) == (0, "")
    assert "joined" in done.err


@pytest.mark.parametrize("rows", [[], FOUND["rows"]])
async def test_that_nothing_is_joined_since_feedback_is_off_is_said(server: FakeServer, rows: list[Any]) -> None:
    server.http["GET /v1/feedback"] = lambda request, body: {**FOUND, "rows": rows, "joining": False}
    done = await rec("feedback")
    assert done.code == 0
    assert "REC_FEEDBACK=true" in done.err
    assert "yet" not in done.err
    assert bool(done.out) == bool(rows)


async def test_what_rates_are_not_kept_by_is_wrong_use(server: FakeServer) -> None:
    assert (await rec("feedback", "--by", "user")).code == 2


async def test_an_export_refuses_the_options_of_the_rates(server: FakeServer) -> None:
    done = await rec("feedback", "--by", "item", "export", "lists.jsonl")
    assert done.code == 2
    assert "--by has no use with `rec feedback export`" in done.err


async def test_an_impression_names_its_list(server: FakeServer) -> None:
    done = await rec("track", "view_item_list", "tent", "lamp", "--user", "u1", "--slate", "s1")
    assert done.code == 0
    (event,) = server.calls[0].body["events"]
    assert event["attribution"] == {"slate_id": "s1"}
