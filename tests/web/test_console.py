"""What the console asks for: it takes the API key, and says what is there and nothing more."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from rec.catalog import Item
from rec.topics import DEAD_LETTERS
from rec.vitals import Buckets, Vitals, encode_vitals
from tests.unit.shop import after
from tests.unit.shop import event as event_of
from tests.web.test_openapi import check
from tests.web.world import BACKEND, Shop, event

READS = ("/v1/console", "/v1/users", "/v1/items", "/v1/audit", "/v1/dead-letters", "/v1/dead-letters/0-0", "/v1/models",
         "/v1/users/u1/candidates", "/v1/experiments/ab/result")  # fmt: skip


@pytest.mark.parametrize("path", READS)
async def test_nobody_looks_in_without_the_api_key(shop: Shop, path: str) -> None:
    assert (await shop.call("GET", path, {})).status == 401
    assert (await shop.call("GET", path, {"Authorization": "Bearer nonsense"})).status == 401
    assert (await shop.call("GET", path, shop.browser("u1"))).status == 403


def report(name: str, at: float, role: Any = "worker", **counters: dict[str, float]) -> tuple[str, bytes]:
    buckets = Buckets((0.1, 1.0), (1.0, 2.0, 3.0), 4.5)
    vitals = Vitals(role, name, 10.0, at, "0.1.0", counters, {"g": {"": 1.0}}, {"h": buckets})
    return f"{role} {name}", encode_vitals(vitals)


async def test_all_processes_are_gathered_and_a_worker_says_whether_it_serves(shop: Shop) -> None:
    await shop.track(event("u1"))
    await shop.exchange.report(*report("w1", 20.0, events={"moved": 3.0}))
    await shop.exchange.report(*report("h:9", 20.0, "trainer"))
    found = (await shop.call("GET", "/v1/console")).body
    by_role = {process["role"]: process for process in found["processes"]}
    assert list(by_role) == ["trainer", "web", "worker"]
    assert by_role["worker"]["state"] == "ready"
    assert by_role["worker"]["counters"] == {"events": {"moved": 3.0}}
    assert by_role["worker"]["histograms"] == {"h": {"bounds": [0.1, 1.0], "counts": [1.0, 2.0, 3.0], "sum": 4.5}}
    assert by_role["trainer"]["state"] is None
    assert "shunxi_events_ingested" in by_role["web"]["counters"]
    assert (found["model"], found["pinned"]) == (None, None)
    assert found["settings"]["rules_need_review"] is False


async def test_without_redis_the_console_is_told_so(shop: Shop) -> None:
    shop.exchange.away = True
    for path in ("/v1/console", "/v1/users"):
        away = await shop.call("GET", path)
        assert (away.status, away.error["temporary"]) == (503, True)


async def test_who_is_connected_is_listed_and_can_be_found_by_a_part_of_the_id(shop: Shop) -> None:
    async with shop.watching("mia", n=5), shop.watching("tom", n=5):
        assert (await shop.call("GET", "/v1/users")).body == {
            "online": 2,
            "users": [{"user_id": "mia", "screens": {"home": 5}}, {"user_id": "tom", "screens": {"home": 5}}],
        }
        found = (await shop.call("GET", "/v1/users?q=om&n=1")).body
        assert (found["online"], [user["user_id"] for user in found["users"]]) == (2, ["tom"])
    assert (await shop.call("GET", "/v1/users?n=0")).error["field"] == "n"


async def test_the_catalog_is_browsed_page_by_page_with_what_nobody_is_shown(shop: Shop) -> None:
    await shop.database.put_items(
        [Item(item_id=f"i{n}", title=f"Tent {n}", flagged=n == 1, in_stock=n != 2) for n in range(5)]
    )
    first = (await shop.call("GET", "/v1/items?q=TENT&n=3")).body
    assert [(item["item_id"], item.get("flagged", False)) for item in first["items"]] == [
        ("i0", False), ("i1", True), ("i2", False),
    ]  # fmt: skip
    assert (first["total"], first["next"]) == (5, "i2")
    rest = (await shop.call("GET", "/v1/items?q=tent&n=3&after=i2")).body
    assert ([item["item_id"] for item in rest["items"]], rest["next"]) == (["i3", "i4"], None)
    assert (await shop.call("GET", "/v1/items?q=lamp")).body == {"total": 5, "items": [], "next": None}
    assert (await shop.call("GET", "/v1/items?word=x")).error["field"] == "word"


async def test_the_audit_trail_is_told_newest_first(shop: Shop) -> None:
    for n in range(3):
        await shop.database.record("ann", "put rule", f"r{n}", {"why": "x"})
    entries = (await shop.call("GET", "/v1/audit?n=2")).body["entries"]
    assert [entry["target"] for entry in entries] == ["r2", "r1"]
    assert entries[0] | {"at": ""} == {
        "at": "", "actor": "ann", "action": "put rule", "target": "r2", "detail": {"why": "x"},
    }  # fmt: skip


async def test_a_list_is_explained_without_being_stored(shop: Shop) -> None:
    world = shop.worker.world
    world.catalog.upsert([Item(item_id=f"i{n}", title=f"Tent {n}", in_stock=n != 2) for n in range(5)])
    state = after([event_of("view_item", "i1"), event_of("view_item", "i2")], world)
    assert state is not None
    shop.worker.users["u1"] = state
    found = (await shop.call("GET", "/v1/users/u1/candidates?n=2&top=4")).body
    check("Candidates", found)
    fates = {fate["item_id"]: (fate["fate"], fate["because"]) for fate in found["fates"]}
    assert fates["i2"] == ("filter", ["out_of_stock"])
    assert [fate["place"] for fate in found["fates"] if fate["fate"] == "listed"] == [0, 1]
    assert await shop.exchange.latest("u1", "home") is None
    assert (await shop.call("GET", "/v1/users/u1/candidates?top=0")).error["field"] == "top"


async def letter(shop: Shop, n: int, payload: bytes) -> None:
    body = {
        "topic": "behavior", "partition": 3, "offset": n, "reason": "malformed", "error": f"DecodeError: {n}",
        "at": 1_700_000_000.0 + n, "key": "u1", "payload_base64": base64.b64encode(payload).decode(),
    }  # fmt: skip
    await shop.log.publish(shop.settings.topic(DEAD_LETTERS), "u1", msgspec.json.encode(body))


async def test_dead_letters_are_listed_without_what_they_hold_which_is_shown_to_who_asks(shop: Shop) -> None:
    assert (await shop.call("GET", "/v1/dead-letters")).body == {"letters": []}
    await letter(shop, 0, b"old")
    await letter(shop, 1, b"<b>\xff")
    await shop.log.publish(shop.settings.topic(DEAD_LETTERS), "k", b"no letter at all")
    listed = await shop.call("GET", "/v1/dead-letters?n=2")
    unreadable, newest = listed.body["letters"]
    assert unreadable["reason"] == "unreadable dead letter"
    assert newest == {
        "letter_id": "0-1", "topic": "behavior", "partition": 3, "offset": 1, "reason": "malformed",
        "error": "DecodeError: 1", "at": "2023-11-14T22:13:21Z", "bytes": 4,
    }  # fmt: skip
    whole = (await shop.call("GET", "/v1/dead-letters/0-1")).body
    assert whole == {**newest, "key": "u1", "payload": "<b>\ufffd"}
    for gone in ("0-3", "1-0", "0-999"):
        assert (await shop.call("GET", f"/v1/dead-letters/{gone}")).error["code"] == "unknown_dead_letter"
    assert (await shop.call("GET", "/v1/dead-letters/x")).error["field"] == "letter_id"
    shop.log.away = True
    assert (await shop.call("GET", "/v1/dead-letters", BACKEND)).status == 503


# ---------------------------------------------------------------- the page
async def test_the_page_holds_no_data_and_may_load_nothing_from_elsewhere(shop: Shop) -> None:
    page = await shop.call("GET", "/console", {})
    assert page.status == 200
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    for name in ("app.js", "console.css", "style.css", "icon.svg", "dom.js"):
        assert f"/console/{name}" in page.body or name == "dom.js"
        assert (await shop.call("GET", f"/console/{name}", {})).status == 200


@pytest.mark.parametrize("name", ["console.html", "shop.js", "..%2Fshop.js", "console_page.py"])
async def test_nothing_else_leaves_the_folder(shop: Shop, name: str) -> None:
    assert (await shop.call("GET", f"/console/{name}", {})).error["code"] == "no_such_address"
