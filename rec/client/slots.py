"""link → **slot** → the application's loop. One place for one slate: the newest wins, a slow reader never lags."""

from __future__ import annotations

import asyncio

import msgspec

from rec.client.outputs import Wish
from rec.errors import RecError
from rec.slates import Position, Slate


class Slot:
    """Where one `subscribe` loop takes its slates from. Putting never waits."""

    def __init__(self, placement: str, wish: Wish) -> None:
        self.placement, self.wish = placement, wish
        self._slate: Slate | None = None
        self._newest: tuple[Position, int] | None = None  # of what was put last: where it stood, how much of it is ours
        self._ended = False
        self._error: RecError | None = None
        self._ready = asyncio.Event()

    def put(self, slate: Slate) -> None:
        """Replace what is not taken yet. The same list again, for a loop that wants more of it, is no news here."""
        newest = slate.position, min(len(slate.items), self.wish.n)
        if newest == self._newest:
            return
        self._slate, self._newest = slate, newest
        self._ready.set()

    def end(self, error: RecError | None) -> None:
        """No more slates: `take` gives what is left, then raises the error, or None when there is none."""
        self._ended, self._error = True, error
        self._ready.set()

    async def take(self) -> Slate | None:
        """The newest slate that was not taken yet, at most `n` items of it; None: the end."""
        await self._ready.wait()
        slate, self._slate = self._slate, None
        if slate is None:
            if self._error is not None:
                raise self._error
            return None
        if not self._ended:
            self._ready.clear()
        if len(slate.items) > self.wish.n:  # another loop wants more of the same placement
            slate = msgspec.structs.replace(slate, items=slate.items[: self.wish.n])
        return slate
