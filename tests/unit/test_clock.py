"""Two machines whose clocks differ agree on deadlines through the exchange's clock."""

from __future__ import annotations

import logging

import pytest

from rec.clock import ODD_S, SLOW_S, SharedClock


class Machine:
    """A wall clock that is `ahead` of true time; asking the exchange takes `trip` seconds."""

    def __init__(self, ahead: float, trip: float = 0.002) -> None:
        self.true, self.ahead, self.trip = 1_700_000_000.0, ahead, trip
        self.shared = SharedClock(self, self.local)

    def local(self) -> float:
        return self.true + self.ahead

    async def time(self) -> float:
        self.true += self.trip / 2
        answer = self.true
        self.true += self.trip / 2
        return answer


async def test_a_deadline_means_the_same_moment_on_machines_whose_clocks_differ() -> None:
    web, worker = Machine(ahead=-2.0), Machine(ahead=3.0)
    for machine in (web, worker):
        assert await machine.shared.look()
    deadline = web.shared.now() + 2.0
    assert worker.shared.here(deadline) - worker.local() == pytest.approx(2.0)


async def test_until_it_was_asked_and_where_the_way_is_slow_the_clock_stays_as_it_was() -> None:
    machine = Machine(ahead=3.0, trip=2 * SLOW_S)
    assert machine.shared.here(5.0) == 5.0
    assert not await machine.shared.look()
    assert machine.shared.here(5.0) == 5.0


async def test_a_clock_that_is_far_off_is_told_once_until_it_is_set(caplog: pytest.LogCaptureFixture) -> None:
    machine = Machine(ahead=2 * ODD_S)
    with caplog.at_level(logging.WARNING):
        await machine.shared.look()
        await machine.shared.look()
        machine.ahead = 0.0
        await machine.shared.look()
        machine.ahead = -5.0
        await machine.shared.look()
    assert [message.split()[4] for message in caplog.messages] == ["+2.0", "-5.0"]
