"""A record whose handling finds the log away is handed over again, until it is done or somebody else's."""

from __future__ import annotations

import asyncio

import pytest

from agents.again import until_done
from rec.errors import Unavailable
from rec.ports import Record
from tests.loop.local import record


class Away:
    """Handles a record once the log has been away so many times."""

    def __init__(self, times: float) -> None:
        self.times, self.tries = times, 0

    async def handle(self, _: Record) -> None:
        self.tries += 1
        if self.tries <= self.times:
            raise Unavailable("no leader")


async def test_until_the_log_is_back() -> None:
    away = Away(2)
    assert await until_done(away.handle, record("u", b""), lambda: True, pause_s=0)
    assert away.tries == 3


async def test_until_a_rebalance_which_brings_it_to_whoever_has_its_partition_then() -> None:
    away = Away(float("inf"))
    assert not await until_done(away.handle, record("u", b""), lambda: away.tries < 2, pause_s=0)
    assert away.tries == 2


async def test_until_too_long_and_then_the_worker_is_told() -> None:
    away = Away(float("inf"))
    with pytest.raises(Unavailable, match="no leader"):
        await until_done(away.handle, record("u", b""), lambda: True, for_s=-1, pause_s=0)
    assert away.tries == 1


async def test_until_the_end_of_the_worker() -> None:
    away = Away(float("inf"))
    trying = asyncio.create_task(until_done(away.handle, record("u", b""), lambda: True))
    while not away.tries:
        await asyncio.sleep(0)
    trying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await trying
