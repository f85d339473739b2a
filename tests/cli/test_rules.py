"""`rec rules` and `rec review`: put, check, list, remove; what waits is decided; all of it is audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from rec.catalog import Item
from rec.config import load_settings
from rec.embedded.announce import announce, deciding
from rec.embedded.home import Home
from rec.store.sql import SqlDatabase
from tests.cli.databases import new_database
from tests.cli.runner import rec, rec_now


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlDatabase:
    return new_database(tmp_path, monkeypatch)


def test_a_rule_is_put_listed_and_removed(database: SqlDatabase) -> None:
    put = rec_now("rules", "put", "summer", "boost", 'category = "camping"', "--factor", "3", "--placement", "home",
                  "--until", "2027-08-31T00:00:00Z", "--why", "a sale", "--json")  # fmt: skip
    assert put.code == 0, put.err
    assert put.lines[0]["rule"]["factor"] == 3
    assert "no worker could be told" in put.err.lower()
    listed = rec_now("rules", "list")
    assert "summer" in listed.out
    assert "boost by 3" in listed.out
    assert rec_now("rules", "remove", "summer", "--why", "autumn", "--json").lines == [
        {"rule_id": "summer", "removed": True}
    ]
    assert rec_now("rules", "list", "--json").lines == []
    assert [entry["action"] for entry in rec_now("audit", "--json").lines] == ["put rule", "remove rule"]
    assert rec_now("rules", "remove", "summer", "--why", "again").code == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("put", "r", "boost", "pric < 5", "--why", "x"), "Did you mean price?"),
        (("put", "r", "pin", "in_stock", "--factor", "3", "--why", "x"), "factor"),
        (("put", "r", "boost", "in_stock", "--why", " "), "why"),
        (("put", "r", "boost", "in_stock"), "--why"),
        (("put", "r", "boost", "in_stock", "--from", "tomorrow", "--why", "x"), "starts_at"),
        (("check", "price < '5'"), "position 9"),
    ],
)
def test_what_is_wrong_is_wrong_use_and_told(database: SqlDatabase, words: tuple[str, ...], told: str) -> None:
    result = rec_now("rules", *words)
    assert result.code == 2
    assert told in result.err


async def test_check_says_what_a_condition_means_and_changes_nothing(database: SqlDatabase) -> None:
    async with database as opened:
        await opened.put_items([
            Item(item_id="a", title="Tent", price=40),
            Item(item_id="b", title="Boat", price=400),
            Item(item_id="c", title="Pan", price=4, in_stock=False),
        ])  # fmt: skip
    found = (await rec("rules", "check", "price < 50", "--json")).lines[0]
    assert (found["items"], found["listed"], found["of"]) == (2, 1, 3)
    assert found["first"][0] == {"item_id": "a", "title": "Tent"}
    assert "2 of 3 items, 1 of them" in (await rec("rules", "check", "price < 50")).err


def test_another_shell_goes_by_the_settings_of_the_rec_up_that_runs(
    database: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".rec").mkdir()
    up = load_settings(rules_need_review=True, bandit_floor=0.4)
    announce(tmp_path / ".rec", {"REC_BROKER_URL": "kafka://127.0.0.1:7", **deciding(up)})
    with Home(tmp_path / ".rec").locked():
        put = rec_now("rules", "put", "hero", "boost", "in_stock", "--why", "front page", "--json")
        assert put.lines[0]["proposal"]["why"] == "front page"
        for name, code in (("a", 0), ("b", 0), ("c", 2)):
            done = rec_now("strategies", "put", f'{{"name":"{name}"}}', "--bandit", "--why", "w")
            assert done.code == code
    assert "3 strategies with 0.4" in done.err


async def test_a_pin_of_an_item_that_is_not_in_the_catalog_is_stored_and_said(database: SqlDatabase) -> None:
    async with database as opened:
        await opened.put_items([Item(item_id="sku_7", title="Tent")])
    wrong = await rec("rules", "put", "hero", "pin", 'item_id = "sku_77"', "--why", "front page", "--json")
    assert wrong.code == 0
    assert "pins nothing as yet: none of the 1 items" in wrong.err
    assert "pins nothing" not in (await rec("rules", "put", "hero", "pin", 'item_id = "sku_7"', "--why", "it is")).err
    assert "nothing" not in (await rec("rules", "put", "out", "exclude", 'item_id = "sku_77"', "--why", "no")).err


async def test_what_waits_is_listed_and_decided(database: SqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REC_RULES_NEED_REVIEW", "true")
    async with database as opened:
        await opened.put_items([Item(item_id="a", title="Odd thing", flagged=True)])
    put = await rec("rules", "put", "hero", "pin", 'item_id = "a"', "--why", "front page")
    assert "waits for a review" in put.err
    waiting = (await rec("review", "list")).out
    assert "pin at 0" in waiting
    assert "Odd thing" in waiting
    assert (await rec("review", "approve", "rule", "hero", "--why", "fine")).code == 0
    assert (await rec("review", "reject", "item", "a", "--why", "not ours")).code == 0
    assert (await rec("review", "approve", "item", "a", "--why", "too late")).code == 1
    assert "nothing waits" in (await rec("review", "list")).err
    removed = await rec("rules", "remove", "hero", "--why", "over", "--json")
    assert removed.lines == [{"rule_id": "hero", "removed": False}]
    assert "hero" in (await rec("rules", "list")).out
