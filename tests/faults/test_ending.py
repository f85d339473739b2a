"""A trial that is ended leaves nothing running."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import psutil
import pytest

from tests.faults.ending import ENDED

TRIAL = """
import asyncio, sys
from pathlib import Path
from tests.faults.ending import run_trial
from tests.faults.restart import rec_up

async def trial():
    async with rec_up(Path(sys.argv[1]), "--no-demo"):
        await asyncio.Event().wait()

run_trial(trial())
"""


@pytest.mark.timeout(120)
async def test_a_trial_that_is_ended_by_sigterm_ends_the_rec_up_that_it_was_starting(tmp_path: Path) -> None:
    data = tmp_path / "data"
    trial = await asyncio.create_subprocess_exec(sys.executable, "-c", TRIAL, str(data))
    async with asyncio.timeout(90):
        while not _of(data):
            await asyncio.sleep(0.05)
        trial.send_signal(signal.SIGTERM)
        assert await trial.wait() == ENDED
    assert _of(data) == []


def _of(data: Path) -> list[psutil.Process]:
    """Every process that was started for this folder and has not ended."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "rec.cli" in (words := process.cmdline()) and str(data) in words:
                found.append(process)
    return found
