"""What a stuck worker does: it ends, non-zero, so that its supervisor starts it again and its partitions move.

Kafka will not do it: the consumer's heartbeat has a thread of its own and goes on while the event loop stands.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import sys
import threading
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

EXIT_STUCK = 70


class Stall:
    """Pure: has something that should move stood still for too long?

    >>> stall = Stall(limit_s=10)
    >>> [stall.over(mark, now) for mark, now in [(1, 0), (1, 9), (2, 11), (2, 20), (2, 22)]]
    [False, False, False, False, True]
    """

    def __init__(self, limit_s: float) -> None:
        self.limit_s = limit_s
        self._mark: object = None
        self._since = 0.0

    def over(self, mark: object, now: float) -> bool:
        """`mark` is any value that changes when there is progress; None means there is nothing to do."""
        if mark is None or mark != self._mark:
            self._mark, self._since = mark, now
            return False
        return now - self._since > self.limit_s


def end(reason: str) -> None:
    """Say why, with the stack of every thread, and end the process at once: nothing more may be committed."""
    log.critical("%s; ending the process so that it is started anew", reason)
    faulthandler.dump_traceback(file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_STUCK)


class LoopWatchdog:
    """A thread that ends the process when the event loop has not turned for `limit_s`."""

    def __init__(self, limit_s: float, on_stall: Callable[[str], None] = end) -> None:
        self._limit_s, self._on_stall = limit_s, on_stall
        self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="loop-watchdog", daemon=True)

    async def run(self) -> None:
        """Beat for ever; the thread lives as long as this coroutine does."""
        self._beat = time.monotonic()
        self._thread.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(min(0.5, self._limit_s / 4))
        finally:
            self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(min(0.5, self._limit_s / 4)):
            stood = time.monotonic() - self._beat
            if stood > self._limit_s:
                self._on_stall(f"the event loop has stood for {stood:.1f} s")
                return


async def watch_progress(
    name: str, progress: Callable[[], object], limit_s: float, on_stall: Callable[[str], None] = end
) -> None:
    """End the process when `progress()` has returned the same value, not None, for `limit_s`."""
    stall = Stall(limit_s)
    while True:
        if stall.over(progress(), time.monotonic()):
            on_stall(f"{name} has made no progress for {limit_s:g} s")
            return
        await asyncio.sleep(min(0.5, limit_s / 4))
