"""Which share of the examples is learned from, from which offset on: a **journal** beside the checkpoints.

A trainer that is behind has to leave something out at once, not once it has come to the end of what waits. So the
decision is not a record of the topic; it is written down, before it is acted on, where a replay finds it: from the same
offset on the same share, whoever is killed when.
"""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left

import numpy as np

from rec.errors import ModelError
from rec.examples import Pace
from rec.model.checkpoint import MODEL, delete, load_meta, names, save

logger = logging.getLogger(__name__)


class Paces:
    """The journal of one log. `log` names it, as in the checkpoints."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._log = ""
        self._kept: list[tuple[int, float, str]] = []  # offset, share, name; sorted
        self._open = 0  # before this offset nothing is decided any more: it was read, or decided about

    async def begin(self, log: str) -> None:
        """Read what was decided about this log."""
        if log != self._log:
            self._log, self._open = log, 0
        found = []
        for name in await asyncio.to_thread(names, self._location):
            whose, _, at = name.rpartition("-")
            if whose == log and at.isdigit():  # whether it can be read or not: there it lies
                self._open = max(self._open, int(at) + 1)
            try:
                meta = await asyncio.to_thread(load_meta, self._location, name)
            except ModelError as error:
                logger.warning(
                    "%s/%s cannot be read and is passed over: %s. A replay from before it may learn another share of "
                    "the examples. To be rid of this warning, remove that folder",
                    self._location,
                    name,
                    error.message,
                )
                continue
            if meta["log"] == log:
                found.append((int(meta["offset"]), float(meta["share"]), name))
        self._kept = sorted(found)

    async def decide(self, offset: int, share: float) -> bool:
        """From this offset on. On return it is written; False if what was read once would be learned otherwise.

        So a trainer that goes back to a checkpoint, and is behind for it, leaves out what it left out the first time.
        """
        if offset < self._open:
            return False
        name, self._open = f"{self._log}-{offset:012d}", offset + 1
        share_of = {MODEL: {"share": np.array([share])}}
        await asyncio.to_thread(
            save, self._location, name, share_of, {"log": self._log, "offset": offset, "share": share}
        )
        self._kept.append((offset, share, name))
        return True

    def between(self, begin: int, end: int) -> list[tuple[int, Pace]]:
        """What changes at offsets from `begin` to before `end`, which are read now."""
        self._open = max(self._open, end)
        first = bisect_left(self._kept, (begin, 0.0, ""))
        return [(offset, Pace(share)) for offset, share, _ in self._kept[first:] if offset < end]

    async def forget(self, before: int) -> None:
        """No checkpoint will read offsets before this again."""
        gone = [name for offset, _, name in self._kept if offset < before]
        self._kept = [each for each in self._kept if each[0] >= before]
        for name in gone:
            await asyncio.to_thread(delete, self._location, name)
