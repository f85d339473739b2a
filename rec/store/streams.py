"""Where messages of a connection wait for their reader: a bounded queue that says when it had to forget.

Nothing here does I/O. Invariant: memory stays bounded however slow the reader is, and a reader who missed something
is told so (where the stream has a word for it), never silently short of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_WAITING = 20_000  # messages; at 4 kB a slate this is 80 MB in the worst case


class Stream(AsyncIterator[T], Generic[T]):
    """An async iterator for one reader, filled by `put` and ended by `close`.

    When `limit` messages wait, all of them are dropped for `overflow`: the message that says "you missed some".
    """

    def __init__(self, *first: T, overflow: tuple[T, ...] = (), limit: int = MAX_WAITING) -> None:
        self._waiting: deque[T] = deque(first)
        self._overflow = overflow
        self._limit = limit
        self._closed = False
        self._reader: asyncio.Future[None] | None = None

    def put(self, message: T) -> None:
        """Hand a message over; never blocks."""
        if len(self._waiting) >= self._limit:
            self._waiting.clear()
            self._waiting.extend(self._overflow)
        self._waiting.append(message)
        self._wake()

    def close(self) -> None:
        """No more messages: the iteration ends after those that wait."""
        self._closed = True
        self._wake()

    def __aiter__(self) -> Stream[T]:
        return self

    async def __anext__(self) -> T:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            if self._reader is not None:
                raise RuntimeError("a stream has one reader; ask the exchange for another stream")
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self._waiting.popleft()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
