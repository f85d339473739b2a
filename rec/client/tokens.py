"""**Tokens** of users: given, asked for, or minted with the API key; and when to renew each.

A token is opaque to this side but for its times: `exp` and `iat` are read, never trusted for anything but timing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol

import aiohttp
import msgspec

from rec.client.checks import check_secret
from rec.errors import BadInput, RecError, Unavailable

RENEW_AT = 0.75  # of the lifetime: leaves a quarter for a slow or failing renewal

TokenCallable = Callable[[str], Awaitable[str]]


class Token(NamedTuple):
    """A token and how many seconds from its receipt it should be renewed; None: unknown, wait for the server."""

    value: str
    renew_in: float | None


class _Times(msgspec.Struct, frozen=True):
    exp: float | None = None
    iat: float | None = None


def renew_in(token: str, now: float, minted_now: bool) -> float | None:
    """Seconds until a JWT should be renewed. `now`: seconds since 1970 by this machine's clock.

    A token minted this moment lives exp - iat seconds whatever this clock says; for another one the smaller of
    that and exp - now is taken, so a clock that is behind does not make it late.

    >>> claims = base64.urlsafe_b64encode(b'{"iat":1000,"exp":1100}').decode().rstrip("=")
    >>> renew_in(f"e30.{claims}.sig", now=1040.0, minted_now=False)
    45.0
    >>> renew_in("opaque", now=0.0, minted_now=True) is None
    True
    """
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        times = msgspec.json.decode(claims, type=_Times)
    except (binascii.Error, ValueError, msgspec.DecodeError, RecursionError):
        return None
    if times.exp is None:
        return None
    lifetimes = [] if times.iat is None else [times.exp - times.iat]
    if not minted_now or not lifetimes:
        lifetimes.append(times.exp - now)
    left = min(lifetimes)
    return left * RENEW_AT if left > 0 else None  # past by our clock: let the server judge


class TokenSource(Protocol):
    """Where a user's token comes from."""

    renewable: bool

    async def get(self, user_id: str) -> Token:
        """A token that is good now. Raises RecError; `temporary` says whether asking again may help."""


class GivenToken:
    """One fixed token: it cannot be renewed, so its end is the end of the connection."""

    renewable = False

    def __init__(self, value: str) -> None:
        self._value = value

    async def get(self, user_id: str) -> Token:
        return Token(self._value, None)


class AskedToken:
    """Tokens from the application (`minted_now=False`) or from POST /v1/tokens with the API key."""

    renewable = True

    def __init__(self, ask: TokenCallable, *, minted_now: bool = False) -> None:
        self._ask, self._minted_now = ask, minted_now

    async def get(self, user_id: str) -> Token:
        try:
            value = await self._ask(user_id)
        except (RecError, TimeoutError):
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise Unavailable("no token: the token callable was cancelled") from error  # the application's own task
        except (OSError, aiohttp.ClientError) as error:
            raise Unavailable(f"no token: {error}") from error
        except Exception as error:  # the application's code: anything may come, and asking again would not help
            raise RecError(f"no token: the token callable raised {error!r}", code="token") from error
        try:
            value = check_secret(value, "token")
        except BadInput as error:  # not the fault of the request that it was for
            raise RecError(f"the token callable's answer: {error}", code="token", field="token") from error
        return Token(value, renew_in(value, time.time(), self._minted_now))


def token_source(mint: TokenCallable | None, token: str | TokenCallable | None) -> TokenSource:
    """Tokens minted with the API key if there is one, else what the application gave."""
    if mint is not None:
        return AskedToken(mint, minted_now=True)
    if isinstance(token, str):
        return GivenToken(token)
    assert token is not None  # RecClient takes one of both
    return AskedToken(token)


def one_of(api_key: str | None, token: str | TokenCallable | None) -> tuple[str | None, str | TokenCallable | None]:
    """What RecClient was given: one of the two, as a header carries it; BadInput, by name, for anything else."""
    if bool(api_key) == bool(token):
        raise BadInput("give RecClient either an api_key or a token", field="api_key")
    if api_key:
        return check_secret(api_key, "api_key"), None
    return None, token if callable(token) else check_secret(token, "token")
