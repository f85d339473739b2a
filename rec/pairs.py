"""examples → **pairs** → tuning of the text encoder. What was acted on after what: different pairs, the newest ones.

Of each pair it is decided once, by a hash, whether it is learned from or held out, and alike for both of its
directions: what is held out has not been seen the other way round. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from rec.events import POSITIVE
from rec.examples import Example

HELD = 1 / 8  # share of the pairs that is never learned from
MOST_OF_ONE = 8  # items of one event

Pair = tuple[str, str]


class Lessons(msgspec.Struct, frozen=True):
    """Pairs as indexes into texts."""

    texts: list[str]
    train: list[tuple[int, int]]
    held: list[tuple[int, int]]


class Pairs:
    """At most `capacity` of them; the one that was longest unseen makes room."""

    def __init__(self, capacity: int = 20_000) -> None:
        self._capacity = capacity
        self._pairs: dict[Pair, None] = {}

    def __len__(self) -> int:
        return len(self._pairs)

    def see(self, example: Example) -> None:
        """The item that was acted on last, and those acted on now."""
        state, event = example.state, example.event
        if state is None or not state.history or event.event not in POSITIVE:
            return
        last = state.history[-1].item_id
        for item in event.items[:MOST_OF_ONE]:
            if item.item_id != last:
                self._pairs.pop((last, item.item_id), None)  # so that it is the newest
                self._pairs[last, item.item_id] = None
        while len(self._pairs) > self._capacity:
            del self._pairs[next(iter(self._pairs))]

    def clear(self) -> None:
        """Nothing was seen: somebody is to be forgotten."""
        self._pairs.clear()

    def lessons(self, texts: Mapping[str, str], held_most: int) -> Lessons:
        """The pairs by their texts, each once; without items that have none, and with the newest held-out ones."""
        places: dict[str, int] = {}
        train: dict[tuple[int, int], None] = {}
        held: dict[tuple[int, int], None] = {}
        for first, then in reversed(self._pairs):
            a, b = texts.get(first), texts.get(then)
            if a is None or b is None or a == b:
                continue
            kept = held if is_held(a, b) else train
            if kept is held and len(held) >= held_most:
                continue
            kept[places.setdefault(a, len(places)), places.setdefault(b, len(places))] = None
        return Lessons(list(places), list(train), list(held))


def is_held(a: str, b: str) -> bool:
    """Whether a pair of texts is held out; the same answer for (b, a), always.

    >>> is_held("tent", "lamp") == is_held("lamp", "tent"), 90 < sum(is_held("a", str(n)) for n in range(1000)) < 160
    (True, True)
    """
    both = "\0".join(sorted((a, b))).encode()
    return int.from_bytes(blake2b(both, digest_size=4).digest(), "big") < HELD * 2**32
