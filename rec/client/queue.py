"""application → **queue** → sender. Events that wait for a server, oldest first. Pure: no clock, no file, no task.

Invariant: never more than `limit` events; when a new one finds it full, the oldest goes (the newest behavior says
most about what the shopper wants now), and the caller is told which.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice
from typing import NamedTuple

from rec.events import Event


class Queued(NamedTuple):
    """An event and its ticket: tickets only grow, and say whether an event was put before or after another."""

    ticket: int
    event: Event


class EventQueue:
    """A bounded first-in, first-out queue whose entries leave only when they are settled.

    >>> queue = EventQueue(limit=2)
    >>> events = [Event(event="search", event_id=str(k), user_id="u") for k in range(3)]
    >>> [dropped.event_id for event in events if (dropped := queue.put(event))]
    ['0']
    >>> queue.settle([queue.head(1)[0].ticket]); len(queue)
    1
    """

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("limit must be at least 1")
        self._limit = limit
        self._events: OrderedDict[int, Event] = OrderedDict()
        self.last_ticket = 0

    def __len__(self) -> int:
        return len(self._events)

    def put(self, event: Event) -> Event | None:
        """Add at the end; returns the event that had to go, if one had."""
        dropped = self._events.popitem(last=False)[1] if len(self._events) >= self._limit else None
        self.last_ticket += 1
        self._events[self.last_ticket] = event
        return dropped

    def head(self, n: int, after: int = 0) -> list[Queued]:
        """The oldest `n` events whose ticket is above `after`; they stay."""
        return list(islice((Queued(t, e) for t, e in self._events.items() if t > after), n))

    def settle(self, tickets: list[int]) -> None:
        """These need no sending any more; tickets that went before are ignored."""
        for ticket in tickets:
            self._events.pop(ticket, None)

    def settled_through(self, ticket: int) -> bool:
        """Whether nothing up to this ticket waits any more."""
        return not self._events or next(iter(self._events)) > ticket
