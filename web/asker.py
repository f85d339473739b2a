"""handlers → log `requests` → worker → exchange replies → **asker** → handlers. Questions, and the answers to them.

Invariant: every question ends, with an answer, or a typed error at its deadline; a late answer is dropped.
"""

from __future__ import annotations

import asyncio
import secrets

import msgspec

from rec.client.errors import from_wire
from rec.clock import SharedClock
from rec.errors import DeadlineExceeded
from rec.ports import Exchange, Log
from rec.protocol import RateKind, Search
from rec.requests import (
    AskAds,
    Asked,
    AskRates,
    Explain,
    Inspect,
    SearchRequest,
    SlateRequest,
    SuggestRequest,
    encode_request,
)


class _Answer(msgspec.Struct, frozen=True):
    slate: msgspec.Raw = msgspec.Raw()
    suggestions: msgspec.Raw = msgspec.Raw()
    state: msgspec.Raw = msgspec.Raw()
    trail: msgspec.Raw = msgspec.Raw(b"[]")
    feedback: msgspec.Raw = msgspec.Raw(b"[]")
    explained: msgspec.Raw = msgspec.Raw(b"null")
    ads: msgspec.Raw = msgspec.Raw(b"null")
    error: dict[str, object] | None = None


_decode = msgspec.json.Decoder(_Answer).decode


class Asker:
    """Asks the worker that owns a user, wherever it runs. Workers read deadlines by the shared `clock`."""

    def __init__(
        self, log: Log, exchange: Exchange, *, node: str, topic: str, timeout_s: float, clock: SharedClock
    ) -> None:
        self._log, self._exchange, self._node, self._topic = log, exchange, node, topic
        self.timeout_s, self.clock = timeout_s, clock
        self._waiting: dict[str, asyncio.Future[_Answer]] = {}

    async def slate(self, user_id: str, placement: str, n: int, item_id: str | None) -> bytes:
        """A new slate as JSON. Raises DeadlineExceeded, Unavailable, or what the worker answered."""
        request = SlateRequest(user_id, *self._envelope(), placement, n, item_id)
        return bytes((await self._ask(request)).slate)

    async def search(self, user_id: str, wanted: Search) -> bytes:
        """The slate for a search, as JSON. Raises as `slate` does, BadInput for a query that the worker refuses."""
        return bytes((await self._ask(SearchRequest(user_id, *self._envelope(), wanted))).slate)

    async def suggest(self, q: str, n: int) -> bytes:
        """Suggestions as JSON, a list. Raises as `slate` does. Any worker may answer: the key is drawn."""
        answer = await self._ask(SuggestRequest(secrets.token_hex(8), *self._envelope(), q, n))
        return bytes(answer.suggestions)

    async def known(self, user_id: str) -> tuple[bytes, bytes, bytes]:
        """What the worker keeps of a user, as JSON: the state, `null` if there is none, the trail of the counters, and
        the lists whose feedback it waits for.

        Raises as `slate` does.
        """
        answer = await self._ask(Inspect(user_id, *self._envelope()))
        return bytes(answer.state), bytes(answer.trail), bytes(answer.feedback)

    async def explained(self, user_id: str, placement: str, n: int, item_id: str | None, top: int) -> bytes:
        """A list made now and what became of its candidates, as JSON. Raises as `slate` does."""
        return bytes((await self._ask(Explain(user_id, *self._envelope(), placement, n, item_id, top))).explained)

    async def rates(self, by: RateKind, n: int, key: str | None) -> bytes:
        """CTR and CVR as JSON, of whichever worker comes first; all know the same. Raises as `slate` does."""
        envelope = self._envelope()
        return bytes((await self._ask(AskRates(envelope[0], *envelope, by, n, key))).feedback)

    async def ads(self, n: int, campaign: str | None) -> bytes:
        """How campaigns stand, as JSON, of whichever worker comes first. Raises as `slate` does."""
        envelope = self._envelope()
        return bytes((await self._ask(AskAds(envelope[0], *envelope, n, campaign))).ads)

    async def run(self) -> None:
        """Take replies, for ever."""
        async for reply in self._exchange.replies(self._node):
            waiting = self._waiting.get(reply.request_id)
            if waiting is not None and not waiting.done():
                waiting.set_result(_decode(reply.body))

    def _envelope(self) -> tuple[str, str, float]:
        return secrets.token_hex(8), self._node, self.clock.now() + self.timeout_s

    async def _ask(self, request: Asked) -> _Answer:
        waiting: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request.request_id] = waiting
        try:
            async with asyncio.timeout(self.timeout_s):
                await self._log.publish(self._topic, request.user_id, encode_request(request))
                answer = await waiting
        except TimeoutError:
            message = f"No worker answered within {self.timeout_s:g} s. See /health/ready, and try again."
            raise DeadlineExceeded(message, retry_after=1) from None
        finally:
            del self._waiting[request.request_id]
        if answer.error is not None:
            raise from_wire(answer.error)
        return answer
