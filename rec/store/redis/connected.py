"""What the parts of the exchange share: the client, the names, the subscriber, and the streams that it feeds."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from random import Random
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar, cast
from weakref import WeakSet

from rec.store.redis.client import Client
from rec.store.redis.subscriber import PING_S, PONG_S, Subscriber
from rec.store.redis.wire import Names
from rec.store.streams import Stream

T = TypeVar("T")


class _Feed(NamedTuple):
    """Streams of one channel. `gap`: they begin with None, and get one after each lost connection."""

    streams: WeakSet[Stream[Any]]
    decode: Callable[[bytes], Any]
    gap: bool


class Connected:
    """Base of the parts: an async context manager; a subclass adds what it needs in `_prepare`."""

    ping_s, pong_s = PING_S, PONG_S

    def __init__(self, url: str, prefix: str = "rec:", rng: Random | None = None) -> None:
        self._names = Names(prefix)
        self._client = Client(url)
        self._subscriber = Subscriber(
            self._client.subscriber_connection,
            self._receive,
            self._subscribed,
            self._gap,
            rng or Random(),
            self.ping_s,
            self.pong_s,
        )
        self._feeds: dict[bytes, _Feed] = {}
        self._streams: WeakSet[Stream[Any]] = WeakSet()
        self._stack = contextlib.AsyncExitStack()
        self._prepare()

    def _prepare(self) -> None:
        """State of a subclass."""

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._client.open())
        await self._stack.enter_async_context(self._listening())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._subscriber.run(), name="redis pub/sub")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            for stream in self._streams:
                stream.close()

    # -- what the subscriber calls
    def _receive(self, channel: bytes, data: bytes) -> None:
        if (feed := self._feeds.get(channel)) is None:
            return
        if not feed.streams:  # nobody reads any more
            del self._feeds[channel]
            return self._subscriber.unwant(channel)
        message = feed.decode(data)
        for stream in feed.streams:
            stream.put(message)

    def _subscribed(self, channel: bytes) -> None:
        """A channel delivers from now on: what came before may have been missed."""
        if (feed := self._feeds.get(channel)) is not None and feed.gap:
            for stream in feed.streams:
                stream.put(None)

    def _gap(self) -> None:
        """The connection was lost and is back."""

    # -- for the parts
    def _opened(self, group: WeakSet[Stream[T]], stream: Stream[T]) -> Stream[T]:
        """Register a stream with its group, and for closing."""
        group.add(stream)
        self._streams.add(stream)
        return stream

    def _feed(self, channel: bytes, stream: Stream[T], decode: Callable[[bytes], T], *, gap: bool = False) -> Stream[T]:
        """From now on messages of `channel` go to `stream`, too."""
        feed = self._feeds.setdefault(channel, _Feed(WeakSet(), decode, gap))
        if gap and self._subscriber.delivers(channel):
            stream.put(cast(T, None))
        self._subscriber.want(channel)
        return self._opened(feed.streams, stream)
