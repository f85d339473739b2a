"""`Exchange` inside one process: dicts with expiry, and messages handed straight to the readers' streams.

Handles made by `connect()` share the data and each have their own watch set, like processes on one Redis.
Invariant: the kept slate of a user and screen is the newest of its epoch, whoever stores in whatever order.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Generic, TypeVar
from weakref import WeakSet

import msgspec

from rec.ports import Hint, Pushed, Reply, StoredSlate, Wanted
from rec.slates import Position
from rec.store.presence import KEPT_SLATES, PRESENCE_S, WORKER_S, Screens, crowded, everyone, merged, slate_ttl_s
from rec.store.streams import Stream

K = TypeVar("K")
V = TypeVar("V")


class _Expiring(Generic[K, V]):
    """A dict whose entries go by themselves; they are swept as new ones come, so it never outgrows what is alive."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._kept: dict[K, tuple[float, V]] = {}
        self._due: list[tuple[float, int, K]] = []
        self._count = 0

    def set(self, key: K, value: V, ttl_s: float) -> None:
        now, self._count = self._now(), self._count + 1
        self._kept[key] = (now + ttl_s, value)
        heapq.heappush(self._due, (now + ttl_s, self._count, key))
        while self._due and self._due[0][0] <= now:
            _, _, due = heapq.heappop(self._due)
            if due in self._kept and self._kept[due][0] <= now:
                self._drop(due)

    def get(self, key: K) -> V | None:
        until, value = self._kept.get(key, (0.0, None))
        return value if until > self._now() else None

    def pop(self, key: K) -> V | None:
        value = self.get(key)
        if key in self._kept:
            self._drop(key)
        return value

    def _drop(self, key: K) -> None:
        del self._kept[key]

    def items(self) -> list[tuple[K, V]]:
        now = self._now()
        return [(key, value) for key, (until, value) in self._kept.items() if until > now]


class _Slates(_Expiring[tuple[str, str], StoredSlate]):
    """(user, screen) → the latest slate. Of too many of one user, those go that would expire first."""

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(now)
        self._screens: dict[str, dict[str, None]] = {}  # of each user, those that were set last come last

    def set(self, key: tuple[str, str], value: StoredSlate, ttl_s: float) -> None:
        super().set(key, value, ttl_s)
        user_id, screen = key
        screens = self._screens.setdefault(user_id, {})
        screens.pop(screen, None)
        screens[screen] = None
        while len(screens) > KEPT_SLATES:
            self._drop((user_id, min(screens, key=lambda one: self._kept[user_id, one][0])))

    def _drop(self, key: tuple[str, str]) -> None:
        super()._drop(key)
        user_id, screen = key
        self._screens[user_id].pop(screen, None)
        if not self._screens[user_id]:
            del self._screens[user_id]

    def of(self, user_id: str) -> dict[str, StoredSlate]:
        """All of one user, by screen."""
        found = {screen: self.get((user_id, screen)) for screen in self._screens.get(user_id, ())}
        return {screen: slate for screen, slate in found.items() if slate is not None}


