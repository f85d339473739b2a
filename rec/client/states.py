"""links → **states** → the application: what happened to the connections, in order, to everyone who watches."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import AsyncGenerator
from typing import NamedTuple

from rec.client.outputs import State
from rec.errors import RecError

KEPT = 256  # changes that a watcher may lag behind; then the oldest are lost to it


class StateChange(NamedTuple):
    """The websocket of a user went into a state. `retry_in`: seconds to the next try, when reconnecting."""

    user_id: str
    state: State
    error: RecError | None = None
    retry_in: float | None = None


class _Watcher:
    def __init__(self) -> None:
        self.changes: deque[StateChange] = deque(maxlen=KEPT)
        self.ready = asyncio.Event()


class States:
    """One writer, any number of watchers; publishing never waits."""

    def __init__(self) -> None:
        self._watchers = weakref.WeakSet[_Watcher]()  # a loop that never began leaves none
        self._over = False

    def publish(self, change: StateChange) -> None:
        for watcher in self._watchers:
            watcher.changes.append(change)
            watcher.ready.set()

    def end(self) -> None:
        """Watchers get what is left, then their loops end."""
        self._over = True
        for watcher in self._watchers:
            watcher.ready.set()

    def watch(self) -> AsyncGenerator[StateChange]:
        """Every change from this call on."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        return self._watch(watcher)

    async def _watch(self, watcher: _Watcher) -> AsyncGenerator[StateChange]:
        try:
            while True:
                while watcher.changes:
                    yield watcher.changes.popleft()
                if self._over:
                    return
                watcher.ready.clear()
                await watcher.ready.wait()
        finally:
            self._watchers.discard(watcher)
