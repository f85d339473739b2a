"""requests, catalog, behavior → **searching** → replies, topic `served`. Whose turn it is in search, and no more.

All that touches the engine runs in one thread, in order: changes of the catalog in portions, searches a few at a
time, clicks (agents/search_thread.py). The event loop only queues, waits for vectors, replies, and tells the feedback
of the lists that went out; the thread goes on meanwhile. A request behind its deadline is dropped; one that is too many
is told so at once, and may try again.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec

from agents.metrics import Metrics
from agents.query_encoder import QueryEncoder
from agents.refresh import Life, LifeOf, StateOf
from agents.search_thread import Click, SearchThread, error_body
from agents.served import ServedLists
from agents.snapshots import kept
from rec.catalog import Item
from rec.errors import Unavailable
from rec.events import POSITIVE, Event
from rec.ports import Exchange, Reply
from rec.recommend import World
from rec.requests import SearchRequest, SuggestRequest
from rec.search.engine import Engine
from rec.search.nearness import ReadQuery
from rec.slates import Slate
from rec.state import UserState

T = TypeVar("T")

log = logging.getLogger(__name__)

PORTION = 200  # products that are written to the index between two searches
FIRST_PORTION = 2_000  # ... before the first of them
TOGETHER = 8  # searches handed to the thread at once; suggestions come between any two of them
MAX_WAITING = 512
WITHIN_S = 0.1  # a warm encoder is waited for so long
MOST_BEHIND = 32  # searches that wait for their turn
PRESSED_S = 0.5  # before its deadline a search is answered even if with an error
SAVE_S = 30.0
AGAIN_S = 1.0  # after which who could not be forgotten is tried again


class _Waiting(NamedTuple):
    request: SearchRequest
    read: ReadQuery | None


class Searching:
    """Answers searches and suggestions from `engine`, which nobody else touches. `served` is told of the lists that
    went out, unless their user has another life (`life_of`) than when they were made."""

    def __init__(
        self,
        *,
        engine: Engine,
        encoder: QueryEncoder | None,
        world: World,
        state_of: StateOf,
        life_of: LifeOf,
        served: ServedLists,
        exchange: Exchange,
        metrics: Metrics,
        fusion_path: Path,
        rng: random.Random | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine, self._encoder, self.world = engine, encoder, world
        self._state_of, self._life_of, self._served = state_of, life_of, served
        self._exchange, self._metrics, self._path, self._clock = exchange, metrics, fusion_path, clock
        self._thread = SearchThread(engine, world, metrics, rng or random.Random())
        self._executor: ThreadPoolExecutor | None = None
        self._items: dict[str, Item | None] = {}  # what the index does not know yet; None: deleted
        self._built = False  # whether the index ever was as the catalog
        self._ready: deque[_Waiting] = deque()
        self._typed: deque[SuggestRequest] = deque()
        self._clicks: deque[Click] = deque()
        self._forgotten: deque[str] = deque()
        self._reading: set[asyncio.Task[None]] = set()
        self._sending: set[asyncio.Task[None]] = set()
        self._over = False
        self._wake = asyncio.Event()
        self._wake.set()

    # ------------------------------------------------------------------ what comes in: sync, from anywhere on the loop
    def follow(self, items: Iterable[Item], deleted: Iterable[str]) -> None:
        """The catalog has changed."""
        self._items.update({item.item_id: item for item in items})
        self._items.update(dict.fromkeys(deleted))
        self._wake.set()

    def answer(self, request: SearchRequest | SuggestRequest) -> None:
        """Answer, before its deadline, or not at all."""
        if len(self._ready) + len(self._typed) + len(self._reading) >= MAX_WAITING:
            self._refuse(request)
            return
        if isinstance(request, SuggestRequest):
            if self._encoder is not None:
                self._encoder.start()  # who types will search
            self._typed.append(request)
            self._wake.set()
            return
        known = None if self._encoder is None else self._encoder.known(request.search.q)
        if known is not None or self._encoder is None or self.engine.remembers(request.user_id, request.search.page):
            self._queue(_Waiting(request, known))
            return
        task = asyncio.create_task(self._read(self._encoder, request))
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def _queue(self, one: _Waiting) -> None:
        """To be answered in turn. More than can be made in time: the newest are, not all of them late."""
        self._ready.append(one)
        while self._built and len(self._ready) > MOST_BEHIND:
            self._refuse(self._ready.popleft().request)
        self._wake.set()

    def _refuse(self, request: SearchRequest | SuggestRequest) -> None:
        self._metrics.searches.labels(outcome="refused").inc()
        busy = Unavailable("More searches wait than can be made. Try again in a second.", code="busy", retry_after=1)
        self._reply(request, error_body(busy))

    def _reply(
        self, request: SearchRequest | SuggestRequest, body: bytes, sent: Callable[[], None] = lambda: None
    ) -> None:
        """On its way; nobody waits for it here. `sent`: what is to be done when it went out."""
        if self._over:
            return
        task = asyncio.create_task(self._send(request.reply_to, Reply(request.request_id, body), sent))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send(self, to: str, reply: Reply, sent: Callable[[], None]) -> None:
        try:
            await self._exchange.reply(to, reply)
        except Unavailable as error:
            log.warning("a search could not be answered: %s", error)
            return
        sent()

    def _went_out(self, slate: Slate, state: UserState | None, life: Life) -> None:
        """A list made from `state`. Of who was erased meanwhile nothing is told."""
        if self._life_of(slate.user_id) == life:
            self._served.put(slate, state)

    async def _read(self, encoder: QueryEncoder, request: SearchRequest) -> None:
        within = min(WITHIN_S, max(0.0, request.deadline - self._clock()))
        read = await encoder.read(request.search.q, within)
        self._queue(_Waiting(request, read))

    def heard(self, event: Event) -> None:
        """Somebody wanted a product; if on a list made here, that teaches the fusion."""
        if event.attribution is not None and event.items and event.event in POSITIVE:
            wanted = [item.item_id for item in event.items]
            self._clicks.append(Click(event.attribution.slate_id, event.subject, wanted))
            self._wake.set()

    def forget(self, user_id: str) -> None:
        """Drop what is remembered of an erased user."""
        self._forgotten.append(user_id)
        self._wake.set()

    # ------------------------------------------------------------------ what goes on
    async def run(self) -> None:
        """For ever: changes, clicks, searches, suggestions, in turns."""
        with ThreadPoolExecutor(1, thread_name_prefix="search") as executor:
            self._executor = executor
            try:
                while True:
                    await self._wake.wait()
                    self._wake.clear()
                    while await self._turn():
                        pass
            finally:
                self._over = True
                for task in self._reading | self._sending:
                    task.cancel()

    async def save_for_ever(self) -> None:
        """What clicks have taught, every now and then, if there is something new."""
        saved = self.engine.fusion.learned
        while True:
            await asyncio.sleep(SAVE_S)
            fusion = self.engine.fusion
            learned = fusion.learned
            if learned != saved and await kept(self._path, msgspec.json.encode(fusion)):
                saved = learned

    async def _turn(self) -> bool:
        """One portion of everything; False if there was nothing."""
        portion = [
            (item_id, self._items[item_id])
            for item_id in list(self._items)[: PORTION if self._built else FIRST_PORTION]
        ]
        clicks, forgotten = _drained(self._clicks), _drained(self._forgotten)
        now = self._clock()
        waiting = self._due(now)
        if not (portion or clicks or forgotten or waiting or self._typed):
            first, self._built = not self._built, True
            if first and self._encoder is not None and len(self.world.counters.queries):
                self._encoder.start()  # here somebody searches; now that all else is done
            while len(self._ready) > MOST_BEHIND:  # those who waited for the index
                self._refuse(self._ready.popleft().request)
            return first
        made_of = [(self._state_of(one.request.user_id), self._life_of(one.request.user_id)) for one in waiting]
        complete, done = self._built, asyncio.get_running_loop().call_soon_threadsafe

        def suggest() -> None:
            for one in _drained(self._typed):
                if one.deadline > now:
                    done(self._reply, one, self._thread.suggest(one, now))

        def work() -> list[str]:
            left = self._thread.forget(forgotten)
            self._thread.learn(clicks, now)
            suggest()
            for one, (state, life) in zip(waiting, made_of, strict=True):
                began = time.perf_counter()
                body, slate = self._thread.search(one.request, one.read, state, now, complete)
                sent = () if slate is None else (functools.partial(self._went_out, slate, state, life),)
                done(self._reply, one.request, body, *sent)
                self._metrics.search_seconds.observe(time.perf_counter() - began)
                suggest()  # who types waits for one search at most
            return left

        if waiting or self._typed or clicks or forgotten:
            for user_id in await self._in_thread(work):  # an erasure is not lost
                asyncio.get_running_loop().call_later(AGAIN_S, self.forget, user_id)
        if portion:
            await self._write(portion)
        return True

    def _due(self, now: float) -> list[_Waiting]:
        """The next to be answered, without those for whom nobody waits any more. Until the index is built, those who
        can wait do: it is a matter of seconds."""
        self._ready = deque(one for one in self._ready if one.request.deadline > now)
        if self._built:
            return _some(self._ready, TOGETHER)
        pressed = [one for one in self._ready if one.request.deadline < now + PRESSED_S]
        for one in pressed:
            self._ready.remove(one)
        return pressed

    async def _write(self, portion: list[tuple[str, Item | None]]) -> None:
        """A portion into the index. What changed again meanwhile waits for its turn."""
        items = [item for _, item in portion if item is not None]
        deleted = [item_id for item_id, item in portion if item is None]
        await self._in_thread(lambda: self.engine.change(items, deleted))
        for item_id, item in portion:
            if self._items.get(item_id) is item:
                self._items.pop(item_id, None)
        self._metrics.indexed.set(len(self.engine.index))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        assert self._executor is not None, "only run() gets here"
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _some(queue: deque[T], most: int) -> list[T]:
    return [queue.popleft() for _ in range(min(most, len(queue)))]


def _drained(queue: deque[T]) -> list[T]:
    return _some(queue, len(queue))
