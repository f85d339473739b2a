"""SIGTERM, SIGINT, SIGHUP → **a word to stop**. How our processes are told to end; Faust alone tells the worker."""

from __future__ import annotations

import asyncio
import signal


def stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM, SIGINT or SIGHUP from now on. Only in the main thread, inside its running loop.

    A SIGHUP that is ignored (nohup(1)) stays so: then the terminal may go.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
            continue
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop
