"""log `behavior` → **state = fold(state, event)** → refresher. The heart of the worker, and it fits on a page.

Nothing but Unavailable may leave `handle`: an exception in a Faust agent acks the event and never retries it. What
cannot be processed goes to the dead letters, with the reason, and the next event is taken. While the log is away
nothing is wrong with the record: agents.again hands it over once more, which changes nothing that was done.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, MutableMapping

import msgspec

from agents.again import is_away
from agents.consents import Consents
from agents.dead_letters import DeadLetters
from agents.examples import Examples
from agents.feedback import Feedback
from agents.forget import Forgetting, is_meant
from agents.intents import Intents
from agents.metrics import Metrics
from agents.refresh import Refresher
from agents.searching import Searching
from rec.ads.apart import without_ads
from rec.choices import to_tell
from rec.events import CONSENT, ERASE, Event, checked, decode_event, encode_event, instant
from rec.examples import erased_of, example_of, teaches
from rec.ports import Log, Record
from rec.requests import MergeOut, Refresh, encode_request
from rec.slates import Cause
from rec.state import FacetsOf, FoldRules, Outcome, UserState, fold

Users = MutableMapping[bytes, UserState]


class Behavior:
    """Folds records of the behavior topic into `users` and tells the refresher whose list moved."""

    def __init__(
        self,
        *,
        users: Users,
        facets: FacetsOf,
        rules: FoldRules,
        refresher: Refresher,
        to: Log,
        behavior_topic: str,
        requests_topic: str,
        dead_letters: DeadLetters,
        forgetting: Forgetting,
        consents: Consents,
        examples: Examples,
        feedback: Feedback,
        steps: int,
        metrics: Metrics,
        searching: Searching | None = None,
        intents: Intents | None = None,
        new_epoch: Callable[[], str] = lambda: secrets.token_hex(4),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users, self._facets, self._rules, self._refresher = users, facets, rules, refresher
        self._to, self._behavior_topic, self._requests_topic = to, behavior_topic, requests_topic
        self._dead_letters, self._forgetting, self._consents = dead_letters, forgetting, consents
        self._examples, self._feedback, self._steps, self._metrics = examples, feedback, steps, metrics
        self._searching, self._intents = searching, intents
        self._folded = {outcome: metrics.folded.labels(outcome=outcome.value) for outcome in Outcome}
        self._new_epoch, self._clock = new_epoch, clock

    async def handle(self, record: Record) -> None:
        """One record, whatever it is. Raises Unavailable if the log is away; the same record is to be handled again."""
        try:
            event = read_event(record, self._clock())
        except (msgspec.MsgspecError, ValueError) as error:
            await self._dead_letters.put(record, "malformed", error, self._clock())
            return
        try:
            await self._fold(record.key, event)
        except Exception as error:
            if is_away(error):
                raise
            await self._dead_letters.put(record, "failed", error, self._clock())

    async def _fold(self, key: bytes, event: Event) -> None:
        if event.event == ERASE:
            await self._erase(key, event)
            if self._searching is not None:
                self._searching.forget(event.subject)
            if self._intents is not None:
                self._intents.forget(event.subject)
            return
        if self._forgetting.is_late(event.subject, event.at):
            self._metrics.folded.labels(outcome="erased").inc()
            return
        state = self._users.get(key)
        if state is not None and state.merged_into is not None and event.user_id is None and event.event != CONSENT:
            await self._forward(event, state.merged_into)
            return
        before, after, outcome = await self._settled(key, event)
        if after is not None and after is not before:
            self._users[key] = after
        self._folded[outcome].inc()
        if teaches(bare := without_ads(event, self._facets), outcome):
            self._examples.put(example_of(bare, before, self._steps))
        if self._searching is not None and outcome is Outcome.MOVED:
            self._searching.heard(event)
        if outcome is Outcome.DENIED:
            await self._feedback.withdraw(event.subject, before)
            await self._forgetting.drop_lists(event.subject)
        elif outcome is not Outcome.IGNORED:  # one that was folded before a crash may not have been joined
            self._feedback.note(event)
        if outcome in (Outcome.MOVED, Outcome.DENIED):
            self._refresh(event)
        if after is None:
            return
        if event.visitor_id is not None and after.visitors.get(event.visitor_id) == "asked":
            await self._ask_to_merge(event.visitor_id, event.subject, event.at)
        await self._consents.follow(event, before, after)

    async def _erase(self, key: bytes, event: Event) -> None:
        """The model is told first: the state alone knows since when it may have learned of the user, and a crash in
        between repeats the event. Raises Unavailable while the broker is away.
        """
        state = self._users.get(key)
        if is_meant(event, state):
            await self._examples.tell(erased_of(event, state))
            await self._forgetting.erase(self._users, key, event)
            self._feedback.erase(event)

    def _refresh(self, event: Event) -> None:
        def now() -> None:
            self._refresher.refresh(event.subject, Cause("event", event.event_id), event.received_at)

        async def again() -> None:
            """By way of the log: the list needs a new version, and the state has one writer."""
            request = Refresh(event.subject, Cause("event", event.event_id), "home", 0)
            await self._to.publish(self._requests_topic, event.subject, encode_request(request))

        if self._intents is None:
            now()
        else:
            self._intents.understood(event, now, again)

    async def _settled(self, key: bytes, event: Event) -> tuple[UserState | None, UserState | None, Outcome]:
        """State before and after the event, once every visitor for whom its choice holds has been told.

        Told first and kept afterwards: a crash in between repeats the event, and it is told again. While it is being
        told a merge may bring a further visitor; from the last fold to the table there is no await.
        """
        told: set[str] = set()
        while True:
            before = self._users.get(key)
            epoch = self._new_epoch() if before is None else before.epoch
            after, outcome = fold(before, event, self._facets, epoch=epoch, rules=self._rules)
            untold = to_tell(before, after, event) - told
            if after is None or not untold:
                return before, after, outcome
            await self._consents.tell(after, untold)
            told |= untold

    async def _forward(self, event: Event, user_id: str) -> None:
        """A visitor who was recognised before: the event is the user's. The id stays, so it is applied once."""
        theirs = msgspec.structs.replace(event, user_id=user_id)
        await self._to.publish(self._behavior_topic, user_id, encode_event(theirs))
        self._metrics.folded.labels(outcome="forwarded").inc()

    async def _ask_to_merge(self, visitor_id: str, user_id: str, at: float) -> None:
        """Asked again with every event that carries both, until the answer has come: none of it can be lost."""
        request = MergeOut(user_id=visitor_id, into=user_id, at=at)
        await self._to.publish(self._requests_topic, visitor_id, encode_request(request))


def read_event(record: Record, now: float) -> Event:
    """A record as an event at `now` (seconds since 1970). Producers other than the edge may leave the times out: the
    broker's is taken then. What happened did so before it was received, whatever the producer says.

    Worker, counters and archiver all read through here, so that what the one refuses no other keeps.
    Raises msgspec.MsgspecError or ValueError when it is none.
    """
    if record.value is None:
        raise ValueError("a record without a value")
    event = decode_event(record.value)
    if event.subject.encode() != record.key:
        raise ValueError("the key is not the user_id (or, without one, the visitor_id) of the event")
    if event.received_ts is None or event.event_ts is None:
        received = event.received_ts or instant(record.timestamp)
        happened = event.event_ts or event.client_ts or received
        event = msgspec.structs.replace(event, received_ts=received, event_ts=happened)
    return checked(event, now)
