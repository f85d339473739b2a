"""Who looks: the view that is read whole, and what is heard while it is read."""

from __future__ import annotations

import asyncio

import pytest

from agents.presence import Presence
from rec.errors import Unavailable
from rec.ports import Wanted
from rec.store.memory import MemoryExchange


class Slow(MemoryExchange):
    """What `online` read is given when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.read, self.go_on, self.fails = asyncio.Event(), asyncio.Event(), False

    async def online(self) -> list[Wanted]:
        found = await super().online()
        self.read.set()
        await self.go_on.wait()
        if self.fails:
            raise Unavailable("Redis is away")
        return found


@pytest.fixture
async def exchange() -> Slow:
    exchange = Slow()
    for user_id in ("stays", "leaves", "changes"):
        await exchange.announce("web-1", Wanted(user_id, {"home": 10}))
    return exchange


async def reading(exchange: Slow, presence: Presence) -> asyncio.Task[None]:
    """A reload that has read, and not come back."""
    exchange.read.clear()
    reload = asyncio.create_task(presence.reload())
    await exchange.read.wait()
    return reload


async def test_who_comes_leaves_or_changes_while_the_view_is_read_is_not_lost(exchange: Slow) -> None:
    presence = Presence(exchange)
    reload = await reading(exchange, presence)
    presence.note(Wanted("comes", {"home": 20}))
    presence.note_one("opens", "cart", 5)
    presence.note(Wanted("leaves", {}))
    presence.note(Wanted("changes", {"cart": 3}))
    exchange.go_on.set()
    await reload
    assert {user_id: dict(presence.screens(user_id)) for user_id in presence} == {
        "stays": {"home": 10},
        "changes": {"cart": 3},
        "comes": {"home": 20},
        "opens": {"cart": 5},
    }


async def test_a_view_that_is_read_again_forgets_what_is_in_no_announcement(exchange: Slow) -> None:
    presence = Presence(exchange)
    presence.note(Wanted("gone", {"home": 20}))
    exchange.go_on.set()
    await presence.reload()
    assert set(presence) == {"stays", "leaves", "changes"}


async def test_a_view_that_cannot_be_read_leaves_what_is_known(exchange: Slow) -> None:
    presence = Presence(exchange)
    presence.note(Wanted("known", {"home": 20}))
    exchange.fails = True
    exchange.go_on.set()
    await presence.reload()
    assert set(presence) == {"known"}


async def test_two_readings_at_once_lose_nobody_either(exchange: Slow) -> None:
    presence = Presence(exchange)
    first = await reading(exchange, presence)
    second = asyncio.create_task(presence.reload())
    await exchange.announce("web-1", Wanted("comes", {"home": 20}))
    presence.note(Wanted("comes", {"home": 20}))
    exchange.go_on.set()
    await first
    assert "comes" in set(presence)
    await second
    assert "comes" in set(presence)
