"""state → **slate** → Redis. Makes lists anew: coalesced per user, in batches, only if looked at.

The mailbox holds one entry a user and the newest cause wins; the state is read when a list's turn comes, so a list is
always made from the newest state and its version is the state's. Stored is only what somebody has on a screen, and not
if its user was erased while it was made. What gets lost here (a full Redis outage, a crash between fold and push) the
sweep finds: it compares the stored position of every connected user with their state.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from agents.hold import Hold
from agents.mailbox import Due, Mailbox, Waiting
from agents.metrics import Metrics
from agents.presence import Presence
from agents.scoring import Scoring
from agents.served import ServedLists
from agents.shown import Shown, leads
from rec.errors import Unavailable
from rec.noted import Noted
from rec.policy.chosen import Assignment
from rec.policy.refresh import OnScreen
from rec.ports import Exchange, Pushed, Reply, StoredSlate
from rec.recommend import Ask
from rec.requests import SlateRequest
from rec.screens import split_screen
from rec.slates import Cause, Slate, encode_slate
from rec.state import UserState

log = logging.getLogger(__name__)

LET_IN = 8  # turns of the event loop before a batch: of events that wait to be folded, each takes one

MakeAnew = Callable[[Iterable[tuple[str, str]], Cause], Awaitable[None]]  # (user, screen), why
StateOf = Callable[[str], UserState | None]
Life = tuple[str | None, float | None]  # a user's epoch, and when they were erased last
LifeOf = Callable[[str], Life]
StrategyOf = Callable[[str, str, UserState | None, float], Assignment | None]  # user, placement, state, now


class Refresher:
    """Drains the mailbox: a batch of asks → slates (agents/scoring.py), then one round trip to Redis."""

    def __init__(
        self,
        *,
        state_of: StateOf,
        erased_at: Callable[[str], float | None],
        presence: Presence,
        shown: Shown,
        served: ServedLists,
        exchange: Exchange,
        scoring: Scoring,
        metrics: Metrics,
        batch: int,
        label_of: Callable[[str], str],  # what a metric calls a placement
        clock: Callable[[], float] = time.time,
        hold_s: Callable[[], float] = lambda: 0.0,
        strategy_of: StrategyOf = lambda *_: None,
    ) -> None:
        self._hold, self._hold_s = Hold(self._let_go), hold_s  # hold_s: of the installation's own strategy
        self._state_of, self._erased_at = state_of, erased_at
        self._presence, self._shown, self._served = presence, shown, served
        self._exchange, self._scoring = exchange, scoring
        self._metrics, self._batch, self._clock = metrics, batch, clock
        self._strategy_of, self._label_of = strategy_of, label_of
        self._mailbox = Mailbox()
        self._late = set[str]()  # whose lists were held back, and do not wait any longer
        # Whose list stays: what follows if no event comes, and on which screen.
        self._waiting: dict[str, tuple[Waiting, str]] = {}
        self._over: dict[str, tuple[str, Cause]] = {}  # whose has stayed for long enough: on which screen, and why
        self.make_anew: MakeAnew = make_nothing
        self._making = frozenset[str]()  # whose screens' lists are on their way from a state to Redis
        self._wake, self._stayed = asyncio.Event(), asyncio.Event()

    def refresh(self, user_id: str, cause: Cause, since: float) -> None:
        """Make this user's lists anew if somebody looks at them. Sync: callable from the middle of a fold."""
        entry = Waiting(user_id, cause, since)
        if not (cause.kind == "event" and self._hold.keeps(entry)):
            self._put(entry)

    def _let_go(self, entry: Waiting) -> None:
        """What was held. A list that stayed has the newest position; the one after it needs another (make_anew)."""
        user_id = entry.user_id
        waiting, screen = self._waiting.pop(user_id, (None, ""))
        if not self._presence.screens(user_id):
            return
        self._late.add(user_id)
        if entry is not waiting:
            self._put(entry)
        elif screen:  # else another list has taken its place meanwhile
            self._follow(user_id, screen, entry.cause)

    def _follow(self, user_id: str, screen: str, cause: Cause) -> None:
        self._over[user_id] = screen, cause
        self._stayed.set()

    def _put(self, entry: Waiting) -> None:
        if screens := self._presence.screens(entry.user_id):
            self._mailbox.put(entry, screens)
            self._wake.set()
        else:
            self._late.discard(entry.user_id)

    def mend(self, user_id: str, since: float) -> None:
        """The same for one whose list was found to be old. No news: a cause that waits already, or whose list is being
        made, is the better one."""
        if not (user_id in self._making or self._mailbox.waits(user_id) or self._hold.waits(user_id)):
            self.refresh(user_id, Cause("request"), since)

    def answer(self, request: SlateRequest) -> None:
        """Make one slate for one asker."""
        self._mailbox.ask(request)
        self._wake.set()

    async def run(self) -> None:
        """Refresh for ever."""
        await asyncio.gather(self._make_for_ever(), self._follow_for_ever())

    async def _make_for_ever(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while len(self._mailbox):
                for _ in range(LET_IN):  # idle turns cost nothing, and lists that are made together cost less
                    await asyncio.sleep(0)
                dues, requests = self._mailbox.take(self._batch)
                self._metrics.mailbox.set(len(self._mailbox))
                self._making = frozenset(due.entry.user_id for due in dues)
                try:
                    await self._serve(dues, requests)
                except Unavailable as error:
                    log.warning("slates could not be stored, trying again: %s", error)
                    self._mailbox.put_back(dues, requests)
                    await asyncio.sleep(0.5)
                finally:
                    self._making = frozenset()

    async def _follow_for_ever(self) -> None:
        """Beside the making of lists: what stayed must go however much there is to do, and nobody waits for the log."""
        while True:
            await self._stayed.wait()
            self._stayed.clear()
            over, self._over = self._over, {}
            orders = [self.make_anew([(user_id, screen)], cause) for user_id, (screen, cause) in over.items()]
            said = await asyncio.gather(*orders, return_exceptions=True)
            failed = [error for error in said if error is not None]
            if other := next((error for error in failed if not isinstance(error, Unavailable)), None):
                raise other
            if failed:
                log.warning("lists that waited are made anew later: %s", failed[0])
                again = {user_id: one for (user_id, one), error in zip(over.items(), said, strict=True) if error}
                self._over = again | self._over
                await asyncio.sleep(0.5)
                self._stayed.set()

    async def _serve(self, dues: Sequence[Due], requests: Sequence[SlateRequest]) -> None:
        now = self._clock()
        requests = [request for request in requests if request.deadline > now]
        turn = {due.entry.user_id for due in dues}
        dues = [due for due in dues if due.screen in self._presence.screens(due.entry.user_id)]
        asks = [self._ask_for(due) for due in dues] + [self._ask_of(request) for request in requests]
        chosen = [self._strategy_of(ask.user_id, ask.placement, ask.state, now) for ask in asks]
        asks = [ask._replace(strategy=one and one.strategy) for ask, one in zip(asks, chosen, strict=True)]
        self._late -= {user_id for user_id in turn if not self._mailbox.waits(user_id)}
        if not asks:
            return
        begun = {ask.user_id: self.life(ask.user_id) for ask in asks}
        started = time.perf_counter()
        noted = await self._scoring.noted(asks, now)
        slates = [one.slate for one in noted]
        self._metrics.scoring.observe(time.perf_counter() - started)

        pushed = list(zip([due.screen for due in dues], slates[: len(dues)], strict=True))
        answers = list(zip(requests, slates[len(dues) :], strict=True))
        to_keep = pushed + [(slate.placement, slate) for request, slate in answers if self._serves_a_screen(request)]
        kept = [one for one in to_keep if self.life(one[1].user_id) == begun[one[1].user_id]]
        try:
            await self._exchange.store_slates([Pushed(each.user_id, as_stored(screen, each)) for screen, each in kept])
            for request, slate in answers:
                await self._exchange.reply(request.reply_to, Reply(request.request_id, answer_of(request, slate)))
        except Unavailable:
            for due, one in zip(dues, noted, strict=False):
                if one.waits:  # it may be on a screen already, and what is made next of the same state is not newer
                    self._follow(due.entry.user_id, due.screen, due.entry.cause)
            raise
        for ask, one, by in zip(asks, noted, chosen, strict=True):
            if self.life(ask.user_id) == begun[ask.user_id]:
                self._served.put(one.slate, ask.state, by, one.note)
        done = self._clock()
        for due, ask, one in zip(dues, asks, noted, strict=False):  # the asks of requests come behind
            self._pushed(due, ask, one, done)
        for request, one in zip(requests, noted[len(dues) :], strict=True):
            if self._serves_a_screen(request) and (there := on_screen(one, now)) is not None:
                self._shown.answered(request.user_id, request.placement, one.slate.position, there)
        for due in dues:
            self._metrics.slates.labels(cause=due.entry.cause.kind).inc()
            if due.entry.cause.kind == "event":
                self._metrics.event_to_push.observe(max(0.0, done - due.entry.since))

    def _pushed(self, due: Due, ask: Ask, made: Noted, now: float) -> None:
        """What follows from a list that is on a screen: for how long it stays, and that another one is to come."""
        slate, user_id = made.slate, due.entry.user_id
        shown = frozenset(place.item_id for place in slate.items)
        self._shown.note(user_id, due.screen, slate.position, shown, on_screen(made, now), leads(slate.items))
        self._hold.made(user_id, self._hold_s() if ask.strategy is None else ask.strategy.hold_s)
        if (decided := made.note.decision) is not None and not decided.root:  # with a root: counted when it was taken
            self._metrics.refreshes.labels(action=decided.action, placement=self._label_of(slate.placement)).inc()
        waiting, where = self._waiting.get(user_id, (None, ""))
        if waiting is not None and where == due.screen:
            self._waiting[user_id] = waiting, ""
        if made.waits:
            self._hold.made(user_id, made.strategy.wait_s)
            after = Waiting(user_id, due.entry.cause, now)
            self._waiting[user_id] = after, due.screen
            self._hold.keeps(after)

    def _ask_for(self, due: Due) -> Ask:
        user_id, (placement, item_id) = due.entry.user_id, split_screen(due.screen)
        n, state = self._presence.screens(user_id)[due.screen], self._state_of(user_id)
        there = self._shown.there(user_id, due.screen, state)
        if there is not None and (due.entry.cause.kind != "event" or item_id is not None) and not there.waited:
            there = None  # a price, a rule, whatever somebody asked for: at once, and all of it
        if there is not None and user_id in self._late:
            there = there._replace(may_wait=False)
        return Ask(user_id, placement, n, item_id, due.entry.cause, state, on_screen=there)

    def _ask_of(self, request: SlateRequest) -> Ask:
        """As long as asked for, and if it will be kept, long enough for the screen."""
        shown = self._presence.screens(request.user_id)[request.placement] if self._serves_a_screen(request) else 0
        state = self._state_of(request.user_id)
        n = max(request.n, shown)
        return Ask(request.user_id, request.placement, n, request.item_id, Cause("request"), state)

    def _serves_a_screen(self, request: SlateRequest) -> bool:
        """Whether the answer is also the list of a screen, and kept. Otherwise whoever asks could fill Redis."""
        return request.item_id is None and request.placement in self._presence.screens(request.user_id)

    def life(self, user_id: str) -> Life:
        """Another one after a list was made than before: the user was erased meanwhile, and it is not to be kept."""
        state = self._state_of(user_id)
        return state.epoch if state is not None else None, self._erased_at(user_id)


def on_screen(made: Noted, now: float) -> OnScreen | None:
    """The list as it stands there from now on; None where its strategy lets nothing stay."""
    if made.strategy.refresh == "replace":
        return None
    items = tuple(msgspec.structs.replace(place, item={}) for place in made.slate.items)  # cards are made anew
    return OnScreen(items, now, made.slate.slate_id, made.waits)


def answer_of(request: SlateRequest, slate: Slate) -> bytes:
    """The body of a reply: as many items as were asked for."""
    return b'{"slate":' + encode_slate(msgspec.structs.replace(slate, items=slate.items[: request.n])) + b"}"


def as_stored(screen: str, slate: Slate) -> StoredSlate:
    return StoredSlate(screen, slate.position, len(slate.items), encode_slate(slate))


async def make_nothing(screens: Iterable[tuple[str, str]], cause: Cause) -> None:
    """Where no log is connected."""
