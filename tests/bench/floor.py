"""What the stream engine costs by itself: two bare Faust apps to compare ours with.

    push    one agent, no table: record → Redis PUBLISH
    table   one agent, one table write a record
Run by the bench as `python -m tests.bench.floor push|table`, told by FLOOR_* variables.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import faust
import redis.asyncio as redis

from agents.faust_fixes import set_fetch_wait

CHANNEL = "bench-floor"


def app(kind: str) -> Any:
    """The app that `kind` names, on FLOOR_BROKER, FLOOR_TOPIC, FLOOR_REDIS; FLOOR_APP is its group."""
    set_fetch_wait(int(os.environ["FLOOR_FETCH_WAIT_MS"]))
    made = faust.App(
        os.environ["FLOOR_APP"],
        broker=os.environ["FLOOR_BROKER"],
        store="memory://",
        topic_partitions=int(os.environ["FLOOR_PARTITIONS"]),
        topic_replication_factor=1,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_commit_interval=0.5,
        broker_rebalance_timeout=4.0,
        broker_session_timeout=10.0,
        producer_max_batch_size=1,  # as ours: the embedded broker needs it
        stream_wait_empty=False,
        web_enabled=False,
        datadir=os.environ["FLOOR_FOLDER"],
    )
    topic = made.topic(os.environ["FLOOR_TOPIC"], key_type=bytes, value_type=bytes, value_serializer="raw")
    if kind == "table":
        counts = made.Table("counts", default=int, partitions=int(os.environ["FLOOR_PARTITIONS"]), key_type=str)

        @made.agent(topic)  # type: ignore[untyped-decorator]
        async def count(stream: Any) -> None:
            async for event in stream.events():
                key = event.key.decode()
                counts[key] = counts[key] + 1

    else:

        @made.agent(topic)  # type: ignore[untyped-decorator]
        async def push(stream: Any) -> None:
            to = redis.from_url(os.environ["FLOOR_REDIS"])
            async for event in stream.events():
                await to.publish(CHANNEL, event.value)

    return made


if __name__ == "__main__":
    faust.Worker(
        app(sys.argv[1]), loglevel="INFO", logging_config=None, redirect_stdouts=False
    ).execute_from_commandline()
