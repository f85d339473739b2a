"""The two ways to Redis: a pool for commands, with deadlines, and plain connections for the subscriber.

Invariant: a command answers, or raises `Unavailable`, within `COMMAND_S`, one reconnect included; a command that is
cancelled closes its connection, so nobody reads its answer later.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError

from rec.errors import ConfigError, Unavailable

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

COMMAND_S = 2.0
CONNECTIONS = 32  # more commands at once wait for one of these
FAILURES = (RedisError, OSError, TimeoutError)


class Client:
    """Commands and connections to one Redis. `where` names it without its password."""

    def __init__(self, url: str) -> None:
        # RESP2: a message is a plain list. No driver info: it costs file reads and two commands a connection.
        # No socket timeout: redis-py keeps it with asyncio.wait_for, which before Python 3.12 can swallow a
        # cancellation, and then a loop of commands never ends. The deadline is `reported`, the subscriber's its ping.
        wire: dict[str, Any] = {
            "protocol": 2,
            "driver_info": None,
            "socket_timeout": None,
            "socket_connect_timeout": COMMAND_S,
        }
        try:
            self._pool = BlockingConnectionPool.from_url(
                url,
                **wire,
                max_connections=CONNECTIONS,
                timeout=COMMAND_S,
                # Once more on a fresh connection: after Redis was away, those of the pool are dead.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            )
            self._subscribers = ConnectionPool.from_url(url, **wire, retry=Retry(NoBackoff(), 0))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"REC_REDIS_URL: {error}. Use redis://host:port/0.", field="REC_REDIS_URL") from None
        kept = self._pool.connection_kwargs
        self.where = str(kept.get("path") or f"{kept.get('host', 'localhost')}:{kept.get('port', 6379)}")
        self.redis: Redis = Redis(connection_pool=self._pool)

    def subscriber_connection(self) -> AbstractConnection:
        """A connection that is not open yet, outside of the pool."""
        connection: AbstractConnection = self._subscribers.make_connection()  # type: ignore[no-untyped-call]
        return connection

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Answers, or raises Unavailable (ConfigError if it is the password); closed when the block is left."""
        try:
            try:
                async with self.reported():
                    await self.redis.ping()
            except Unavailable as error:
                if isinstance(error.__cause__, AuthenticationError):
                    raise ConfigError(f"REC_REDIS_URL: {error.message}", field="REC_REDIS_URL") from error
                raise
            yield
        finally:
            await self.redis.aclose()
            await self._pool.disconnect()

    @contextlib.asynccontextmanager
    async def reported(self) -> AsyncIterator[None]:
        """Around commands: they end within `COMMAND_S`; what Redis or the network raises leaves as `Unavailable`."""
        try:
            async with asyncio.timeout(COMMAND_S):
                yield
        except TimeoutError as error:
            raise Unavailable(f"redis at {self.where}: no answer within {COMMAND_S:g} s") from error
        except FAILURES as error:
            raise Unavailable(f"redis at {self.where}: {error or type(error).__name__}") from error
