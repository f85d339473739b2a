"""Real Kafka, real processes, SIGKILL: no event lost, none counted twice, every list on a screen the newest."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from rec.topics import BEHAVIOR, partition_of
from tests.faults.crash import crash
from tests.faults.rebalance import rebalance
from tests.faults.traffic import keyed, rough_traffic
from tests.faults.trial import trial
from tests.servers import Server
from tests.stack import shelf

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
    assert all(each.leave_s > 1 for each in rounds)  # it had partitions, and they stood still until it was missed
    assert verdict.counted == verdict.distinct
    assert verdict.wrong == []
    assert verdict.stale == []
    assert verdict.went_back == 0


async def test_what_a_producer_with_transactions_sends_is_counted_and_stops_nobody(
    kafka: Server, tmp_path: Path
) -> None:
    """The mark at the end of a transaction takes an offset and is no record."""
    items = [item.item_id for item in shelf()]
    async with trial(tmp_path / "world", kafka.address, "transactions", watchers=1) as run:
        topic = run.world.settings.topic(BEHAVIOR)
        async with AIOKafkaProducer(bootstrap_servers=kafka.address, transactional_id="pipeline") as producer:

            async def send(first: int) -> None:
                for at in range(first, first + 60, 20):
                    events = rough_traffic(20, 10, items, time.time(), random.Random(at), first=at)
                    async with producer.transaction():
                        for key, value in keyed(events):
                            number = partition_of(key.encode(), run.world.settings.partitions)
                            await producer.send(topic, value, key.encode(), partition=number)
                    run.published += events

            await send(0)
            assert await run.drained(60), run.world.logs()
            run.world.kill("worker")
            await send(60)
            await run.world.worker()
            assert await run.drained(60), run.world.logs()
        verdict = await run.verdict()
    assert verdict.ok, verdict
    assert verdict.restarts == []
    assert "still behind" not in run.world.logs(100_000)
