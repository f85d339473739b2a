"""client → **auth** → handlers. Who asks: a backend with the API key, or a browser with a token for one user.

Tokens are JWTs (RFC 7519), HS256: `sub` the user, `iat`, `exp`, and `visitor_id` if the browser has one. Time is an
argument. Invariant: a browser names nobody but its own user, and no visitor but its own.
"""

from __future__ import annotations

import hmac
import math
from typing import NamedTuple

import jwt
import msgspec
from aiohttp import hdrs, web

from rec.config import Settings
from rec.errors import BadInput, ConfigError, Forbidden, Unauthorized
from rec.events import Id
from rec.privacy import MIN_SECRET

_ALGORITHM = "HS256"
_SKEW_S = 60.0  # another edge's clock may be this far ahead
_HOW = "Send Authorization: Bearer <API key>, or a token from POST /v1/tokens."


class Identity(NamedTuple):
    """Who asks. A backend has no `user_id` and may name anybody; a browser is one user until `expires_at`."""

    user_id: str | None = None
    visitor_id: str | None = None
    expires_at: float = math.inf

    @property
    def backend(self) -> bool:
        return self.user_id is None

    def may_name(self, user_id: str | None, visitor_id: str | None) -> bool:
        """Whether an event of this user or visitor may come from here.

        >>> Identity("u1", "v1").may_name("u1", "v1"), Identity("u1", "v1").may_name("u2", None)
        (True, False)
        """
        own = (None, self.user_id)
        return self.backend or (user_id in own and visitor_id in (*own, self.visitor_id))

    def user(self, user_id: str | None) -> str:
        """The user a request is about: named by a backend, a browser's own. Raises BadInput or Forbidden."""
        if self.user_id is None:
            if user_id is None:
                raise BadInput("user_id: is missing. Say whose list is meant.", code="missing_user", field="user_id")
            return user_id
        if user_id not in (None, self.user_id):
            raise Forbidden("This token names another user.", field="user_id")
        return self.user_id


class _Claims(msgspec.Struct, frozen=True):
    sub: Id
    exp: float
    iat: float
    visitor_id: Id | None = None


class Authority:
    """Issues tokens and recognises who holds one."""

    def __init__(self, settings: Settings) -> None:
        """Raises ConfigError when the API key is empty or the secret is short: both could be guessed."""
        self._key = settings.api_key.get_secret_value().encode()
        self._secret = settings.token_secret.get_secret_value()
        self.ttl_s = settings.token_ttl_s
        make = "Make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        if not self._key:
            raise ConfigError(f"REC_API_KEY is empty: anybody could write. {make}", field="REC_API_KEY")
        if len(self._secret) < MIN_SECRET:
            message = f"REC_TOKEN_SECRET needs at least {MIN_SECRET} characters. {make}"
            raise ConfigError(message, field="REC_TOKEN_SECRET")

    def issue(self, user_id: str, visitor_id: str | None, now: float) -> str:
        """A token for one user, good for `token_ttl_s` seconds from `now`."""
        claims: dict[str, object] = {"sub": user_id, "iat": int(now), "exp": int(now) + self.ttl_s}
        if visitor_id is not None:
            claims["visitor_id"] = visitor_id
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM)

    def verify(self, token: str, now: float) -> Identity:
        """The identity in a token. Raises Unauthorized; its code tells an expired token from a wrong one."""
        try:
            raw = jwt.decode(
                token,
                self._secret,
                algorithms=[_ALGORITHM],
                options={"verify_exp": False, "verify_iat": False, "verify_sub": False},  # below, by our own clock
            )
            claims = msgspec.convert(raw, _Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, UnicodeError):
            raise Unauthorized(f"This token is not valid here. {_HOW}", code="invalid_token") from None
        if claims.iat > now + _SKEW_S:
            raise Unauthorized(f"This token is of the future. {_HOW}", code="invalid_token")
        if claims.exp <= now:
            raise Unauthorized(f"This token has expired. {_HOW}", code="token_expired")
        return Identity(claims.sub, claims.visitor_id, claims.exp)

    def identify(self, request: web.Request, now: float) -> Identity:
        """Who sent this request, by its Authorization header. Raises Unauthorized."""
        scheme, _, credential = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() != "bearer" or not credential:
            raise Unauthorized(_HOW)
        if hmac.compare_digest(credential.strip().encode(errors="surrogateescape"), self._key):
            return Identity()
        return self.verify(credential.strip(), now)

    def backend(self, request: web.Request, now: float) -> None:
        """Let only backends pass. Raises Unauthorized or Forbidden."""
        if not self.identify(request, now).backend:
            raise Forbidden("This needs the API key; a browser's token is not enough.")
