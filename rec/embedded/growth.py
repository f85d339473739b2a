"""broker → **growth** → stderr. How much memory the embedded broker holds: it keeps every record until it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

FIRST_MIB = 512
LOOK_S = 10.0


class Growth:
    """Pure: which sizes are told. The first limit, and then each time it has doubled.

    >>> growth = Growth(512)
    >>> [bool(growth.told(mib)) for mib in (100, 511, 512, 900, 2_100, 2_200, 4_096)]
    [False, False, True, False, True, False, True]
    """

    def __init__(self, first_mib: float = FIRST_MIB) -> None:
        self._next_mib = first_mib

    def told(self, mib: float) -> str:
        """What to say of this size; empty if nothing."""
        if mib < self._next_mib:
            return ""
        while self._next_mib <= mib:
            self._next_mib *= 2
        return (
            f"the broker holds {mib:,.0f} MiB: it keeps every record in memory. Stop and start `rec up` to begin a new "
            "log (Ctrl-C archives first; states come back from the archive, lists wait meanwhile), or use a Kafka: "
            "docs/howto/deploy.md"
        )


def resident_mib(pid: int) -> float | None:
    """Resident memory of a process, in MiB (proc_pid_status(5)); None where that cannot be had."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024
    except (OSError, StopIteration, ValueError, IndexError):
        return None


async def watch(pid: int, report: Callable[[str], None], first_mib: float = FIRST_MIB, look_s: float = LOOK_S) -> None:
    """Tell of the growth of a process until it is gone."""
    growth = Growth(first_mib)
    while (mib := await asyncio.to_thread(resident_mib, pid)) is not None:
        if told := growth.told(mib):
            report(told)
        await asyncio.sleep(look_s)
