"""The worker on the embedded broker, as `rec up` uses it: killed, or stopped for longer than its session."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rec.embedded.broker import embedded_broker
from tests.faults.crash import crash
from tests.faults.traffic import rough_traffic
from tests.faults.trial import Verdict, trial
from tests.stack import shelf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

STOPPED_S = 3.0  # the session is 1 s


@pytest.fixture
async def bootstrap(tmp_path: Path) -> AsyncIterator[str]:
    async with embedded_broker(tmp_path / "broker") as bootstrap:
        yield bootstrap


def holds(verdict: Verdict) -> bool:
    assert verdict.counted == verdict.distinct
    assert verdict.wrong == []
    assert verdict.stale == []
    assert verdict.went_back == 0
    return True


async def test_kills_of_the_only_worker_lose_nothing_and_count_nothing_twice(bootstrap: str, tmp_path: Path) -> None:
    verdict, gaps = await crash(
        tmp_path / "world", bootstrap, events=4_000, users=200, kills=2, rate=450, seed=1, embedded=True
    )
    assert verdict.distinct < verdict.published
    assert holds(verdict)
    assert max(gaps) < 20  # about 3 s where nobody else is at work


async def test_a_worker_that_was_stopped_longer_than_its_session_goes_on_where_it_was(
    bootstrap: str, tmp_path: Path
) -> None:
    items = [item.item_id for item in shelf()]
    traffic = rough_traffic(1_800, 100, items, time.time(), random.Random(1))
    async with trial(tmp_path / "world", bootstrap, "stopped", embedded=True) as run:
        await run.publish(traffic[:600], 300)
        worker = run.world.children["worker"]
        worker.signal(signal.SIGSTOP)
        await run.publish(traffic[600:1_500], 900 / STOPPED_S)
        worker.signal(signal.SIGCONT)
        await run.publish(traffic[1_500:], 300)
        assert await run.drained(60)
        assert holds(await run.verdict())
