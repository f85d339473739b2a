"""Second net under the recovery fixes: offsets of a source partition must follow one another.

Pure. On a topic without compaction and transactions every offset is delivered, so a jump is a lost delivery: from one
record to the next, and from what was committed to the first record of an assignment. The worker then stops before the
next commit and is restarted from the last one.
"""

from __future__ import annotations


class LostDelivery(Exception):
    """Offsets jumped: records between them were never handed to the agent."""


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

    def check(self, topic: str, partition: int, offset: int) -> None:
        """Note a delivery. Going back (a replay after a rebalance) is fine; skipping ahead raises LostDelivery.

        >>> seen = Continuity()
        >>> for offset in (5, 6, 4, 5, 6, 7): seen.check("behavior", 0, offset)
        >>> seen.check("behavior", 0, 9)
        Traceback (most recent call last):
        agents.continuity.LostDelivery: behavior[0]: offset 9 came after 7; 1 record(s) were never delivered
        """
        last = self._last.get((topic, partition))
        if last is not None and offset > last + 1:
            raise LostDelivery(
                f"{topic}[{partition}]: offset {offset} came after {last}; "
                f"{offset - last - 1} record(s) were never delivered"
            )
        self._last[topic, partition] = offset if last is None else max(last, offset)

    def next(self, topic: str, partition: int) -> int | None:
        """The offset that is to come next; None before the first record of the assignment.

        >>> seen = Continuity()
        >>> seen.check("behavior", 0, 5); seen.next("behavior", 0), seen.next("behavior", 1)
        (6, None)
        """
        last = self._last.get((topic, partition))
        return None if last is None else last + 1

    def forget(self) -> None:
        """After a rebalance every partition begins anew: another worker may have been ahead."""
        self._last.clear()
