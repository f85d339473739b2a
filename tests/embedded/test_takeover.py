"""The embedded broker, with the settings of `rec up`: how long a successor waits for a dead one's partitions."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rec.embedded import Child, embedded_broker
from rec.embedded.up import SESSION_TIMEOUT_S
from rec.store.kafka import KafkaLog
from rec.topics import Topic

JOINS = """
import asyncio, sys, time
from aiokafka import AIOKafkaConsumer

async def main():
    session_ms = int(float(sys.argv[2]) * 1000)
    consumer = AIOKafkaConsumer("topic", bootstrap_servers=sys.argv[1], group_id="group",
                                session_timeout_ms=session_ms, heartbeat_interval_ms=session_ms // 4)
    began = time.monotonic()
    await consumer.start()
    while not consumer.assignment():
        await asyncio.sleep(0.01)
    print("joined after", time.monotonic() - began, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


async def joined(log: Path, bootstrap: str) -> tuple[Child, float]:
    """A member of the group, and the seconds that it waited for its partitions."""
    member = Child([sys.executable, "-c", JOINS, bootstrap, SESSION_TIMEOUT_S], log)

    async def told() -> bool:
        return b"joined after" in log.read_bytes()

    await member.until_ready(told, 30)
    return member, float(log.read_text().split()[-1])


async def test_the_successor_of_a_killed_member_does_not_wait_for_its_session(tmp_path: Path) -> None:
    async with embedded_broker(tmp_path) as bootstrap:
        async with KafkaLog([bootstrap]) as log:
            await log.create([Topic("topic", 2, {})])
        first, _ = await joined(tmp_path / "first.log", bootstrap)
        first.kill()
        second, took = await joined(tmp_path / "second.log", bootstrap)
        await asyncio.to_thread(second.kill)
    assert took < 4  # 1 s; 8 s where the session of the dead one is 4 s
