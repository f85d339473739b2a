"""Which outside programs the tests may rely on: `REC_TEST_REQUIRE=redis,kafka` turns "not there" into a failure.

Without the variable a bare machine runs all that the embedded parts allow, and the last line of pytest says what ran
and what was skipped.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Literal, NoReturn, get_args

import pytest

Backend = Literal["redis", "postgres", "kafka", "chromium"]
BACKENDS: tuple[Backend, ...] = get_args(Backend)
VARIABLE = "REC_TEST_REQUIRE"

ran: Counter[str] = Counter()
missing: dict[str, str] = {}


def required() -> frozenset[str]:
    """The backends that must be there; raises pytest.UsageError for a name that means nothing."""
    names = frozenset(name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip())
    if unknown := names - set(BACKENDS):
        raise pytest.UsageError(f"{VARIABLE}: unknown {', '.join(sorted(unknown))}; known: {', '.join(BACKENDS)}")
    return names


def require(name: Backend, reason: str) -> NoReturn:
    """`name` is not there, because of `reason`: skip the test, or fail it if `REC_TEST_REQUIRE` names it."""
    missing[name] = reason
    if name in required():
        pytest.fail(f"{name} is required by {VARIABLE}: {reason}", pytrace=False)
    pytest.skip(f"{name}: {reason}")


def note_run(keywords: list[str]) -> None:
    """A test has passed or failed; remember each backend that it was marked with (`needs_redis`, …)."""
    ran.update(name for name in BACKENDS if f"needs_{name}" in keywords)


def summary() -> str:
    """One line: `backends: kafka 31 tests, redis 40 tests; not there: postgres (no initdb on PATH)`."""
    parts = [f"{name} {ran[name]} tests" for name in BACKENDS if ran[name]]
    gone = [f"{name} ({reason})" for name, reason in sorted(missing.items())]
    idle = [name for name in BACKENDS if not ran[name] and name not in missing]
    line = "backends beside memory and embedded: " + (", ".join(parts) or "none")
    if gone:
        line += "; skipped, not there: " + ", ".join(gone)
    if idle:
        line += "; not asked for: " + ", ".join(idle)
    return line
