"""log → **waited for** → `rec events import --wait`. Until the workers have folded what lies in the behavior topic."""

from __future__ import annotations

import asyncio
import time

from rec.cli.progress import ProgressLine
from rec.config import Settings
from rec.errors import DeadlineExceeded
from rec.store.kafka.survey import survey
from rec.topics import BEHAVIOR

LOOK_S = 1.0
STALL_S = 60.0  # nothing folded for so long: there is no worker, or it is stuck
SURVEY_S = 10.0


async def until_folded(settings: Settings, count: int) -> float:
    """Seconds waited. `count`: how many records were written.

    Raises DeadlineExceeded when the lag does not shrink for a minute, Unavailable when the broker is away.
    """
    began = moved = time.monotonic()
    least: int | None = None
    topic = settings.topic(BEHAVIOR)
    with ProgressLine("folding", "events") as line:
        while True:
            groups = (await survey(settings, [topic], SURVEY_S)).groups
            lag = next((found.lag for found in groups if found.group == settings.app_id), None)
            if lag == 0:
                return time.monotonic() - began
            if lag is not None and (least is None or lag < least):
                least, moved = lag, time.monotonic()
                line.update(max(0, count - lag), max(0.0, 1 - lag / max(count, 1)))
            if time.monotonic() - moved > STALL_S:
                waiting = "none was folded yet" if least is None else f"{least:,} wait"
                raise DeadlineExceeded(f"no worker has folded an event for {STALL_S:g} s, {waiting}. Try: rec doctor")
            await asyncio.sleep(LOOK_S)
