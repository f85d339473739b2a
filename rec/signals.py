"""SIGTERM, SIGINT → **a word to stop**. How every process of ours is told to end; the worker alone is told by Faust."""

from __future__ import annotations

import asyncio
import signal


def stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT from now on. Only in the main thread, inside its running loop."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
