"""subscribe loops → **links** → one websocket a user. Keeps the open links, and tells of their states."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

from rec.client.backoff import Backoff
from rec.client.http import Http
from rec.client.link import Link, Socket
from rec.client.outputs import Changed, State, Wish
from rec.client.session import Session
from rec.client.states import StateChange, States
from rec.client.timing import Timing
from rec.client.tokens import TokenSource
from rec.slates import Slate


class Links:
    """All websockets of one client. A link that was not used for a while, or failed for good, is gone from here."""

    def __init__(
        self, http: Http, tokens: TokenSource, timing: Timing, backoff: Callable[[], Backoff], states: States
    ) -> None:
        self._http, self._tokens, self._timing, self._backoff, self._states = http, tokens, timing, backoff, states
        self._links: dict[str, Link] = {}
        self._ending: set[Link] = set()
        self._closed = False

    async def slates(self, user_id: str, placement: str, wish: Wish) -> AsyncGenerator[Slate]:
        """The body of `RecClient.subscribe`: subscribes at the first step, unsubscribes when it is left."""
        if self._closed:
            return
        link = self._link(user_id)
        slot = link.add(placement, wish)
        try:
            while (slate := await slot.take()) is not None:
                yield slate
        finally:
            link.remove(slot)

    def state(self, user_id: str) -> State:
        link = self._links.get(user_id)
        return State.CLOSED if link is None else link.state

    async def close(self) -> None:
        """End every link; their loops end."""
        self._closed = True
        await asyncio.gather(*(link.close() for link in [*self._links.values(), *self._ending]))

    def _link(self, user_id: str) -> Link:
        link = self._links.get(user_id)
        if link is None:
            now = asyncio.get_running_loop().time()
            session = Session(self._backoff(), self._timing, renewable=self._tokens.renewable, now=now)
            link = Link(user_id, session, self._tokens, self._dial, self._timing, self._changed)
            self._links[user_id] = link
            self._states.publish(StateChange(user_id, State.CONNECTING))
        return link

    def _dial(self) -> Awaitable[Socket]:
        return self._http.dial(self._timing.timeout_s)

    def _changed(self, user_id: str, change: Changed) -> None:
        if change.state is State.CLOSED and (link := self._links.pop(user_id, None)) is not None:
            self._ending.add(link)  # its socket is still being closed
            link.when_over(self._ending.discard)
        self._states.publish(StateChange(user_id, *change))
