"""archive → **teaching** → topic `examples`. What a model that has learned nothing yet hears of the past, bit by bit.

The topic has one order: whatever is in it is learned before what comes later. So the past goes in by portions, the next
one when the trainer has read most of the last, and what shoppers do now waits for a portion at most, not for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from rec.direct import get
from rec.errors import Unavailable
from rec.ports import Log

PORTION = 128  # examples: about a second of the trainer's work
LOOK_S = 0.25
ANSWERS_WITHIN_S = 2.0
_SERIES = "shunxi_examples_read "


async def teach(
    log: Log, topic: str, examples: Sequence[bytes], read: Callable[[], Awaitable[int]], look_s: float = LOOK_S
) -> None:
    """Publish all of them. `read` says how many records of the topic the trainer has read. Raises Unavailable."""
    for start in range(0, len(examples), PORTION):
        while sum((await log.ends(topic)).values()) - await read() > PORTION // 2:  # noqa: ASYNC110  it is another process
            await asyncio.sleep(look_s)
        portion = enumerate(examples[start : start + PORTION], start)
        await log.publish_many(topic, [(f"archive {number}", example) for number, example in portion])


async def read_so_far(port: int) -> int:
    """By the metrics of the trainer on this machine; 0 while it does not answer."""
    return await asyncio.to_thread(_read_so_far, port)


def _read_so_far(port: int) -> int:
    try:
        lines = get(f"http://127.0.0.1:{port}/metrics", ANSWERS_WITHIN_S).body.decode().splitlines()
    except Unavailable:
        return 0
    return next((int(float(line.removeprefix(_SERIES))) for line in lines if line.startswith(_SERIES)), 0)
