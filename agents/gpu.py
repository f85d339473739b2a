"""The trainer's **child process**: torch lives there, on a GPU if there is one. What crosses are bytes and numbers.

A child that dies (killed, out of memory, a driver's fault) is `GpuDied` for whoever waits for it, and so is one that is
being restarted for whoever works beside the trainer; `restart` gives a new one, which knows nothing until `resume`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from agents.process import Process
from rec.catalog import Item
from rec.errors import Unavailable
from rec.examples import Taken
from rec.model import child
from rec.model.device import Hardware
from rec.model.teaching import Teaching


class GpuDied(Unavailable):
    """The child process is gone, and with it everything since the last checkpoint; `restart`, then `resume`."""


class Gpu:
    """One child, one call at a time. An async context manager."""

    def __init__(self, teaching: Teaching, hardware: Hardware = Hardware()) -> None:
        taught = msgspec.json.encode(teaching)
        self._child = Process("the trainer's child process", GpuDied, child.begin, taught, hardware)

    async def __aenter__(self) -> Gpu:
        await self._child.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._child.close()

    async def restart(self) -> None:
        """A new child in place of one that died."""
        await self._child.close()
        await self._child.open()

    @property
    def pids(self) -> list[int]:
        """Of the child, as soon as it was asked for something."""
        return self._child.pids

    async def resume(self, url: str, name: str | None) -> child.Begun:
        """Go on from a checkpoint, or anew without one. Raises ModelError if it is broken or taught otherwise."""
        return await self._child.call(child.resume, url, name)  # type: ignore[no-any-return]

    async def know(self, items: Sequence[Item], vectors: dict[str, bytes], deleted: Sequence[str]) -> list[str]:
        """Tell it what has changed in the catalog. Which of the deleted items the network still knows."""
        known = await self._child.call(child.know, msgspec.json.encode(list(items)), vectors, list(deleted))
        return list(known)

    async def tell(self, encoder: str, vectors: dict[str, bytes], deleted: Sequence[str]) -> None:
        """Texts of items as a tuned encoder reads them."""
        await self._child.call(child.tell, encoder, vectors, list(deleted))

    async def untell(self, encoder: str) -> None:
        """Nobody reads this epoch any more."""
        await self._child.call(child.untell, encoder)

    async def told(self) -> Taken:
        """How things stand, without a record."""
        return await self._child.call(child.told)  # type: ignore[no-any-return]

    async def traffic(self) -> dict[str, float]:
        """item_id → how much was done with it, decayed; in units of its own."""
        return await self._child.call(child.traffic)  # type: ignore[no-any-return]

    async def take(self, records: Sequence[bytes], end: int) -> Taken:
        """Learn from records of the examples topic; `end` is the offset behind them."""
        return await self._child.call(child.take, list(records), end)  # type: ignore[no-any-return]

    async def publish(self, url: str, name: str, more: dict[str, Any], *, whole: bool = False) -> child.Published:
        """Write what it has learned so far as a version that can serve. Raises ModelError if the name is taken.

        `whole`: so that it rests on no other version, however large it is.
        """
        return await self._child.call(child.publish, url, name, more, whole)  # type: ignore[no-any-return]

    async def contend(self, url: str, names: Sequence[str]) -> list[str]:
        """Score these versions, and no others, beside the candidate; returns those that could not be loaded."""
        return await self._child.call(child.contend, url, list(names))  # type: ignore[no-any-return]

    async def checkpoint(self, url: str, name: str, more: dict[str, Any]) -> child.Published:
        """Write all of it, so that `resume` goes on from there."""
        return await self._child.call(child.checkpoint, url, name, more)  # type: ignore[no-any-return]
