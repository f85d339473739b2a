import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator

import pytest
from aiokafka.protocol.admin import ApiVersionResponse_v0, ApiVersionResponse_v1
from aiokafka.protocol.api import Response
from aiokafka.protocol.metadata import MetadataResponse_v2

from rec.errors import Unavailable
from rec.store.kafka import topics
from rec.store.kafka.connection import Broker
from rec.store.kafka.topics import knows_idempotent_producers

_METADATA, _API_VERSIONS = 3, 18


class Starting:
    """The first requests of a client, answered as a Kafka that is starting does: for a while it names no broker."""

    def __init__(self, nameless: int) -> None:
        """`nameless`: how many answers name no broker."""
        self.nameless = nameless
        self.port = 0

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Broker]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield Broker([f"127.0.0.1:{self.port}"], "test")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                key, version, correlation = struct.unpack(">hhi", (await reader.readexactly(size))[:8])
                body = struct.pack(">i", correlation) + self._body(key, version).encode()
                writer.write(struct.pack(">i", len(body)) + body)
                await writer.drain()
        writer.close()

    def _body(self, key: int, version: int) -> Response:
        if key == _API_VERSIONS:
            known = [(_METADATA, 0, 2), (_API_VERSIONS, 0, 2)]
            return ApiVersionResponse_v0(0, known) if version == 0 else ApiVersionResponse_v1(0, known, 0)
        assert (key, version) == (_METADATA, 2)
        self.nameless -= 1
        brokers = [] if self.nameless >= 0 else [(1, "127.0.0.1", self.port, None)]
        return MetadataResponse_v2(brokers, "J2fSDYL3RjG8Hjp1hw_NGA", 1, [])


async def test_a_kafka_that_is_starting_is_waited_for_until_it_names_a_broker() -> None:
    starting = Starting(nameless=3)
    async with starting.listening() as broker:
        assert await knows_idempotent_producers(broker)
    assert starting.nameless < 0


async def test_one_that_names_none_is_given_up_with_an_error_that_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topics, "ACK_S", 0.5)
    async with Starting(nameless=1_000_000).listening() as broker:
        with pytest.raises(Unavailable, match=rf"kafka at {broker.bootstrap[0]}: connecting: no answer within 0.5 s"):
            await knows_idempotent_producers(broker)
