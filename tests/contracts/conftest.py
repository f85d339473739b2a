"""Logs and exchanges on the brokers and redis-servers of the suite: a world of its own for each test."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

import pytest

from rec.ports import Exchange, Log
from rec.store.kafka import KafkaLog
from rec.store.memory import MemoryExchange, MemoryLog
from rec.store.redis import RedisExchange
from rec.topics import Topic
from tests.contracts.aging import age
from tests.servers import Server, start_embedded_redis, start_redis

SESSION_S = {"tansu": 2.0, "kafka": 6.0}  # 6 s is the shortest that Apache Kafka takes
REBALANCE_S = 1.0


@pytest.fixture(scope="session")
def embedded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_embedded_redis(tmp_path_factory.mktemp("embedded-redis")) as server:
        yield server


@pytest.fixture(scope="session")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_redis(tmp_path_factory.mktemp("redis")) as server:
        yield server


# ---------------------------------------------------------------- logs
BROKERS = ["tansu", pytest.param("kafka", marks=pytest.mark.needs_kafka)]


class OpenLog(Protocol):
    """A log that is also a context manager, as backends are."""

    def __call__(self) -> AbstractAsyncContextManager[Log]: ...


def kafka_log(address: str, session_s: float = SESSION_S["kafka"]) -> KafkaLog:
    return KafkaLog([address], client_id="contract", session_timeout_s=session_s, rebalance_timeout_s=REBALANCE_S)


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=["memory", *BROKERS])
def open_log(request: pytest.FixtureRequest) -> OpenLog:
    """Makes clients of one and the same log, as several processes have them."""
    if request.param == "memory":
        only = MemoryLog()
        return lambda: only
    server: Server = request.getfixturevalue(request.param)
    return lambda: kafka_log(server.address, SESSION_S[request.param])


@pytest.fixture
async def log(open_log: OpenLog) -> AsyncIterator[Log]:
    async with open_log() as opened:
        yield opened


@pytest.fixture
def name() -> str:
    """The name of a topic or group that no other test has."""
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def topic(log: Log, name: str) -> str:
    """A topic of four partitions."""
    await log.create([Topic(name, 4, {})])
    return name


# ---------------------------------------------------------------- exchanges
class ExchangeWorld(NamedTuple):
    """One exchange as several processes see it. `connect()` makes a client; `pass_time(s)` lets expiry go on."""

    connect: Callable[[], AbstractAsyncContextManager[Exchange]]
    pass_time: Callable[[float], None]


REDISES = ["embedded_redis", pytest.param("redis", marks=pytest.mark.needs_redis)]


class RedisWorld(NamedTuple):
    """A redis-server and a prefix that no other test has."""

    server: Server
    prefix: str

    @property
    def url(self) -> str:
        return f"redis://{self.server.address}/0"

    def connect(self) -> RedisExchange:
        return RedisExchange(self.url, prefix=self.prefix)


@pytest.fixture(params=REDISES)
def redis_world(request: pytest.FixtureRequest, name: str) -> RedisWorld:
    return RedisWorld(request.getfixturevalue(request.param), f"{name}:")


@pytest.fixture(params=["memory", *REDISES])
def world(request: pytest.FixtureRequest, name: str) -> ExchangeWorld:
    if request.param == "memory":
        clock = [time.time()]
        only = MemoryExchange(now=lambda: clock[0])

        def pass_time(seconds: float) -> None:
            clock[0] += seconds

        return ExchangeWorld(only.connect, pass_time)
    of_redis = RedisWorld(request.getfixturevalue(request.param), f"{name}:")
    return ExchangeWorld(of_redis.connect, lambda seconds: age(of_redis.url, of_redis.prefix, seconds))


@pytest.fixture
async def exchange(world: ExchangeWorld) -> AsyncIterator[Exchange]:
    async with world.connect() as opened:
        yield opened


@pytest.fixture
async def other(world: ExchangeWorld) -> AsyncIterator[Exchange]:
    """The same exchange, from another process's connection."""
    async with world.connect() as opened:
        yield opened
