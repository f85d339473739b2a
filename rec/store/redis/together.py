"""requests → **together** → Redis. Commands of many callers in one round trip.

What comes while a round trip is under way leaves with the next one, all at once: a caller that is alone waits for
nobody, and the more there is to do the less a command costs. What a caller asked for is sent in order and beside no
one's answers but its own; a command that fails, fails for who sent it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any

from rec.store.redis.client import Client

Command = tuple[Any, ...]
AT_ONCE = 2_000  # commands in one round trip, of one caller at least


class Together:
    """One round trip at a time over `client`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: deque[tuple[Sequence[Command], asyncio.Future[list[Any]]]] = deque()
        self._trip: asyncio.Task[None] | None = None

    async def execute(self, *commands: Command) -> list[Any]:
        """An answer for each command. Raises Unavailable within `COMMAND_S`, waiting for others included."""
        answers: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._waiting.append((commands, answers))
        if self._trip is None:
            self._trip = asyncio.create_task(self._travel())
        async with self._client.reported():
            return await answers

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._trip is not None:
            await self._trip

    async def _travel(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                said: list[list[Any]]
                try:
                    said = await self._round(batch)
                except Exception as error:  # noqa: BLE001  whoever asked is told, and the next trip begins
                    said = [[error] for _ in batch]
                for (_, answers), each in zip(batch, said, strict=True):
                    if answers.done():  # who asked has gone meanwhile
                        continue
                    if (wrong := next((one for one in each if isinstance(one, Exception)), None)) is not None:
                        answers.set_exception(wrong)
                    else:
                        answers.set_result(each)
        finally:
            self._trip = None

    def _next(self) -> list[tuple[Sequence[Command], asyncio.Future[list[Any]]]]:
        """Whose commands go together now; who has gone meanwhile is left out."""
        batch: list[tuple[Sequence[Command], asyncio.Future[list[Any]]]] = []
        size = 0
        while self._waiting and (not batch or size + len(self._waiting[0][0]) <= AT_ONCE):
            commands, answers = self._waiting.popleft()
            if not answers.done():
                batch.append((commands, answers))
                size += len(commands)
        return batch

    async def _round(self, batch: Sequence[tuple[Sequence[Command], Any]]) -> list[list[Any]]:
        async with self._client.reported():
            pipeline = self._client.redis.pipeline(transaction=False)
            for commands, _ in batch:
                for command in commands:
                    pipeline.execute_command(*command)
            said = iter(await pipeline.execute(raise_on_error=False))
        return [[next(said) for _ in commands] for commands, _ in batch]
