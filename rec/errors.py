"""The error tree: one root, and every class says what to do about it.

RecError                                                                             exit 1, HTTP 500
├── ConfigError            mend the setting it names; nothing was started            exit 3
├── BadInput               mend what was given; the field and the remedy are in it   exit 2, HTTP 400
│   ├── Unauthorized       send a valid API key or token                             exit 1, HTTP 401
│   ├── Forbidden          this key may not do that                                  exit 1, HTTP 403
│   ├── NotFound           there is no such thing                                    exit 1, HTTP 404
│   ├── TooSlow            send the whole request at once                temporary   exit 1, HTTP 408
│   ├── TooLarge           send less at a time                                       exit 1, HTTP 413
│   ├── UnknownEncoding    send the body as it is, or as gzip or deflate             exit 1, HTTP 415
│   └── RateLimited        wait `retry_after` seconds, then again        temporary   exit 1, HTTP 429
├── Unavailable            a dependency is away; try again               temporary   exit 4, HTTP 503
├── DeadlineExceeded       no answer in time; try again                  temporary   exit 5, HTTP 504
├── NotSupported           this version has no such part                             exit 1, HTTP 501
└── ModelError             the model version is broken; choose another               exit 1

Exit 2 is for what can be seen to be wrong without asking anybody. What a server refuses is a failed call, exit 1,
also when it is a BadInput: the SDK sets `exit_code` of such an error (`RecError.refused`).
"""

from __future__ import annotations

from typing import Self


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

    def refused(self) -> Self:
        """The same error, as a server's answer: for the command line a failed call, not a wrong use."""
        if self.exit_code == BadInput.exit_code:
            self.exit_code = RecError.exit_code
        return self


class ConfigError(RecError):
    code, exit_code = "config", 3


class BadInput(RecError):
    code, http_status, exit_code = "bad_request", 400, 2


class Unauthorized(BadInput):
    code, http_status, exit_code = "unauthorized", 401, 1


class Forbidden(BadInput):
    code, http_status, exit_code = "forbidden", 403, 1


class NotFound(BadInput):
    code, http_status, exit_code = "not_found", 404, 1


class TooSlow(BadInput):
    code, http_status, exit_code, temporary = "too_slow", 408, 1, True


class TooLarge(BadInput):
    code, http_status, exit_code = "too_large", 413, 1


class UnknownEncoding(BadInput):
    code, http_status, exit_code = "unknown_encoding", 415, 1


class RateLimited(BadInput):
    code, http_status, exit_code, temporary = "rate_limited", 429, 1, True


class Unavailable(RecError):
    code, http_status, exit_code, temporary = "unavailable", 503, 4, True


class DeadlineExceeded(RecError):
    code, http_status, exit_code, temporary = "timeout", 504, 5, True


class NotSupported(RecError):
    code, http_status = "not_supported", 501


class ModelError(RecError):
    code = "model"
