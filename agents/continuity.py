"""Second net under the recovery fixes: no record of a source partition may be left out.

Offsets follow one another from one record to the next, and from what was committed to the first record of an
assignment, except where the log itself has none: what ends a transaction takes an offset and is no record. So where
one jumps the log is asked what lies between. If it is a record, its delivery was lost; the worker then stops before the
next commit and is restarted from the last one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

FirstFrom = Callable[[str, int, int], Awaitable[int | None]]  # rec.ports.Log.first_from


class LostDelivery(Exception):
    """A record was never handed to the agent."""


class Continuity:
    """Remembers the last offset of each (topic, partition) of the current assignment."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int], int] = {}

    def knows(self, topic: str, partition: int) -> bool:
        """Whether a record of this assignment has been seen, or it was told where it begins."""
        return (topic, partition) in self._last

    def begin(self, topic: str, partition: int, offset: int) -> None:
        """An assignment begins: its first record is to be the one at `offset`, or one before it that comes again."""
        self._last[topic, partition] = offset - 1

    def jumped(self, topic: str, partition: int, offset: int) -> int | None:
        """Where the log is to be asked, if a delivery jumps; going back (a replay after a rebalance) is no jump.

        >>> seen = Continuity()
        >>> for offset in (5, 6, 4, 5, 6, 7): seen.note("behavior", 0, offset)
        >>> seen.jumped("behavior", 0, 8), seen.jumped("behavior", 0, 10), seen.jumped("behavior", 1, 10)
        (None, 8, None)
        """
        last = self._last.get((topic, partition))
        return last + 1 if last is not None and offset > last + 1 else None

    def note(self, topic: str, partition: int, offset: int) -> None:
        """A delivery that follows."""
        self._last[topic, partition] = max(self._last.get((topic, partition), offset), offset)

    async def check(self, topic: str, partition: int, offset: int, first_from: FirstFrom) -> None:
        """Note a delivery. Raises LostDelivery where a record lies between it and the one before, and Unavailable."""
        if (after := self.jumped(topic, partition, offset)) is not None:
            there = await first_from(topic, partition, after)
            if there is not None and there < offset:
                message = f"{topic}[{partition}]: offset {offset} came after {after - 1}; {there} was never delivered"
                raise LostDelivery(message)
        self.note(topic, partition, offset)

    def next(self, topic: str, partition: int) -> int | None:
        """The offset that is to come next; None before the first record of the assignment.

        >>> seen = Continuity()
        >>> seen.note("behavior", 0, 5); seen.next("behavior", 0), seen.next("behavior", 1)
        (6, None)
        """
        last = self._last.get((topic, partition))
        return None if last is None else last + 1

    def forget(self) -> None:
        """After a rebalance every partition begins anew: another worker may have been ahead."""
        self._last.clear()
