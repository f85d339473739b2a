"""Redis' hints → **a look** at SQL. How a worker follows what others write, whatever is lost on the way.

A hint makes a change felt at once; a look every few seconds makes a lost hint harmless.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from rec.errors import Unavailable
from rec.ports import Exchange

log = logging.getLogger(__name__)


async def follow(exchange: Exchange, kind: str, look: Callable[[], Awaitable[None]], every_s: float, what: str) -> None:
    """For ever: look now, at every hint of this kind, and `every_s` after the last look.

    Where `look` raises Unavailable, `what` goes on as it is in memory. Anything else ends both halves, as an
    ExceptionGroup.
    """
    changed = asyncio.Event()

    async def hear() -> None:
        async for hint in exchange.hints():
            if hint is None or hint.kind == kind:  # None: some may have been lost
                changed.set()

    async def turn() -> None:
        while True:
            changed.clear()
            try:
                await look()
            except Unavailable as error:
                log.warning("%s could not be read, going on with the one in memory: %s", what, error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every_s):
                    await changed.wait()

    async with asyncio.TaskGroup() as tasks:  # if one of the two fails, the other is not left behind
        tasks.create_task(hear(), name=f"hints of {kind}")
        tasks.create_task(turn(), name=f"looks at {what}")
