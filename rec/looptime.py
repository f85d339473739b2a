"""event loop → **gaps**. How long the loop stands still between two turns: what everybody in the process waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

EVERY_S = 0.02
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


async def watch_gaps(observe: Callable[[float], None]) -> None:
    """For ever: tell how much later than asked for the loop came back, in seconds, some fifty times a second."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(EVERY_S)
        observe(max(0.0, time.perf_counter() - began - EVERY_S))
