"""state → **slate** → Redis. Makes lists anew: coalesced per user, in batches, off the event loop, only if looked at.

The mailbox holds one entry a user and the newest cause wins; the state is read when the entry is taken, so a list is
always made from the newest state and its version is the state's. A list whose user was erased while it was made is
not stored. What gets lost here (a full Redis outage, a crash between fold and push) the sweep finds: it compares the
stored position of every connected user with their state.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from typing import NamedTuple

import msgspec

from agents.metrics import Metrics
from agents.presence import Presence
from rec.errors import Unavailable
from rec.ports import Exchange, Pushed, Reply, StoredSlate
from rec.recommend import Ask, World, recommend_many
from rec.requests import SlateRequest
from rec.screens import screen_key, split_screen
from rec.slates import Cause, Slate, encode_slate
from rec.state import UserState

log = logging.getLogger(__name__)

StateOf = Callable[[str], UserState | None]
MIN_STORED_N = 20  # a list asked for with less is made with this many, so that it can serve a screen later


class Waiting(NamedTuple):
    """A user whose lists are to be made anew, why, and since when (seconds since 1970) that is known."""

    user_id: str
    cause: Cause
    since: float


class Mailbox:
    """Pure: at most one entry a user, newest cause wins, order of first arrival; and requests, each answered.

    >>> box = Mailbox()
    >>> box.put(Waiting("u", Cause("event", "e1"), 1.0)); box.put(Waiting("u", Cause("event", "e2"), 2.0))
    >>> [entry.cause.event_id for entry in box.take(10)[0]]
    ['e2']
    """

    def __init__(self) -> None:
        self._users: dict[str, Waiting] = {}
        self._requests: list[SlateRequest] = []

    def __len__(self) -> int:
        return len(self._users) + len(self._requests)

    def put(self, entry: Waiting) -> None:
        self._users[entry.user_id] = entry

    def put_back(self, entries: Iterable[Waiting]) -> None:
        """Return what could not be done, unless something newer has come for the user."""
        for entry in entries:
            self._users.setdefault(entry.user_id, entry)

    def ask(self, request: SlateRequest) -> None:
        self._requests.append(request)

    def take(self, limit: int) -> tuple[list[Waiting], list[SlateRequest]]:
        users = [self._users.pop(user_id) for user_id in list(self._users)[:limit]]
        requests, self._requests = self._requests[:limit], self._requests[limit:]
        return users, requests


class Refresher:
    """Drains the mailbox: candidates → ranking → policy → slates in one thread, then one round trip to Redis."""

    def __init__(
        self,
        *,
        state_of: StateOf,
        erased_at: Callable[[str], float | None],
        presence: Presence,
        exchange: Exchange,
        world: World,
        executor: Executor,
        metrics: Metrics,
        batch: int,
        rng: random.Random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state_of, self._erased_at = state_of, erased_at
        self._presence, self._exchange, self._world = presence, exchange, world
        self._executor, self._metrics, self._batch, self._rng, self._clock = executor, metrics, batch, rng, clock
        self._mailbox = Mailbox()
        self._shown: dict[str, dict[str, frozenset[str]]] = {}
        self._wake = asyncio.Event()

    def refresh(self, user_id: str, cause: Cause, since: float) -> None:
        """Make this user's lists anew if somebody looks at them. Sync: callable from the middle of a fold."""
        if self._presence.screens(user_id):
            self._mailbox.put(Waiting(user_id, cause, since))
            self._wake.set()

    def answer(self, request: SlateRequest) -> None:
        """Make one slate for one asker."""
        self._mailbox.ask(request)
        self._wake.set()

    async def run(self) -> None:
        """Refresh for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while len(self._mailbox):
                users, requests = self._mailbox.take(self._batch)
                self._metrics.mailbox.set(len(self._mailbox))
                try:
                    await self._serve(users, requests)
                except Unavailable as error:
                    log.warning("slates could not be stored, trying again: %s", error)
                    self._mailbox.put_back(users)
                    await asyncio.sleep(0.5)

    async def _serve(self, users: list[Waiting], requests: list[SlateRequest]) -> None:
        now = self._clock()
        requests = [request for request in requests if request.deadline > now]
        asks = [
            _ask(entry.user_id, screen, n, entry.cause, self._state_of(entry.user_id))
            for entry in users
            for screen, n in self._presence.screens(entry.user_id).items()
        ]
        pushes = len(asks)
        asks += [self._ask_of(request) for request in requests]
        if not asks:
            return
        begun = {ask.user_id: self._life(ask.user_id) for ask in asks}
        started = time.perf_counter()
        slates = await asyncio.get_running_loop().run_in_executor(self._executor, self._make, asks, now)
        self._metrics.scoring.observe(time.perf_counter() - started)

        pushed = list(zip(asks[:pushes], slates[:pushes], strict=True))
        answers = list(zip(requests, slates[pushes:], strict=True))
        to_keep = [(slate, ask.item_id) for ask, slate in pushed]
        to_keep += [(slate, None) for request, slate in answers if request.item_id is None]
        kept = [(slate, item_id) for slate, item_id in to_keep if self._life(slate.user_id) == begun[slate.user_id]]
        await self._exchange.store_slates([Pushed(slate.user_id, as_stored(slate, item_id)) for slate, item_id in kept])
        for request, slate in answers:
            slate = msgspec.structs.replace(slate, items=slate.items[: request.n])
            body = b'{"slate":' + encode_slate(slate) + b"}"
            await self._exchange.reply(request.reply_to, Reply(request.request_id, body))
        for ask, slate in pushed:
            shown = frozenset(place.item_id for place in slate.items)
            self._shown.setdefault(slate.user_id, {})[screen_key(slate.placement, ask.item_id)] = shown
        done = self._clock()
        for entry in users:
            self._metrics.slates.labels(cause=entry.cause.kind).inc()
            if entry.cause.kind == "event":
                self._metrics.event_to_push.observe(max(0.0, done - entry.since))

    def forget_unseen(self) -> None:
        """What was shown to somebody who looks no longer is of no use, and would grow for ever."""
        self._shown = {user_id: lists for user_id, lists in self._shown.items() if self._presence.screens(user_id)}

    def touched_by(self, item_ids: set[str]) -> list[tuple[str, str]]:
        """(user, screen) of the lists that a change of these items may change, one for each user.

        Those that show one of them, and those that are shorter than was asked for: there a new product has its place.
        Known are the lists that this worker has made.
        """
        seen: dict[str, dict[str, frozenset[str]]] = {}
        touched: dict[str, str] = {}
        for user_id, lists in self._shown.items():
            for screen, n in self._presence.screens(user_id).items():
                if (shown := lists.get(screen)) is None:
                    continue
                seen.setdefault(user_id, {})[screen] = shown
                if len(shown) < n or not shown.isdisjoint(item_ids):
                    touched[user_id] = screen
        self._shown = seen
        return list(touched.items())

    def _ask_of(self, request: SlateRequest) -> Ask:
        shown = self._presence.screens(request.user_id).get(screen_key(request.placement, request.item_id), 0)
        n = max(request.n, shown, MIN_STORED_N)
        cause = Cause("request")
        return Ask(request.user_id, request.placement, n, request.item_id, cause, self._state_of(request.user_id))

    def _life(self, user_id: str) -> tuple[str | None, float | None]:
        """Another one after scoring than before: the user was erased meanwhile, and their list is not to be kept."""
        state = self._state_of(user_id)
        return state.epoch if state is not None else None, self._erased_at(user_id)

    def _make(self, asks: list[Ask], now: float) -> list[Slate]:
        return recommend_many(asks, self._world, now=now, rng=self._rng)


def _ask(user_id: str, screen: str, n: int, cause: Cause, state: UserState | None) -> Ask:
    placement, item_id = split_screen(screen)
    return Ask(user_id, placement, n, item_id, cause, state)


def as_stored(slate: Slate, item_id: str | None = None) -> StoredSlate:
    screen = screen_key(slate.placement, item_id)
    return StoredSlate(screen, slate.position, len(slate.items), encode_slate(slate))


class Sweep:
    """Anti-entropy: every few seconds, whoever is connected and has an older list than their state gets a new one."""

    def __init__(
        self,
        *,
        owned: Callable[[str], bool],
        state_of: StateOf,
        presence: Presence,
        exchange: Exchange,
        refresher: Refresher,
        metrics: Metrics,
        interval_s: float,
    ) -> None:
        self._owned, self._state_of, self._presence = owned, state_of, presence
        self._exchange, self._refresher, self._metrics = exchange, refresher, metrics
        self._interval_s = interval_s
        self._now = asyncio.Event()

    def soon(self) -> None:
        """After a restart or a rebalance: do not wait for the next turn."""
        self._now.set()

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._now.wait()
            except TimeoutError:
                pass  # the regular turn
            self._now.clear()
            try:
                await self.turn(time.time())
            except Unavailable as error:
                log.warning("the sweep could not read positions: %s", error)

    async def turn(self, now: float) -> int:
        """One sweep; how many users had an older list than their state."""
        stale: set[str] = set()
        pairs = [
            (user_id, screen)
            for user_id in self._presence
            if self._owned(user_id) and self._state_of(user_id) is not None
            for screen in self._presence.screens(user_id)
        ]
        for start in range(0, len(pairs), 1_000):
            chunk = pairs[start : start + 1_000]
            for (user_id, _), position in zip(chunk, await self._exchange.positions(chunk), strict=True):
                state = self._state_of(user_id)
                if state is not None and state.position.newer_than(position):
                    stale.add(user_id)
        for user_id in stale:
            self._refresher.refresh(user_id, Cause("request"), now)
        self._refresher.forget_unseen()
        self._metrics.swept.inc(len(stale))
        self._metrics.online.set(len(self._presence))
        return len(stale)
