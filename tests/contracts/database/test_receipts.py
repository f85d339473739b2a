"""Erasure receipts and the audit trail."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from rec.errors import NotFound
from rec.ports import Database, Erasure

NOW = datetime(2026, 11, 23, 18, 0, 0, 123456, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def receipt_of(database: Database, erasure_id: str) -> Erasure:
    receipt = await database.get_erasure(erasure_id)
    assert receipt is not None
    return receipt


async def test_a_receipt_lists_what_was_removed_where_and_when(database: Database) -> None:
    await database.open_erasure("x1", "hash", NOW)
    await database.add_step("x1", "redis", 3, later(2))
    await database.add_step("x1", "archive", 40, later(1), note="aggregates stay")
    receipt = await receipt_of(database, "x1")
    assert receipt[:3] == ("x1", "hash", NOW)
    assert receipt.steps == [
        {"store": "archive", "removed": 40, "at": later(1), "note": "aggregates stay"},
        {"store": "redis", "removed": 3, "at": later(2), "note": ""},
    ]
    assert await database.get_erasure("x2") is None


async def test_a_step_told_again_replaces_its_line(database: Database) -> None:
    await database.open_erasure("x", "hash", NOW)
    await database.add_step("x", "redis", 3, later(1))
    await database.add_step("x", "redis", 4, later(2), note="again")
    receipt = await receipt_of(database, "x")
    assert receipt.steps == [{"store": "redis", "removed": 4, "at": later(2), "note": "again"}]


async def test_a_step_told_again_never_says_that_less_went(database: Database) -> None:
    await database.open_erasure("x", "hash", NOW)
    await database.add_step("x", "redis", 3, later(1))
    await database.add_step("x", "redis", 0, later(2), note="handled twice")
    receipt = await receipt_of(database, "x")
    assert receipt.steps == [{"store": "redis", "removed": 3, "at": later(1), "note": ""}]


async def test_opening_an_erasure_again_changes_nothing(database: Database) -> None:
    await database.open_erasure("x", "hash", NOW)
    await database.add_step("x", "redis", 3, later(1))
    await database.open_erasure("x", "hash", later(60))
    receipt = await receipt_of(database, "x")
    assert receipt.requested_at == NOW
    assert len(receipt.steps) == 1


async def test_a_step_of_no_erasure_is_refused(database: Database) -> None:
    with pytest.raises(NotFound):
        await database.add_step("x", "redis", 3, NOW)


async def test_whoever_was_erased_is_suppressed_since_the_last_time(database: Database) -> None:
    assert await database.suppressed() == {}
    await database.open_erasure("x1", "a", NOW)
    await database.open_erasure("x2", "b", later(10))
    await database.open_erasure("x3", "a", later(20))
    assert await database.suppressed() == {"a": later(20), "b": later(10)}
    assert await database.suppressed(later(10)) == {"a": later(20), "b": later(10)}
    assert await database.suppressed(later(10.5)) == {"a": later(20)}
    assert await database.suppressed(later(30)) == {}


async def test_all_receipts_are_read_the_oldest_first(database: Database) -> None:
    assert await database.erasures() == []
    await database.open_erasure("x2", "b", later(10))
    await database.open_erasure("x1", "a", NOW)
    await database.add_step("x1", "redis", 1, later(2))
    await database.add_step("x1", "archive", 2, later(1))
    assert await database.erasures() == [await database.get_erasure("x1"), await database.get_erasure("x2")]


async def test_when_somebody_was_last_erased_is_known(database: Database) -> None:
    await database.open_erasure("x1", "a", later(5))
    await database.open_erasure("x2", "a", NOW)
    assert await database.erased_at("a") == later(5)
    assert await database.erased_at("b") is None


async def test_times_are_kept_as_instants_whatever_their_zone(database: Database) -> None:
    india = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await database.open_erasure("x", "hash", india)
    await database.add_step("x", "redis", 1, india)
    receipt = await receipt_of(database, "x")
    assert receipt.requested_at == NOW
    assert receipt.requested_at.utcoffset() == timedelta(0)
    assert receipt.steps[0]["at"].utcoffset() == timedelta(0)


async def test_the_audit_trail_is_read_newest_first(database: Database) -> None:
    started = datetime.now(UTC)
    for n in range(3):
        await database.record("operator", "promote", f"model-{n}", {"n": n, "why": {"better": True}})
    entries = await database.recent(2)
    assert [entry["target"] for entry in entries] == ["model-2", "model-1"]
    assert entries[0]["detail"] == {"n": 2, "why": {"better": True}}
    assert (entries[0]["actor"], entries[0]["action"]) == ("operator", "promote")
    assert started <= entries[1]["at"] <= entries[0]["at"] <= datetime.now(UTC)
    assert len(await database.recent()) == 3


async def test_a_ping_tells_how_long_it_took(database: Database) -> None:
    assert 0 <= await database.ping_database() < 5
