"""SIGTERM ends a trial as Ctrl-C does: what it has started is stopped, too."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

ENDED = 128 + signal.SIGTERM


def run_trial(trial: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, but SIGTERM cancels the trial, and the process exits with 143 when all of it has ended."""

    async def cancellable() -> T:
        me = asyncio.current_task()
        assert me is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, me.cancel)
        return await trial

    try:
        return asyncio.run(cancellable())
    except asyncio.CancelledError:
        raise SystemExit(ENDED) from None
