"""The past reaches the trainer by portions: what shoppers do now does not wait for all of it."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from rec.embedded.ports import free_port
from rec.embedded.teaching import PORTION, read_so_far, teach
from rec.store.memory.log import MemoryLog
from rec.topics import Topic


@pytest.fixture
async def log() -> MemoryLog:
    made = MemoryLog()
    await made.create([Topic("examples", 1, {})])
    return made


async def test_a_portion_follows_when_most_of_what_is_there_was_read_and_what_came_between_is_before_it(
    log: MemoryLog,
) -> None:
    past, read, looked = [b"%d" % n for n in range(2 * PORTION + 10)], 0, asyncio.Event()

    async def read_so_far() -> int:
        looked.set()
        return read

    teaching = asyncio.create_task(teach(log, "examples", past, read_so_far, look_s=0.0))
    for portions in (1, 2):
        for _ in range(3):  # however often it looks
            looked.clear()
            await looked.wait()
        assert (await log.ends("examples"))[0] == portions * (PORTION + 1) - 1
        await log.publish("examples", f"now {portions}", b"now")
        read = portions * (PORTION + 1) - PORTION // 2
    await teaching
    values = [record.value for record in log.partitions("examples")[0].records]
    assert [value for value in values if value != b"now"] == past
    assert [at for at, value in enumerate(values) if value == b"now"] == [PORTION, 2 * PORTION + 1]


async def test_how_far_the_trainer_has_read_is_in_its_metrics_and_nothing_while_it_does_not_answer() -> None:
    port, registry = free_port(), CollectorRegistry()
    assert await read_so_far(port) == 0
    Gauge("shunxi_examples_read", "Next record of the topic to be read", registry=registry).set(1234567.0)
    server, thread = start_http_server(port, addr="127.0.0.1", registry=registry)
    try:
        assert await read_so_far(port) == 1_234_567
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
