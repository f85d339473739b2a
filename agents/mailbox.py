"""behavior, requests, sweep → **mailbox** → refresh. What lists are to be made anew, and whose turn it is. Pure.

One entry a user, and the newest cause wins. A batch is counted in lists and filled in turns, one list a user: whoever
has many screens waits for them over several batches, and nobody waits behind all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rec.requests import SlateRequest
from rec.slates import Cause


class Waiting(NamedTuple):
    """A user whose lists are to be made anew, why, and since when (seconds since 1970) that is known."""

    user_id: str
    cause: Cause
    since: float


class Due(NamedTuple):
    """One list to be made: for which screen (see rec.screens) of whom."""

    entry: Waiting
    screen: str


class _Queue:
    """What one user waits for; the screens in the order in which they are made."""

    __slots__ = ("entry", "requests", "screens")

    def __init__(self) -> None:
        self.entry: Waiting | None = None
        self.screens: dict[str, None] = {}
        self.requests: deque[SlateRequest] = deque()


class Mailbox:
    """At most one entry a user, newest cause wins; and requests, each answered.

    >>> box = Mailbox()
    >>> box.put(Waiting("u", Cause("event", "e1"), 1.0), ["home"])
    >>> box.put(Waiting("u", Cause("event", "e2"), 2.0), ["home", "cart"])
    >>> [(due.entry.cause.event_id, due.screen) for due in box.take(10)[0]]
    [('e2', 'home'), ('e2', 'cart')]
    """

    def __init__(self) -> None:
        self._users: dict[str, _Queue] = {}

    def __len__(self) -> int:
        """How many users wait."""
        return len(self._users)

    def put(self, entry: Waiting, screens: Iterable[str]) -> None:
        """All of the user's `screens`, for this cause. Those that wait already keep their places in front."""
        wanted = dict.fromkeys(screens)
        if wanted:
            queue = self._queue(entry.user_id)
            queue.entry = entry
            queue.screens = {screen: None for screen in queue.screens if screen in wanted} | wanted

    def put_back(self, dues: Iterable[Due], requests: Sequence[SlateRequest] = ()) -> None:
        """Return what could not be done; if something newer has come for the user, a list is made for that."""
        for request in reversed(requests):
            self._queue(request.user_id).requests.appendleft(request)
        for due in dues:
            queue = self._queue(due.entry.user_id)
            queue.entry = queue.entry or due.entry
            queue.screens.setdefault(due.screen)

    def waits(self, user_id: str) -> bool:
        """Whether lists of this user are to be made already."""
        queue = self._users.get(user_id)
        return queue is not None and bool(queue.screens)

    def ask(self, request: SlateRequest) -> None:
        self._queue(request.user_id).requests.append(request)

    def take(self, limit: int) -> tuple[list[Due], list[SlateRequest]]:
        """At most `limit` lists, both kinds together; of each user one, then of each another one."""
        dues: list[Due] = []
        requests: list[SlateRequest] = []
        while self._users and len(dues) + len(requests) < limit:
            user_id = next(iter(self._users))
            queue = self._users.pop(user_id)
            if queue.requests:  # somebody waits for this one, and not for ever
                requests.append(queue.requests.popleft())
            elif queue.entry is not None:
                screen = next(iter(queue.screens))
                del queue.screens[screen]
                dues.append(Due(queue.entry, screen))
            if queue.requests or queue.screens:
                self._users[user_id] = queue  # behind everybody else
        return dues, requests

    def _queue(self, user_id: str) -> _Queue:
        return self._users.setdefault(user_id, _Queue())
