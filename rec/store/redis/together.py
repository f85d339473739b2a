"""requests → **together** → Redis. Commands of many callers in one round trip.

What comes while a round trip is under way leaves with the next one, all at once: a caller that is alone waits for
nobody, and the more there is to do the less a command costs. What a caller asked for is sent in order and beside no
one's answers but its own; a command that fails, fails for who sent it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rec.errors import Unavailable
from rec.store.redis.client import Client

Command = tuple[Any, ...]
AT_ONCE = 256  # callers in one round trip


class Together:
    """One round trip at a time over `client`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._waiting: list[tuple[Sequence[Command], asyncio.Future[list[Any]]]] = []
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
                batch, self._waiting = self._waiting[:AT_ONCE], self._waiting[AT_ONCE:]
                batch = [(commands, answers) for commands, answers in batch if not answers.done()]
                try:
                    said = await self._round(batch)
                except Unavailable as error:
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

    async def _round(self, batch: Sequence[tuple[Sequence[Command], Any]]) -> list[list[Any]]:
        async with self._client.reported():
            pipeline = self._client.redis.pipeline(transaction=False)
            for commands, _ in batch:
                for command in commands:
                    pipeline.execute_command(*command)
            said = iter(await pipeline.execute(raise_on_error=False))
        return [[next(said) for _ in commands] for commands, _ in batch]
