"""The client's calls → **who asks** → HTTP. Puts the right authorization on each: the API key, or a user's token."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from rec.client.http import Http, encode
from rec.client.tokens import TokenCallable, TokenSource
from rec.errors import BadInput, Unauthorized

T = TypeVar("T")
Answer = dict[str, Any]

KEPT = 10_000  # users whose token is remembered: of those whose token is the newest


class _Minted(msgspec.Struct, frozen=True):
    token: str


def minter(http: Http, api_key: str, timeout_s: float) -> TokenCallable:
    """A callable that has the server make a user's token, which takes the API key."""

    async def authorize() -> str:
        return f"Bearer {api_key}"

    async def mint(user_id: str) -> str:
        body = encode({"user_id": user_id})
        minted = await http.call("POST", "/v1/tokens", _Minted, authorize=authorize, timeout_s=timeout_s, body=body)
        return minted.token

    return mint


class Caller:
    """Calls with authorization. With `api_key` all are the backend's; without it each is some user's."""

    def __init__(self, http: Http, api_key: str | None, tokens: TokenSource, timeout_s: float) -> None:
        self._http, self._api_key, self._tokens, self._timeout_s = http, api_key, tokens, timeout_s
        self._kept: dict[str, tuple[str, float]] = {}  # user → token, and when to get another (monotonic)

    async def call(
        self,
        method: str,
        path: str,
        answer: type[T],
        user_id: str,
        *,
        query: Mapping[str, str | int | None] | None = None,
        body: bytes | None = None,
        timeout_s: float | None = None,
    ) -> T:
        """One call as `user_id` ("": nobody in particular); its answer or a RecError, in time."""

        async def authorize() -> str:
            return f"Bearer {self._api_key or await self._token(user_id)}"

        wait = self._timeout_s if timeout_s is None else timeout_s
        try:
            return await self._http.call(
                method, path, answer, authorize=authorize, timeout_s=wait, query=query, body=body
            )
        except Unauthorized:
            self._kept.pop(user_id, None)  # whatever its times say, it is of no use any more
            raise

    async def get(self, path: str, user_id: str, **query: str | int | None) -> Answer:
        """`call` for what is read as it comes."""
        return await self.call("GET", path, Answer, user_id, query=query)

    async def _token(self, user_id: str) -> str:
        if not user_id and self._tokens.renewable:
            raise BadInput("this call needs an api_key, or a user_id given to RecClient", field="user_id")
        value, until = self._kept.get(user_id, ("", 0.0))
        if time.monotonic() >= until:
            token = await self._tokens.get(user_id)
            value = token.value
            self._kept.pop(user_id, None)  # so that it comes in last
            self._kept[user_id] = (value, time.monotonic() + (token.renew_in or 0.0))
            while len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return value
