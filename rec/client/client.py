"""The public surface of the SDK: `RecClient`. Thin: events go to `events` and `sender`, slates come from `links`.

Invariant: leaving the context ends every task, socket and file that the client opened.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, Unpack

import aiohttp
import msgspec

from rec.client.backoff import Backoff
from rec.client.caller import Answer, Caller, minter
from rec.client.checks import check_id
from rec.client.errors import closed
from rec.client.events import (
    Details,
    ItemLike,
    PutResult,
    SlateLike,
    TrackResult,
    check_event,
    item_batches,
    make_batch,
    make_event,
)
from rec.client.http import Http, check_url, path_to
from rec.client.journal import Journal
from rec.client.links import Links
from rec.client.outputs import State, Wish
from rec.client.queue import EventQueue
from rec.client.searches import SearchOptions, Suggested, Suggestions, search_query, suggest_query
from rec.client.sender import OnDrop, Sender
from rec.client.states import StateChange, States
from rec.client.timing import Timing
from rec.client.tokens import TokenCallable, one_of, token_source
from rec.errors import BadInput, RecError
from rec.events import Event
from rec.ids import uuid7
from rec.protocol import RateKind, Subscribe
from rec.slates import Slate

QUEUE_LIMIT = 10_000  # events; about 3 MB


class _Parts(NamedTuple):
    """What an open client consists of."""

    session: aiohttp.ClientSession
    mint: TokenCallable | None
    caller: Caller
    links: Links
    sender: Sender


class RecClient:
    """A client of one server; use it as a context.

        async with RecClient("http://127.0.0.1:8080", api_key=key) as client:
            await client.track("view_item", user_id="u1", items=["sku_77"])
            async for slate in client.subscribe("u1"):
                print([item.item_id for item in slate.items])

    `api_key`: for backends; may name any user, and mints the tokens that websockets need by itself.
    `token`: for one user's device: the token, or `async def token(user_id) -> str` that gets one whenever one is
    needed. `user_id`: taken where a method is given none. `path`: a file for events queued by `track_soon`, so that
    they outlive the process (one client a file). `on_drop(event, error)`: told of queued events that will never be
    sent. Every call ends within `timing.timeout_s`, with its answer or a RecError whose `temporary` says whether
    trying again may help.
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        token: str | TokenCallable | None = None,
        *,
        user_id: str | None = None,
        path: str | Path | None = None,
        queue_limit: int = QUEUE_LIMIT,
        on_drop: OnDrop | None = None,
        timing: Timing | None = None,
    ) -> None:
        self.url = check_url(url)
        self._api_key, self._token = one_of(api_key, token)
        self._user_id = user_id
        self._path = None if path is None else Path(path)
        self._queue = EventQueue(queue_limit)
        self._on_drop, self._timing = on_drop, timing or Timing()
        self._states = States()
        self._open: _Parts | None = None
        self._closed = False

    # -------------------------------------------------------------- life
    async def __aenter__(self) -> Self:
        if self._open is not None:
            raise RuntimeError("a RecClient can be opened once")
        parts = self._build(aiohttp.ClientSession())
        try:
            await parts.sender.start()
        except BaseException:
            await parts.session.close()
            raise
        self._open = parts
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Bring queued events to the server if it can be reached, then end every subscription and connection."""
        if self._closed:
            return
        parts, self._closed = self._parts, True
        try:
            await parts.sender.close(self._timing.timeout_s)
        finally:
            await parts.links.close()
            self._states.end()
            await parts.session.close()

    def _build(self, session: aiohttp.ClientSession) -> _Parts:
        http = Http(self.url, session)
        mint = minter(http, self._api_key, self._timing.timeout_s) if self._api_key else None
        tokens = token_source(mint, self._token)
        caller = Caller(http, self._api_key, tokens, self._timing.timeout_s)
        links = Links(http, tokens, self._timing, self._backoff, self._states)
        journal = None if self._path is None else Journal(self._path)
        sender = Sender(
            self._post, self._queue, journal, self._backoff(), self._timing, self._on_drop, by_subject=mint is None
        )
        return _Parts(session, mint, caller, links, sender)

    # -------------------------------------------------------------- events
    async def track(
        self,
        event: str,
        *,
        user_id: str | None = None,
        items: Iterable[ItemLike] = (),
        slate: SlateLike | None = None,
        event_id: str | None = None,
        **details: Unpack[Details],
    ) -> TrackResult:
        """Send one event and wait for the acknowledgment: then it is in the log.

        A temporary failure is tried again with the same event_id while the time lasts. To repeat a call that failed,
        give it the same `event_id`: one id, one event of the whole installation, whoever's; else it is lost as a
        duplicate. `slate`: done on this list; seen: `track("view_item_list", items=slate.items[:6], slate=slate)`.
        """
        return await self.track_many([self._event(event, user_id, items, slate, event_id, details)])

    async def track_many(self, events: Sequence[Event]) -> TrackResult:
        """Send events that were made elsewhere, in as many requests as they need, each with its acknowledgment.

        Indexes of rejections are of `events`. If a later request fails, its error is raised although earlier ones
        were taken; sending all again counts those as duplicates.
        """
        _ = self._parts  # also for no events: an error if it is not open
        checked = [check_event(event) for event in events]
        result, sent = TrackResult(), 0
        while sent < len(checked):
            count, part = await self._deliver(checked[sent:])
            result, sent = result.plus(part, sent), sent + count
        return result

    def track_soon(
        self,
        event: str,
        *,
        user_id: str | None = None,
        items: Iterable[ItemLike] = (),
        slate: SlateLike | None = None,
        event_id: str | None = None,
        **details: Unpack[Details],
    ) -> str:
        """Queue one event and return its event_id at once; it is sent when the server can be reached.

        The queue holds `queue_limit` events; when it is full the oldest is dropped (`on_drop`).
        """
        made = self._event(event, user_id, items, slate, event_id, details)
        self._parts.sender.put(made)
        return made.event_id

    async def flush(self, timeout_s: float | None = None) -> None:
        """Return when everything queued so far is settled; DeadlineExceeded, with the reason, if that takes longer."""
        await self._parts.sender.flush(self._timing.timeout_s if timeout_s is None else timeout_s)

    @property
    def queued(self) -> int:
        """Events that wait to be sent."""
        return len(self._queue)

    # -------------------------------------------------------------- lists
    async def recommend(
        self, user_id: str | None = None, placement: str = "home", n: int = 20, item_id: str | None = None
    ) -> Slate:
        """The list for a user as of now. `item_id`: the product on screen, for placements about one."""
        user = self._user(user_id)
        query: dict[str, str | int | None] = {"user_id": user, "placement": placement, "n": n, "item_id": item_id}
        return await self._parts.caller.call("GET", "/v1/recommendations", Slate, user, query=query)

    async def search(self, q: str, n: int = 20, *, user_id: str | None = None, **more: Unpack[SearchOptions]) -> Slate:
        """Products for a query, ranked for the user. The next page is `page=slate.search.next`, with the same q.

        Give the slate to `track`, as with any list: then the shop learns what is chosen for which query.
        """
        query = search_query(q, n, more)
        query["user_id"] = user = self._user(user_id)
        return await self._parts.caller.call("GET", "/v1/search", Slate, user, query=query)

    async def suggest(self, q: str, n: int = 10) -> list[Suggested]:
        """What can be searched for, of what begins like `q`."""
        query = suggest_query(q, n)
        found = await self._parts.caller.call("GET", "/v1/suggest", Suggestions, self._self, query=query)
        return list(found.suggestions)

    def subscribe(
        self, user_id: str | None = None, placement: str = "home", n: int = 20, item_id: str | None = None
    ) -> AsyncGenerator[Slate]:
        """The newest list, and every newer one as it comes: `async for slate in client.subscribe("u1"): …`

        A loop that is slower than the lists sees the newest each time, never a backlog. Lost connections are mended
        for ever; the loop ends with the client, or raises a RecError that trying again cannot help. Leaving the loop
        unsubscribes; so does `asyncio.timeout` around `anext`: `asyncio.wait({step}, timeout=…)` on a task does not.
        """
        try:
            checked = msgspec.convert({"placement": placement, "n": n, "item_id": item_id}, Subscribe)
        except msgspec.ValidationError as error:
            raise BadInput(f"subscribe: {error}") from error
        wish = Wish(checked.n, checked.item_id)
        return self._parts.links.slates(self._user(user_id), checked.placement, wish)

    def states(self) -> AsyncGenerator[StateChange]:
        """Every change of every websocket's state from now on, in order."""
        return self._states.watch()

    def state(self, user_id: str | None = None) -> State:
        """The state of a user's websocket; CLOSED when there is none."""
        return State.CLOSED if self._closed else self._parts.links.state(self._user(user_id))

    # -------------------------------------------------------------- items, users
    async def put_items(self, items: Iterable[Mapping[str, Any] | msgspec.Struct]) -> PutResult:
        """Insert or replace any number of catalog items (needs the API key), each taken or refused by itself."""
        result, sent = PutResult(), 0
        for batch in item_batches(items):
            part = await self._parts.caller.call("PUT", "/v1/items", PutResult, self._self, body=batch.body)
            result, sent = result.plus(part, sent), sent + batch.length
        return result

    async def get_item(self, item_id: str) -> Answer:
        """One catalog item; NotFound if there is none."""
        return await self._parts.caller.get(path_to("/v1/items", item_id, "item_id"), self._self)

    async def delete_item(self, item_id: str) -> None:
        """Take an item out of the catalog (needs the API key); NotFound if there is none."""
        await self._parts.caller.call("DELETE", path_to("/v1/items", item_id, "item_id"), msgspec.Raw, self._self)

    async def get_user(self, user_id: str | None = None) -> Answer:
        """All that is stored about a user."""
        user = self._user(user_id)
        return await self._parts.caller.get(path_to("/v1/users", user, "user_id"), user)

    async def erase_user(self, user_id: str | None = None) -> Answer:
        """Begin to erase a user; the receipt, with the erasure_id for `get_erasure`."""
        user = self._user(user_id)
        return await self._parts.caller.call("DELETE", path_to("/v1/users", user, "user_id"), Answer, user)

    async def get_erasure(self, erasure_id: str) -> Answer:
        """The receipt as it stands: each store, what was removed and when."""
        return await self._parts.caller.get(path_to("/v1/erasures", erasure_id, "erasure_id"), self._self)

    async def feedback(self, by: RateKind = "all", n: int = 50, key: str | None = None) -> Answer:
        """CTR and CVR of what was seen on lists, the most seen first (needs the API key). `key`: that one alone."""
        return await self._parts.caller.get("/v1/feedback", self._self, by=by, n=n, key=key)

    async def ads(self, n: int = 50, campaign: str | None = None) -> Answer:
        """How campaigns stand today, who has spent most first (needs the API key). `campaign`: that one alone."""
        return await self._parts.caller.get("/v1/ads", self._self, n=n, campaign=campaign)

    async def token(self, user_id: str) -> str:
        """A short-lived token for a user's device (needs the API key)."""
        if (mint := self._parts.mint) is None:
            raise BadInput("only a client with an api_key can make tokens", field="api_key")
        return await mint(user_id)

    # -------------------------------------------------------------- inside
    @property
    def _parts(self) -> _Parts:
        if self._open is None:
            raise RuntimeError("open the client first: async with RecClient(…) as client")
        if self._closed:
            raise closed()
        return self._open

    @property
    def _self(self) -> str:
        """Who makes the calls that are about nobody in particular."""
        return self._user_id or ""

    async def _post(self, body: bytes, subject: str, timeout_s: float | None = None) -> TrackResult:
        user = self._user_id or subject
        if self._open is None or self._open.session.closed:  # not _parts: what is queued is sent while closing
            raise closed()
        return await self._open.caller.call("POST", "/v1/events", TrackResult, user, body=body, timeout_s=timeout_s)

    async def _deliver(self, events: Sequence[Event]) -> tuple[int, TrackResult]:
        """Send the first request's worth; how many that was. The same event_ids at every try."""
        clock = asyncio.get_running_loop().time
        backoff, until = self._backoff(), clock() + self._timing.timeout_s
        while True:
            batch = make_batch(events, datetime.now(UTC))
            try:
                return batch.length, await self._post(batch.body, events[0].subject, until - clock())
            except RecError as error:
                delay = max(backoff.next_delay(), error.retry_after or 0.0)
                if not error.temporary or clock() + delay >= until:
                    raise
            await asyncio.sleep(delay)

    def _event(
        self,
        name: str,
        user_id: str | None,
        items: Iterable[ItemLike],
        slate: SlateLike | None,
        event_id: str | None,
        details: Details,
    ) -> Event:
        user = self._user_id if user_id is None else user_id  # make_event says if a visitor_id is missing too
        made = uuid7(time.time(), secrets.randbits) if event_id is None else event_id
        return make_event(name, user, items, slate, made, datetime.now(UTC), details)

    def _user(self, user_id: str | None) -> str:
        user = self._user_id if user_id is None else user_id
        if user is None:
            raise BadInput("user_id: is missing; give one here or to RecClient", field="user_id")
        return check_id(user, "user_id")

    def _backoff(self) -> Backoff:
        return Backoff(self._timing.backoff_low_s, self._timing.backoff_high_s, random.Random())
