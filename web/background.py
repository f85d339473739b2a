"""What runs beside the requests: loops that must outlive any error. A loop that fails is begun again, and counted."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from rec.errors import Unavailable
from rec.logs import discreet
from web.metrics import Metrics

log = logging.getLogger(__name__)

_PAUSES = (0.1, 0.5, 1.0, 2.0)  # seconds before the first, second … beginning again
_CANCEL_S = 0.5  # a loop that was cancelled and has not ended by then is cancelled again
_SOUND_AFTER_S = 10.0  # a loop that ran this long begins with the first pause again

Loop = Callable[[], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def running(metrics: Metrics, **loops: Loop) -> AsyncIterator[None]:
    """Run the loops while the block lasts."""
    tasks = [asyncio.create_task(_kept(name, loop, metrics), name=f"web-{name}") for name, loop in loops.items()]
    try:
        yield
    finally:
        await _ended(tasks)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel until all have ended: a library may take one cancellation for its own timeout's."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_CANCEL_S)


async def _kept(name: str, loop: Loop, metrics: Metrics) -> None:
    failures = 0
    clock = asyncio.get_running_loop().time
    while True:
        started = clock()
        try:
            await loop()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.warning("%s was cancelled by nobody", name)  # asyncio.timeout before 3.13 may leave one behind
        except Unavailable as error:
            log.warning("%s waits: %s", name, error.message)
        except Exception as error:  # noqa: BLE001  the edge must live on; the log and the counter tell
            log.error("%s failed: %s", name, discreet(error))
        metrics.restarts.labels(name).inc()
        failures = 0 if clock() - started > _SOUND_AFTER_S else failures + 1
        await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES)) - 1] if failures else _PAUSES[0])
