"""How large the embedded broker becomes is told, with what to do about it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest

from rec.embedded.growth import resident_mib, watch

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc")


async def test_a_process_that_is_large_is_told_once_with_the_remedy() -> None:
    told: list[str] = []
    said = asyncio.Event()

    def report(text: str) -> None:
        told.append(text)
        said.set()

    watching = asyncio.create_task(watch(os.getpid(), report, 1, 0.001))
    async with asyncio.timeout(10):
        await said.wait()
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    [text] = told
    assert "Stop and start `rec up`" in text


async def test_it_ends_with_the_process() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    async with asyncio.timeout(10):
        await watch(process.pid, lambda _: None)
    assert resident_mib(process.pid) is None