class _Shared:
    """What Redis would hold."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.slates = _Slates(now)
        self.presence: _Expiring[str, dict[str, Screens]] = _Expiring(now)
        self.events: _Expiring[str, bool] = _Expiring(now)
        self.leases: _Expiring[str, str] = _Expiring(now)
        self.workers: _Expiring[str, str] = _Expiring(now)
        self.reports: _Expiring[str, bytes] = _Expiring(now)
        self.denied: set[str] = set()
        self.handles: WeakSet[MemoryExchange] = WeakSet()
        self.replies: dict[str, WeakSet[Stream[Reply]]] = {}
        self.arrivals: WeakSet[Stream[Wanted | None]] = WeakSet()
        self.hints: WeakSet[Stream[Hint | None]] = WeakSet()


class MemoryExchange:
    """The exchange of one process. `connect()` gives another node's handle onto the same data."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._use(_Shared(now))

    def connect(self) -> MemoryExchange:
        """A further handle: the same slates and presence, its own watch set and streams."""
        other = MemoryExchange.__new__(MemoryExchange)
        other._use(self._shared)
        return other

    def _use(self, shared: _Shared) -> None:
        self._shared = shared
        self._watched: set[str] = set()
        self._pushes: WeakSet[Stream[Pushed | None]] = WeakSet()
        self._others: WeakSet[Stream[Any]] = WeakSet()
        self._announced: dict[str, dict[str, Screens]] = {}
        shared.handles.add(self)

    async def __aenter__(self) -> MemoryExchange:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for stream in (*self._pushes, *self._others):
            stream.close()
        self._shared.handles.discard(self)

    # -- slates
    async def store_slates(self, slates: Sequence[Pushed], push: bool = True) -> None:
        for pushed in slates:
            key = (pushed.user_id, pushed.slate.screen)
            kept = self._shared.slates.get(key)
            if pushed.slate.position.newer_than(kept.position if kept else None):
                self._shared.slates.set(key, pushed.slate, slate_ttl_s(pushed.slate.screen))
                if push:
                    for handle in list(self._shared.handles):
                        handle._deliver(pushed)

    def _deliver(self, pushed: Pushed) -> None:
        if pushed.user_id in self._watched:
            for stream in list(self._pushes):
                stream.put(pushed)

    async def latest(self, user_id: str, screen: str) -> StoredSlate | None:
        return self._shared.slates.get((user_id, screen))

    async def positions(self, wanted: Sequence[tuple[str, str]]) -> list[Position | None]:
        found = [await self.latest(user_id, screen) for user_id, screen in wanted]
        return [slate.position if slate else None for slate in found]

    async def watch(self, user_id: str) -> None:
        self._watched.add(user_id)

    async def unwatch(self, user_id: str) -> None:
        self._watched.discard(user_id)

    def pushes(self) -> Stream[Pushed | None]:
        stream: Stream[Pushed | None] = Stream(overflow=(None,))
        self._pushes.add(stream)
        return stream

    # -- replies
    async def reply(self, to: str, reply: Reply) -> None:
        for stream in list(self._shared.replies.get(to, ())):
            stream.put(reply)

    def replies(self, node: str) -> Stream[Reply]:
        stream: Stream[Reply] = Stream()
        self._shared.replies.setdefault(node, WeakSet()).add(stream)
        self._others.add(stream)
        return stream

    # -- presence
    async def announce(self, node: str, wanted: Wanted) -> bool:
        mine = self._announced.setdefault(node, {})
        users = dict(self._shared.presence.get(node) or {})
        elsewhere = [
            there[wanted.user_id]
            for name, there in self._shared.presence.items()
            if name != node and wanted.user_id in there
        ]
        if crowded([*elsewhere, users.get(wanted.user_id, {})], [*elsewhere, wanted.screens]):
            return False
        if wanted.screens:
            mine[wanted.user_id] = users[wanted.user_id] = dict(wanted.screens)
        else:
            mine.pop(wanted.user_id, None)
            users.pop(wanted.user_id, None)
        self._shared.presence.set(node, users, PRESENCE_S)
        self._arrived(self._audience(wanted.user_id))
        return True

    async def tend(self, node: str) -> None:
        kept = self._shared.presence.get(node)
        mine = self._announced.get(node, {})
        self._shared.presence.set(node, dict(mine) if kept is None else kept, PRESENCE_S)
        if kept is None and mine:
            self._arrived(None)

    async def retire(self, node: str) -> None:
        self._announced.pop(node, None)
        self._shared.presence.pop(node)
        self._arrived(None)

    async def online(self) -> list[Wanted]:
        return everyone(users for _, users in self._shared.presence.items())

    def arrivals(self) -> Stream[Wanted | None]:
        stream: Stream[Wanted | None] = Stream(None, overflow=(None,))
        self._shared.arrivals.add(stream)
        self._others.add(stream)
        return stream

    def _audience(self, user_id: str) -> Wanted:
        return merged(user_id, [users[user_id] for _, users in self._shared.presence.items() if user_id in users])

    def _arrived(self, wanted: Wanted | None) -> None:
        for stream in list(self._shared.arrivals):
            stream.put(wanted)

    # -- remembered ids, consent
    async def known(self, event_ids: Sequence[str], subjects: Sequence[str]) -> tuple[set[str], set[str]]:
        seen = {event_id for event_id in event_ids if self._shared.events.get(event_id)}
        return seen, self._shared.denied.intersection(subjects)

    async def remember(self, event_ids: Sequence[str], ttl_s: int) -> set[str]:
        before = {event_id for event_id in event_ids if self._shared.events.get(event_id)}
        for event_id in event_ids:
            if event_id not in before:
                self._shared.events.set(event_id, True, ttl_s)
        return before

    async def set_denied(self, user_id: str, denied: bool) -> None:
        await self.set_all_denied([user_id], denied)

    async def set_all_denied(self, user_ids: Sequence[str], denied: bool) -> None:
        (self._shared.denied.update if denied else self._shared.denied.difference_update)(user_ids)

    # -- hints, leases, erasure
    async def hint(self, hint: Hint) -> None:
        for stream in list(self._shared.hints):
            stream.put(hint)

    def hints(self) -> Stream[Hint | None]:
        stream: Stream[Hint | None] = Stream(None, overflow=(None,))
        self._shared.hints.add(stream)
        self._others.add(stream)
        return stream

    async def lease(self, name: str, holder: str, ttl_s: float) -> bool:
        if self._shared.leases.get(name) not in (None, holder):
            return False
        self._shared.leases.set(name, holder, ttl_s)
        return True

    async def set_worker_state(self, worker: str, state: str) -> None:
        self._shared.workers.set(worker, state, WORKER_S)

    async def worker_states(self) -> dict[str, str]:
        return dict(self._shared.workers.items())

    async def report(self, process: str, report: bytes) -> None:
        self._shared.reports.set(process, report, WORKER_S)

    async def reports(self) -> dict[str, bytes]:
        return dict(self._shared.reports.items())

    async def forget_slates(self, user_id: str) -> int:
        return sum(self._shared.slates.pop((user_id, name)) is not None for name in self._slates_of(user_id))

    async def forget(self, user_id: str) -> int:
        removed = await self.forget_slates(user_id)
        for handle in list(self._shared.handles):
            for mine in handle._announced.values():
                mine.pop(user_id, None)
        for _, users in self._shared.presence.items():
            removed += users.pop(user_id, None) is not None
        removed += user_id in self._shared.denied
        self._shared.denied.discard(user_id)
        return removed

    async def keys_of(self, user_id: str) -> dict[str, Any]:
        return {
            "slates": {name: msgspec.json.decode(s.body) for name, s in self._slates_of(user_id).items()},
            "on_screen": dict(self._audience(user_id).screens),
            "personalization_denied": user_id in self._shared.denied,
        }

    def _slates_of(self, user_id: str) -> dict[str, StoredSlate]:
        return self._shared.slates.of(user_id)

    async def time(self) -> float:
        return self._shared.now()

    async def ping(self) -> float:
        started = time.perf_counter()
        return time.perf_counter() - started
