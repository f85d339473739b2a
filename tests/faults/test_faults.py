"""Real Kafka, real processes, SIGKILL: no event lost, none counted twice, every list on a screen the newest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.crash import crash
from tests.faults.rebalance import rebalance
from tests.servers import Server

pytestmark = [pytest.mark.needs_kafka, pytest.mark.slow, pytest.mark.timeout(300)]


async def test_three_kills_of_the_only_worker_lose_nothing_and_count_nothing_twice(
    kafka: Server, tmp_path: Path
) -> None:
    verdict, gaps = await crash(tmp_path / "world", kafka.address, events=6_000, users=500, kills=3, rate=350, seed=1)
    assert verdict.distinct < verdict.published  # repeated events were among them
    assert verdict.counted == verdict.distinct
    assert verdict.wrong == []
    assert verdict.stale == []
    assert verdict.went_back == 0
    assert max(gaps) < 30


async def test_a_second_worker_joins_and_is_killed_under_load_without_loss_or_standstill(
    kafka: Server, tmp_path: Path
) -> None:
    verdict, rounds = await rebalance(tmp_path / "world", kafka.address, times=2, rate=200, cores=2, seed=1)
    assert len(rounds) == 2
    assert verdict.counted == verdict.distinct
    assert verdict.wrong == []
    assert verdict.stale == []
    assert verdict.went_back == 0
