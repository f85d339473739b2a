"""Event → push over the full stack, and the floor under it: bare agent → Redis publish → subscriber, same broker."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil
import redis.asyncio as redis

from rec.embedded.process import Child
from rec.embedded.supervisor import python
from rec.topics import Topic
from tests.bench.figures import quantiles
from tests.bench.floor import CHANNEL
from tests.stack import API_KEY, Stack, until

RATES = (50, 200, 500)
FLOOR_RATE = 200
CONNECTIONS = 1_000


async def full_stack(
    world: Stack, items: list[str], rates: Sequence[float], seconds: float, others: dict[str, psutil.Process]
) -> list[dict[str, Any]]:
    """One row a rate, with the CPU that each process took. Worker, archiver and web must be up."""
    command = [
        sys.executable, "-m", "tests.bench.clients", "--url", world.url, "--api-key", API_KEY,
        "--connections", str(CONNECTIONS), "--rates", ",".join(map(str, rates)),
        "--seconds", str(seconds), "--items", ",".join(items),
    ]  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert process.stdout is not None
    watched = {name: psutil.Process(child.pid) for name, child in world.children.items()}
    watched |= {"clients": psutil.Process(process.pid)} | others
    rows, before, began = [], _cpu(watched), time.monotonic()
    async for line in process.stdout:
        if row := msgspec.json.decode(line):
            spent, took = _cpu(watched), time.monotonic() - began
            rows.append(row | {"cores": {name: round((spent[name] - before[name]) / took, 2) for name in watched}})
        before, began = _cpu(watched), time.monotonic()
    if await process.wait():
        raise RuntimeError(f"the clients ended with {process.returncode}\n{world.logs()}")
    return rows


def _cpu(processes: dict[str, psutil.Process]) -> dict[str, float]:
    """Seconds of CPU that each has used, its ended children included."""
    return {name: sum(process.cpu_times()[:4]) for name, process in processes.items()}


async def bare_agent(world: Stack, seconds: float) -> dict[str, Any]:
    """p50, p95, p99 of the floor at FLOOR_RATE."""
    topic, took = "floor-push", list[float]()
    await world.log.create([Topic(topic, world.settings.partitions, {})])
    subscriber = redis.from_url(world.settings.redis_url)
    pubsub = subscriber.pubsub()
    await pubsub.subscribe(CHANNEL)
    heard = asyncio.create_task(_hear(pubsub, took))
    child = start_floor(world, "push", topic, "floor-push")
    try:

        async def answers() -> bool:
            await world.log.publish(topic, "warm", b"0")
            return bool(took)

        if not await until(answers, 60, every_s=0.5):
            raise RuntimeError(f"the floor did not start\n{world.logs()}")
        await _send(world, topic, 2.0)
        await asyncio.sleep(1)
        took.clear()
        await _send(world, topic, seconds)
        await asyncio.sleep(2)
    finally:
        await child.stop()
        heard.cancel()
        await asyncio.gather(heard, return_exceptions=True)
        await pubsub.aclose()  # type: ignore[no-untyped-call]
        await subscriber.aclose()
    return {"rate": FLOOR_RATE, "events": len(took)} | quantiles(took)


def start_floor(world: Stack, kind: str, topic: str, app: str) -> Child:
    env = {
        "FLOOR_APP": app,
        "FLOOR_BROKER": world.settings.broker_url,
        "FLOOR_TOPIC": topic,
        "FLOOR_REDIS": world.settings.redis_url,
        "FLOOR_PARTITIONS": str(world.settings.partitions),
        "FLOOR_FETCH_WAIT_MS": str(world.settings.fetch_max_wait_ms),
        "FLOOR_FOLDER": str(world.folder / app),
    }
    command = python("tests.bench.floor", kind)
    return Child(command, world.folder / f"floor-{kind}.log", env=env, cwd=Path(__file__).parents[2])


async def _send(world: Stack, topic: str, seconds: float) -> None:
    began, sending = time.perf_counter(), set[asyncio.Task[None]]()
    for number in range(int(FLOOR_RATE * seconds)):
        if (wait := began + number / FLOOR_RATE - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        body = repr(time.perf_counter()).encode()
        task = asyncio.create_task(world.log.publish(topic, f"user-{number % 997}", body))
        sending.add(task)
        task.add_done_callback(sending.discard)
    await asyncio.gather(*sending)


async def _hear(pubsub: Any, took: list[float]) -> None:
    async for message in pubsub.listen():
        if message["type"] == "message":
            took.append(time.perf_counter() - float(message["data"]))
