"""The nets under the stream engine: continuity of offsets, watchdogs, restarts, and the fixes' version guard."""

from __future__ import annotations

import asyncio
import threading

import faust
import pytest

from agents import faust_fixes
from agents.continuity import Continuity, FirstFrom, LostDelivery
from agents.watchdog import LoopWatchdog, Stall, watch_progress
from rec.errors import ConfigError


async def nothing_there(topic: str, partition: int, offset: int) -> int | None:
    return None


def first_at(offset: int) -> FirstFrom:
    """A log that has a record at `offset`, whatever it is asked."""

    async def first_from(topic: str, partition: int, asked: int) -> int | None:
        return offset

    return first_from


class TestContinuity:
    async def test_offsets_in_order_pass_without_a_question(self) -> None:
        seen = Continuity()
        for offset in range(10):
            assert seen.jumped("behavior", 0, offset) is None
            await seen.check("behavior", 0, offset, first_at(0))

    async def test_a_record_that_was_left_out_is_a_lost_delivery(self) -> None:
        seen = Continuity()
        seen.note("behavior", 0, 10)
        with pytest.raises(LostDelivery, match="offset 13 came after 10; 11 was never delivered"):
            await seen.check("behavior", 0, 13, first_at(11))

    @pytest.mark.parametrize("first_from", [nothing_there, first_at(13)])
    async def test_an_offset_without_a_record_is_none(self, first_from: FirstFrom) -> None:
        seen = Continuity()
        seen.note("behavior", 0, 10)
        await seen.check("behavior", 0, 13, first_from)
        assert seen.next("behavior", 0) == 14

    def test_a_replay_after_a_rebalance_is_not(self) -> None:
        seen = Continuity()
        for offset in (10, 11, 12, 11, 12, 13):
            assert seen.jumped("behavior", 0, offset) is None
            seen.note("behavior", 0, offset)

    def test_partitions_and_topics_are_apart(self) -> None:
        seen = Continuity()
        seen.note("behavior", 0, 10)
        assert seen.jumped("behavior", 1, 500) is seen.jumped("requests", 0, 7) is None

    def test_a_new_assignment_begins_where_the_last_commit_says(self) -> None:
        seen = Continuity()
        seen.note("behavior", 0, 10)
        seen.forget()
        assert not seen.knows("behavior", 0)
        seen.begin("behavior", 0, 99)
        assert seen.jumped("behavior", 0, 99) is None

    def test_what_comes_again_after_a_rebalance_is_fine(self) -> None:
        seen = Continuity()
        seen.begin("behavior", 0, 99)
        for offset in (95, 96, 97, 98, 99, 100):
            assert seen.jumped("behavior", 0, offset) is None
            seen.note("behavior", 0, offset)

    async def test_a_first_record_beyond_the_commit_is_a_lost_delivery(self) -> None:
        seen = Continuity()
        seen.begin("behavior", 0, 99)
        with pytest.raises(LostDelivery, match="offset 102 came after 98; 99 was"):
            await seen.check("behavior", 0, 102, first_at(99))


class TestStall:
    def test_progress_resets_the_clock(self) -> None:
        stall = Stall(10)
        assert not any(stall.over(mark, now) for mark, now in [(1, 0.0), (2, 9.0), (3, 18.0), (3, 27.0)])

    def test_standing_still_for_longer_is_over(self) -> None:
        stall = Stall(10)
        stall.over(1, 0.0)
        assert stall.over(1, 10.1)

    def test_nothing_to_do_is_no_stall(self) -> None:
        stall = Stall(10)
        assert not any(stall.over(None, now) for now in (0.0, 50.0, 100.0))


def test_a_loop_that_stands_is_noticed_from_outside_it() -> None:
    noticed = threading.Event()
    reasons: list[str] = []

    def on_stall(reason: str) -> None:
        reasons.append(reason)
        noticed.set()

    async def main() -> None:
        watchdog = LoopWatchdog(0.2, on_stall)
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0)  # let it start
        assert noticed.wait(5)  # blocks the event loop: this is the stall
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(main())
    assert "event loop has stood" in reasons[0]


async def test_recovery_without_progress_is_ended() -> None:
    ended = asyncio.Event()
    task = asyncio.create_task(watch_progress("recovery", lambda: 7, 0.1, lambda _: ended.set()))
    async with asyncio.timeout(30):
        await ended.wait()
        await task


def test_another_version_of_faust_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faust, "__version__", "0.16.0")
    with pytest.raises(ConfigError, match=r"faust-streaming==0\.15\.3"):
        faust_fixes.apply()
