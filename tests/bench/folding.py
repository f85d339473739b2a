"""Events folded a second by one worker from a topic that is already full, beside a bare agent with one table write.

Both are timed the same way: by the broker's clock on the first and the last record of their changelog. One pair says
little (between 0.53 and 0.85 were seen): they take turns, and the median of the pairs' ratios counts.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from statistics import median
from typing import Any

from rec.config import Settings
from rec.embedded.process import Child
from rec.ports import Log
from rec.topics import BEHAVIOR, Topic, topics
from tests.bench.latency import start_floor
from tests.faults.traffic import keyed, rough_traffic
from tests.stack import Stack, until

EVENTS, USERS = 20_000, 500
ROUNDS = 3
WAIT_S = 180.0
CHUNK = 1_000


async def folding(world: Stack, items: Sequence[str]) -> dict[str, Any]:
    """Medians of events a second of our worker and of the bare agent, and of their ratio."""
    events = rough_traffic(EVENTS, USERS, items, time.time(), random.Random(1))
    pairs = keyed(events)
    distinct = len({event.event_id for event in events})
    rounds = [(await _worker(world, pairs, distinct, n), await _bare(world, pairs, n)) for n in range(ROUNDS)]
    return {
        "events": EVENTS,
        "users": USERS,
        "worker_per_s": median(ours for ours, _ in rounds),
        "bare_per_s": median(bare for _, bare in rounds),
        "ratios": [round(ours / bare, 2) for ours, bare in rounds],
        "ratio": round(median(ours / bare for ours, bare in rounds), 2),
    }


async def _worker(world: Stack, pairs: Sequence[tuple[str, bytes | None]], distinct: int, number: int) -> float:
    name = f"fold-{number}"
    names = {"app_id": name, "topic_prefix": f"{name}-"}
    settings: Settings = world.settings.model_copy(update=names)
    await world.log.create(topics(settings))
    await fill(world.log, settings.topic(BEHAVIOR), pairs)
    child = await world.worker(name, **names)
    try:
        return await _rate(world, settings.users_changelog, distinct, child)
    finally:
        await world.stop(name)


async def _bare(world: Stack, pairs: Sequence[tuple[str, bytes | None]], number: int) -> float:
    topic, app = f"floor-table-{number}", f"floor-{number}"
    changelog = f"{app}-counts-changelog"
    await world.log.create([Topic(topic, world.settings.partitions, {})])
    await world.log.create([Topic(changelog, world.settings.partitions, {"cleanup.policy": "compact"})])
    await fill(world.log, topic, pairs)
    child = start_floor(world, "table", topic, app)
    try:
        return await _rate(world, changelog, len(pairs), child)
    finally:
        await child.stop()


async def fill(log: Log, topic: str, pairs: Sequence[tuple[str, bytes | None]]) -> None:
    for at in range(0, len(pairs), CHUNK):
        await log.publish_many(topic, pairs[at : at + CHUNK])


async def _rate(world: Stack, changelog: str, writes: int, child: Child) -> float:
    """Records a second between the first and the last of `writes` records of the changelog."""

    async def written() -> bool:
        return sum((await world.log.ends(changelog)).values()) >= writes or child.returncode is not None

    if not await until(written, WAIT_S, every_s=0.25) or child.returncode is not None:
        raise RuntimeError(f"{changelog} did not get {writes} records\n{world.logs()}")
    times: list[float] = []
    async for records in world.log.tail(changelog):
        times += [record.timestamp for record in records]
        if len(times) >= writes:
            break
    times.sort()
    return round(writes / (times[writes - 1] - times[0]), 0)
