"""examples → **pairs** → tuning of the text encoder. What was acted on after what, and what was chosen for which query:
different pairs, the newest ones.

Of each pair it is decided once, by a hash, whether it is learned from or held out, and alike for both of its
directions: what is held out has not been seen the other way round. Of a query all pairs are held out, or none. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

import msgspec

from rec.events import POSITIVE
from rec.examples import Example

HELD = 1 / 8  # share of the pairs that is never learned from
MOST_OF_ONE = 8  # items of one event
QUERIES = 20_000  # pairs of a query and an item that are kept, beside the others

Pair = tuple[str, str]


class Lessons(msgspec.Struct, frozen=True):
    """Pairs as indexes into texts. `queries`: the places of texts that somebody searched for, in the form in which the
    encoder reads queries; a query is the first of its pairs."""

    texts: list[str]
    train: list[tuple[int, int]]
    held: list[tuple[int, int]]
    queries: frozenset[int] = frozenset()

    def apart(self, pairs: list[tuple[int, int]]) -> list[list[int]]:
        """The places in `pairs` of those of two items, and of those of a query and an item."""
        of: list[list[int]] = [[], []]
        for at, (first, _) in enumerate(pairs):
            of[first in self.queries].append(at)
        return of


class Pairs:
    """At most `capacity` of two items, and `queries` of a query and an item; what was longest unseen makes room."""

    def __init__(self, capacity: int = 20_000, queries: int = QUERIES) -> None:
        self._capacity, self._most_queries = capacity, queries
        self._pairs: dict[Pair, None] = {}
        self._queries: dict[Pair, None] = {}

    def __len__(self) -> int:
        return len(self._pairs) + len(self._queries)

    def see(self, example: Example) -> None:
        """The item that was acted on last, or what was searched for, and the items acted on now."""
        state, event = example.state, example.event
        if state is None or not state.history or event.event not in POSITIVE:
            return
        last, query = state.history[-1].item_id, as_read(event.search_term or "")
        for item in event.items[:MOST_OF_ONE]:
            if item.item_id != last:
                _newest(self._pairs, (last, item.item_id), self._capacity)
            if query:
                self.choose(query, item.item_id)

    def choose(self, query: str, item_id: str) -> None:
        """This item was chosen for a query, which is as the encoder reads it."""
        _newest(self._queries, (query, item_id), self._most_queries)

    def clear(self) -> None:
        """Nothing was seen: somebody is to be forgotten."""
        self._pairs.clear()
        self._queries.clear()

    def lessons(self, texts: Mapping[str, str], held_most: int) -> Lessons:
        """The pairs by their texts, each once; without items that have none, and with the newest `held_most` of each
        kind that are held out."""
        places: dict[str, int] = {}  # a query that is some item's text stands twice: it is read in another form
        train: dict[tuple[int, int], None] = {}
        held: dict[tuple[int, int], None] = {}
        queries: set[int] = set()
        for kind in (self._pairs, self._queries):
            room = held_most
            for first, then in reversed(kind):
                a, b = (first if kind is self._queries else texts.get(first)), texts.get(then)
                if a is None or b is None or a == b:
                    continue
                kept = held if (is_held(a, a) if kind is self._queries else is_held(a, b)) else train
                if kept is held and not room:
                    continue
                key = f"\0{a}" if kind is self._queries else a
                pair = places.setdefault(key, len(places)), places.setdefault(b, len(places))
                room -= kept is held and pair not in held
                kept[pair] = None
                if kind is self._queries:
                    queries.add(pair[0])
        return Lessons([text.removeprefix("\0") for text in places], list(train), list(held), frozenset(queries))


def as_read(query: str) -> str:
    """A query as the encoder reads it, and under which its vector is kept: neither case nor spaces make another one.

    >>> as_read("  Two-man  TENT ")
    'two-man tent'
    """
    return " ".join(query.casefold().split())


def _newest(pairs: dict[Pair, None], pair: Pair, most: int) -> None:
    pairs.pop(pair, None)  # so that it is the newest
    pairs[pair] = None
    while len(pairs) > most:
        del pairs[next(iter(pairs))]


def is_held(a: str, b: str) -> bool:
    """Whether a pair of texts is held out; the same answer for (b, a), always.

    >>> is_held("tent", "lamp") == is_held("lamp", "tent"), 90 < sum(is_held("a", str(n)) for n in range(1000)) < 160
    (True, True)
    """
    both = "\0".join(sorted((a, b))).encode()
    return int.from_bytes(blake2b(both, digest_size=4).digest(), "big") < HELD * 2**32
