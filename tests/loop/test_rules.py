"""What the shop decides reaches a connected client at once: rules, flagged items, "not interested"."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents import rule_sync
from rec.policy.desk import Desk, StoredRule
from rec.policy.rules import Rule, rule_of
from rec.ports import Hint
from tests.loop.local import Local, local_worker, loop_settings
from tests.loop.test_loop import Screen, happened, publish, shop, until

WITHIN_S = 2.0


@pytest.fixture
async def loop_worker(tmp_path: Path) -> AsyncIterator[Local]:
    async with local_worker(loop_settings(tmp_path), shop()) as local:
        yield local


def desk(loop: Local) -> Desk:
    return Desk(loop.database, "ann", review=False)


def shown(screen: Screen) -> list[str]:
    return [place.item_id for place in screen.last.items]


async def test_a_pin_a_bury_an_exclude_and_a_stock_out_are_seen_within_two_seconds(tmp_path: Path) -> None:
    greedy = loop_settings(tmp_path, strategy={})
    async with local_worker(greedy, shop()) as loop, Screen(loop) as screen:
        first, second = shown(screen)[:2]
        steps: list[tuple[dict[str, Any], Callable[[], bool]]] = [
            ({"effect": "pin", "condition": 'item_id = "toys-3"', "place": 1}, lambda: shown(screen)[1] == "toys-3"),
            ({"effect": "bury", "condition": f'item_id = "{first}"', "factor": 1e6}, lambda: shown(screen)[0] != first),
            ({"effect": "exclude", "condition": f'item_id = "{second}"'}, lambda: second not in shown(screen)),
        ]
        for fields, there in steps:
            before = screen.last.version
            await desk(loop).put(rule_of({"rule_id": fields["effect"], **fields}), "to see it")
            await loop.exchange.hint(Hint("rules", ""))
            async with asyncio.timeout(WITHIN_S):
                while screen.last.version == before or not there():
                    await asyncio.sleep(0.005)
            assert screen.last.cause.kind == "rule"
        item = next(item for item in shop() if item.item_id == "toys-3")
        await loop.database.put_items([msgspec.structs.replace(item, in_stock=False)])
        await loop.exchange.hint(Hint("catalog", ""))
        await until(lambda: "toys-3" not in shown(screen), WITHIN_S)
        await desk(loop).remove("exclude", "enough seen")
        await loop.exchange.hint(Hint("rules", ""))
        await until(lambda: screen.last.cause.kind == "rule" and second in shown(screen), WITHIN_S)


async def test_a_rule_whose_time_comes_and_a_hint_that_is_lost_are_felt_all_the_same(loop_worker: Local) -> None:
    async with Screen(loop_worker) as screen:
        soon = datetime.now(UTC) + timedelta(seconds=0.3)
        fields = {"rule_id": "later", "effect": "pin", "condition": 'item_id = "toys-3"', "starts_at": soon.isoformat()}
        await desk(loop_worker).put(rule_of(fields), "a sale begins")  # and nobody is told
        await until(lambda: shown(screen)[0] == "toys-3", WITHIN_S)
        assert datetime.now(UTC) >= soon


async def test_rules_that_did_not_change_make_no_lists(loop_worker: Local) -> None:
    async with Screen(loop_worker) as screen:
        before = len(screen.slates)
        for _ in range(3):
            await loop_worker.exchange.hint(Hint("rules", ""))
            await asyncio.sleep(0)
        await publish(loop_worker, happened("view_item", "toys-1"))
        await until(lambda: len(screen.slates) == before + 1)
        assert screen.last.cause.kind == "event"


def test_a_rule_that_makes_no_sense_any_more_is_left_aside_and_the_others_hold() -> None:
    good = Rule(rule_id="a", effect="exclude", condition="in_stock")
    bad = Rule(rule_id="b", effect="exclude", condition="a field of another version")
    assert rule_sync.in_force([StoredRule("b", bad), StoredRule("a", good), StoredRule("c", None)]) == [good]


async def test_what_nobody_wants_is_gone_with_the_next_push(loop_worker: Local) -> None:
    async with Screen(loop_worker) as screen:
        await publish(loop_worker, happened("view_item", "toys-1"))
        await until(lambda: len(screen.slates) == 2)
        off = shown(screen)[0]
        started = time.perf_counter()
        await publish(loop_worker, happened("not_interested", off))
        await until(lambda: len(screen.slates) == 3)
        assert off not in shown(screen)
        assert time.perf_counter() - started < WITHIN_S


async def test_a_flagged_item_leaves_the_screen(loop_worker: Local) -> None:
    async with Screen(loop_worker) as screen:
        flagged = shown(screen)[0]
        item = next(item for item in shop() if item.item_id == flagged)
        await loop_worker.database.put_items([msgspec.structs.replace(item, flagged=True)])
        await loop_worker.exchange.hint(Hint("catalog", ""))
        await until(lambda: flagged not in shown(screen))
        await desk(loop_worker).decide_item(flagged, True, "it is harmless")
        await loop_worker.exchange.hint(Hint("catalog", ""))
        await publish(loop_worker, happened("view_item", flagged))
        await until(lambda: flagged in shown(screen))


async def test_a_list_that_is_held_comes_once_with_the_newest_event_and_no_sooner(tmp_path: Path) -> None:
    settings = loop_settings(tmp_path, strategy={"hold_s": 0.4}, sweep_interval_s=30)
    async with local_worker(settings, shop()) as loop, Screen(loop) as screen:
        made = time.perf_counter()
        events = [happened("view_item", f"toys-{n}") for n in range(3)]
        await publish(loop, *events)
        await until(lambda: len(screen.slates) == 2)
        assert time.perf_counter() - made > 0.3
        assert screen.last.cause.event_id == events[-1].event_id
        assert screen.last.version == loop.users[b"u1"].version
