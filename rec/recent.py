"""A bounded map for what streams by: remembered event ids, trails, choices. Pure, and the same for every key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A map of the most recently used: between `limit / 2` and `limit` of them, in constant time.

    Two generations: what is used moves to the young one; when that is full, the old one is let go.

    >>> recent = Recent(4); [recent.put(key, key) for key in "abc"] and recent.get("a"), "d" in recent
    ('a', False)
    """

    __slots__ = ("_half", "old", "young")

    def __init__(self, limit: int) -> None:
        self._half = max(1, limit // 2)
        self.young: dict[K, V] = {}
        self.old: dict[K, V] = {}

    def __contains__(self, key: K) -> bool:
        return key in self.young or key in self.old

    def __len__(self) -> int:
        return len(self.young) + len(self.old)

    def items(self) -> Iterator[tuple[K, V]]:
        """The longest unused generation first."""
        yield from self.old.items()
        yield from self.young.items()

    def get(self, key: K) -> V | None:
        found = self.young.get(key)
        if found is None and (found := self.old.pop(key, None)) is not None:
            self.put(key, found)
        return found

    def peek(self, key: K) -> V | None:
        """As `get`, but it counts as no use: for readers in other threads, which may move nothing."""
        found = self.young.get(key)
        return found if found is not None else self.old.get(key)

    def put(self, key: K, value: V) -> None:
        self.old.pop(key, None)
        self.young[key] = value
        if len(self.young) >= self._half:
            self.old, self.young = self.young, {}

    @property
    def generations(self) -> list[dict[K, V]]:
        """The old and the young one, for a snapshot."""
        return [self.old, self.young]

    def restore(self, generations: Sequence[dict[K, V]]) -> None:
        """The same as when `generations` were taken; from older snapshots there may be none.

        Not through `put`: the boundary between the two decides what is let go next.
        """
        if generations:
            self.old, self.young = (dict(part) for part in generations)

    def pop(self, key: K) -> V | None:
        found = self.young.pop(key, None)
        return found if found is not None else self.old.pop(key, None)
