"""A fake server, and a client of it whose waits are short."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rec.client import RecClient, Timing
from tests.client.fake_server import FakeServer

QUICK = Timing(backoff_low_s=0.01, backoff_high_s=0.05, linger_s=0.05, gather_s=0.0)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    async with FakeServer() as server:
        yield server


@pytest.fixture
async def client(server: FakeServer) -> AsyncIterator[RecClient]:
    async with RecClient(server.url, api_key="key", timing=QUICK) as client:
        yield client
