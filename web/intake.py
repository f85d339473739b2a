"""client → **intake** → log `behavior`. For HTTP and websocket alike: admit, look up, publish, remember.

A subject known to have denied has their events withheld: a flag for whoever reads the log, not a choice of theirs.

The order matters: ids are looked up before the broker has the events and remembered only after its acknowledgement,
so a publish that failed can be tried again with the same ids. Who sends one id twice at once has it in the log twice,
but the one that is remembered first is accepted and the other a duplicate. Invariant: an event that was counted as
accepted is in the log; one that was not can be sent again without being applied twice (the state has its own ring of
ids).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set

import msgspec

from rec.errors import BadInput, Forbidden, Unavailable
from rec.events import Event, encode_event, instant
from rec.ingest import Batch, admit_all, admit_batch, rejection
from rec.ports import Exchange, Log
from web.auth import Identity
from web.metrics import Metrics
from web.suppression import Suppression

log = logging.getLogger(__name__)

PUBLISH_S = 5.0  # a broker that has not acknowledged by then is away
RETRY_AFTER_S = 2.0
MAX_WAITING = 2_000  # events on their way to the broker; more than that would only wait until they are refused


class Receipt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of a batch: every event is in exactly one of the three. `aliases`: foreign name → ours."""

    accepted: int
    duplicates: int
    rejected: list[dict[str, object]]
    aliases: dict[str, str] = {}


class Intake:
    """Takes events into the log. `clock` is wall time, seconds since 1970."""

    def __init__(
        self,
        to: Log,
        exchange: Exchange,
        suppression: Suppression,
        metrics: Metrics,
        *,
        topic: str,
        dedupe_window_s: int,
        clock: Callable[[], float],
    ) -> None:
        self._to, self._exchange, self._suppression, self._metrics = to, exchange, suppression, metrics
        self._topic, self._dedupe_window_s, self._clock = topic, dedupe_window_s, clock
        self.waiting = 0  # events handed to the broker and not acknowledged yet

    async def take_body(self, body: bytes, who: Identity) -> Receipt:
        """A body {"events":[…]}. Raises BadInput for an unusable one, Unavailable if the broker is away."""
        return await self._take(admit_batch(body, received=instant(self._clock())), who)

    async def take(self, raws: Sequence[msgspec.Raw], who: Identity) -> Receipt:
        """A list of events as JSON. Raises as `take_body` does."""
        return await self._take(admit_all(raws, received=instant(self._clock())), who)

    async def _take(self, batch: Batch, who: Identity) -> Receipt:
        rejected, aliases = list(batch.rejected), dict[str, str]()
        events: dict[str, Event] = {}
        duplicates = 0
        for index, (event, alias) in batch.admitted:
            if (error := self._refusal(event, who)) is not None:
                rejected.append(rejection(index, error))
                continue
            if alias is not None:
                aliases[alias] = event.event
            duplicates += event.event_id in events
            events.setdefault(event.event_id, event)
        known, denied = await self._look_up(events)
        new, now_denied = settled([event for event_id, event in events.items() if event_id not in known], denied)
        if new:
            await self._publish(new)
            late = await self._remember(new)
            await self._mark(denied, now_denied)
            new = [event for event in new if event.event_id not in late]
        duplicates += len(events) - len(new)
        self._count(new, duplicates, rejected)
        rejected.sort(key=_index)
        return Receipt(len(new), duplicates, rejected, aliases)

    def _refusal(self, event: Event, who: Identity) -> BadInput | None:
        if not who.may_name(event.user_id, event.visitor_id):
            message = "This token may only name its own user, and that user's visitor_id."
            return Forbidden(message, field="visitor_id" if event.user_id in (None, who.user_id) else "user_id")
        if self._suppression.refuses(event):
            message = "This happened before the user was erased. Do not send it again."
            return BadInput(message, code="erased", field="user_id")
        return None

    async def _look_up(self, events: dict[str, Event]) -> tuple[set[str], set[str]]:
        """Which ids are known, and who denied consent. Without Redis nothing is: the state finds duplicates, too."""
        if not events:
            return set(), set()
        try:
            return await self._exchange.known(list(events), list({n for e in events.values() for n in e.names}))
        except Unavailable:
            self._metrics.dedupe_skipped.inc(len(events))
            return set(), set()

    async def _publish(self, events: list[Event]) -> None:
        pairs = [(event.subject, encode_event(event)) for event in events]
        if self.waiting and self.waiting + len(events) > MAX_WAITING:
            message = f"{self.waiting} events wait for the broker already. Send the same ones again, a little later."
            raise Unavailable(message, code="busy", retry_after=RETRY_AFTER_S)
        self.waiting += len(events)
        try:
            with broker_away("The events could not be stored. Send the same ones again, with the same event_ids."):
                async with asyncio.timeout(PUBLISH_S):
                    await self._to.publish_many(self._topic, pairs)
        finally:
            self.waiting -= len(events)

    async def _remember(self, events: list[Event]) -> set[str]:
        """The ids of those that somebody else has brought into the log since they were looked up."""
        try:
            return await self._exchange.remember([event.event_id for event in events], self._dedupe_window_s)
        except Unavailable:
            log.debug("ids were not remembered; the state knows them")
            return set()

    async def _mark(self, before: Set[str], after: Set[str]) -> None:
        """Let the next request see the choices made in this one. The worker has the last word, and repeats it."""
        try:
            if denied := after - before:
                await self._exchange.set_all_denied(list(denied), True)
            if granted := before - after:
                await self._exchange.set_all_denied(list(granted), False)
        except Unavailable:
            log.debug("consent marks were not moved; the worker writes them")

    def _count(self, new: list[Event], duplicates: int, rejected: list[dict[str, object]]) -> None:
        for name, count in Counter(_counted_as(event) for event in new).items():
            self._metrics.ingested.labels(name).inc(count)
        for code, count in Counter(str(entry["code"]) for entry in rejected).items():
            self._metrics.rejected.labels(code).inc(count)
        self._metrics.duplicates.inc(duplicates)


@contextlib.contextmanager
def broker_away(message: str) -> Iterator[None]:
    """Whatever says that the broker did not acknowledge becomes Unavailable with what the client should do."""
    try:
        yield
    except (Unavailable, TimeoutError):
        raise Unavailable(message, retry_after=RETRY_AFTER_S) from None


def _counted_as(event: Event) -> str:
    """The label of an event: `search` needs no product, so it also carries a choice alone. That is no search.

    >>> from rec.events import Consent
    >>> chosen = Event(event="search", event_id="e", user_id="u", consent=Consent(personalization_storage="denied"))
    >>> _counted_as(chosen), _counted_as(msgspec.structs.replace(chosen, search_term="tent"))
    ('consent', 'search')
    """
    alone = event.event == "search" and not event.search_term and event.consent is not None
    return "consent" if alone else event.event


def _index(entry: dict[str, object]) -> int:
    index = entry["index"]
    assert isinstance(index, int)
    return index


def settled(events: Sequence[Event], denied: Set[str]) -> tuple[list[Event], set[str]]:
    """The events as they go into the log, and who has denied after them. Pure.

    A choice holds for everybody the event names, for the events that follow it; without one, whoever is named may
    have denied before, and the event is withheld.
    """
    now, out = set(denied), list[Event]()
    for event in events:
        names = set(event.names)
        if event.personalization == "denied":
            now |= names
        elif event.personalization == "granted":
            now -= names
        elif now & names:
            event = msgspec.structs.replace(event, withheld=True)
        out.append(event)
    return out, now
