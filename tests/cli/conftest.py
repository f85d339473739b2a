"""Brokers for the commands that look into the log; each test takes a world of its own on them. For those that ask a
server, a scripted one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rec.config import Settings, load_settings
from tests.client.fake_server import FakeServer


@pytest.fixture(scope="session", params=["tansu", pytest.param("kafka", marks=pytest.mark.needs_kafka)])
def broker(request: pytest.FixtureRequest) -> str:
    """host:port of the embedded broker, and of a real Apache Kafka where there is one."""
    return str(request.getfixturevalue(request.param).address)


@pytest.fixture
def world(broker: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings of a fresh world on the broker, in the environment as a command reads them."""
    monkeypatch.chdir(tmp_path)
    name = f"w{uuid.uuid4().hex[:8]}"
    values = {
        "BROKER_URL": f"kafka://{broker}",
        "APP_ID": name,
        "TOPIC_PREFIX": f"{name}.",
        "PARTITIONS": "2",
        "REBALANCE_TIMEOUT_S": "1",
    }
    for key, value in values.items():
        monkeypatch.setenv(f"REC_{key}", value)
    return load_settings()


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[FakeServer]:
    """A scripted server, named in the environment as a command reads it."""
    monkeypatch.chdir(tmp_path)
    async with FakeServer() as server:
        monkeypatch.setenv("REC_URL", server.url)
        monkeypatch.setenv("REC_API_KEY", "key")
        yield server
