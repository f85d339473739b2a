"""The truth: the topic, folded by `rec.state.fold` in one plain loop; and how to compare a worker's states with it."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from rec.as_of_now import up_to
from rec.events import Event, decode_event
from rec.ports import Log, Record
from rec.state import FacetsOf, FoldRules, UserState, decode_state, fold

OF_THE_LIST = ("epoch", "version")  # grow with every list made, also without an event


async def read_all(log: Log, topic: str) -> list[Record]:
    """Every record up to the ends of now."""
    found: list[Record] = []
    async with asyncio.timeout(60), contextlib.aclosing(up_to(log, topic, await log.ends(topic))) as batches:
        async for records in batches:
            found += records
    return found


def replay(records: Iterable[Record], facets: FacetsOf, rules: FoldRules) -> dict[str, UserState]:
    """The states that the topic says, partition by partition in its order."""
    states: dict[str, UserState] = {}
    for record in sorted(records, key=lambda r: (r.partition, r.offset)):
        event: Event = decode_event(record.value or b"")
        after, _ = fold(states.get(event.subject), event, facets, epoch="oracle", rules=rules)
        if after is not None:
            states[event.subject] = after
    return states


class Followed:
    """The changelog as it grows: the newest state of each user, and when each partition last moved."""

    def __init__(self, log: Log, changelog: str) -> None:
        self._log, self._changelog = log, changelog
        self.states: dict[str, UserState] = {}
        self.moves: list[tuple[float, int]] = []  # (broker's time, partition)

    async def follow(self) -> None:
        async for records in self._log.tail(self._changelog):
            for record in records:
                self.moves.append((record.timestamp, record.partition))
                key = record.key.decode()
                if record.value is None:
                    self.states.pop(key, None)
                else:
                    self.states[key] = decode_state(record.value)

    def counted(self) -> int:
        """Events counted, once each, over all users."""
        return sum(state.applied + state.late for state in self.states.values())

    def moved_since(self, when: float) -> float | None:
        """When the changelog moved for the first time after `when`."""
        return min((at for at, _ in self.moves if at > when), default=None)

    def longest_pause(self, since: float, until: float) -> float:
        """Seconds that the slowest partition stood still between two moments, while events kept coming."""
        longest = 0.0
        for partition in {partition for _, partition in self.moves}:
            times = [since, *(at for at, p in self.moves if p == partition and since <= at <= until), until]
            times.sort()
            longest = max(longest, *(b - a for a, b in zip(times, times[1:], strict=False)))
        return longest


def differences(expected: Mapping[str, UserState], actual: Mapping[str, UserState]) -> list[str]:
    """What is not alike, a line each: `user-3.applied: 40, not 41`. Floats are alike to rounding."""
    found = [f"{user}: missing" for user in expected.keys() - actual.keys()]
    found += [f"{user}: nobody sent it events" for user in actual.keys() - expected.keys()]
    for user in sorted(expected.keys() & actual.keys()):
        for name in UserState.__struct_fields__:
            want, have = getattr(expected[user], name), getattr(actual[user], name)
            if name not in OF_THE_LIST and not alike(msgspec.to_builtins(want), msgspec.to_builtins(have)):
                found.append(f"{user}.{name}: {str(have)[:80]}, not {str(want)[:80]}")
    return found


def alike(a: Any, b: Any) -> bool:
    if isinstance(a, float) or isinstance(b, float):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(alike(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(alike(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)
