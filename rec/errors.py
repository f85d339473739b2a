"""The error tree: one root, and every class says what to do about it.

RecError
├── ConfigError            mend the setting it names; nothing was started            exit 3
├── BadInput               mend the request; the field and the remedy are in it      exit 2, HTTP 4xx
│   ├── Unauthorized       send a valid API key or token                             HTTP 401
│   ├── Forbidden          this key may not do that                                  HTTP 403
│   ├── NotFound           there is no such thing                                    HTTP 404
│   ├── TooSlow            send the whole request at once                temporary   HTTP 408
│   ├── TooLarge           send less at a time                                       HTTP 413
│   └── RateLimited        wait `retry_after` seconds, then again        temporary   HTTP 429
├── Unavailable            a dependency is away; try again               temporary   exit 4, HTTP 503
├── DeadlineExceeded       no answer in time; try again                  temporary   exit 5, HTTP 504
├── NotSupported           this version has no such part                             exit 1, HTTP 501
└── ModelError             the model version is broken; choose another               exit 1
"""

from __future__ import annotations


class RecError(Exception):
    """Root of all errors raised on purpose. `code` is stable; `temporary` says a retry may help."""

    code = "internal"
    temporary = False
    http_status = 500
    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        field: str | None = None,
        did_you_mean: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.field = field
        self.did_you_mean = did_you_mean
        self.retry_after = retry_after

    def as_dict(self) -> dict[str, object]:
        """The error as it goes on the wire: code, message, temporary, and what else is known."""
        body: dict[str, object] = {"code": self.code, "message": self.message, "temporary": self.temporary}
        for name in ("field", "did_you_mean", "retry_after"):
            if (value := getattr(self, name)) is not None:
                body[name] = value
        return body


class ConfigError(RecError):
    code, exit_code = "config", 3


class BadInput(RecError):
    code, http_status, exit_code = "bad_request", 400, 2


class Unauthorized(BadInput):
    code, http_status = "unauthorized", 401


class Forbidden(BadInput):
    code, http_status = "forbidden", 403


class NotFound(BadInput):
    code, http_status = "not_found", 404


class TooSlow(BadInput):
    code, http_status, temporary = "too_slow", 408, True


class TooLarge(BadInput):
    code, http_status = "too_large", 413


class RateLimited(BadInput):
    code, http_status, temporary = "rate_limited", 429, True


class Unavailable(RecError):
    code, http_status, exit_code, temporary = "unavailable", 503, 4, True


class DeadlineExceeded(RecError):
    code, http_status, exit_code, temporary = "timeout", 504, 5, True


class NotSupported(RecError):
    code, http_status = "not_supported", 501


class ModelError(RecError):
    code = "model"
