"""How eagerly a list on a screen is replaced: as the strategy that made it says."""

from __future__ import annotations

import asyncio

import pytest

from agents import hold
from agents.hold import Hold
from agents.mailbox import Waiting
from rec.slates import Cause


def event(user_id: str, number: int) -> Waiting:
    return Waiting(user_id, Cause("event", f"e{number}"), float(number))


async def test_each_user_is_held_as_long_as_the_strategy_of_their_list_says() -> None:
    released: asyncio.Queue[Waiting] = asyncio.Queue()
    held = Hold(released.put_nowait)
    held.made("calm", 0.05)
    held.made("eager", 0.0)
    assert not held.keeps(event("eager", 1))
    assert not held.keeps(event("never seen", 1))
    assert held.keeps(event("calm", 1))
    assert held.keeps(event("calm", 2))
    async with asyncio.timeout(30):
        assert await released.get() == event("calm", 2)
    assert released.empty()
    assert not held.keeps(event("calm", 3))


async def test_of_several_screens_of_a_user_the_longest_counts() -> None:
    held = Hold(lambda _: None)
    for hold_s in (3.0, 0.0, 1e-9):
        held.made("u", hold_s)
    assert held.keeps(event("u", 1))


async def test_whose_time_is_over_is_forgotten_when_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hold, "REMEMBERED", 3)
    held = Hold(lambda _: None)
    held.made("stays", 3.0)
    for number in range(10):
        held.made(f"u{number}", 1e-9)
    assert len(held._until) <= 3
    assert held.keeps(event("stays", 1))
