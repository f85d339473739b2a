"""What a probe of `rec doctor` found, and how it is run and shown. A probe measures one fact and says the remedy."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, NamedTuple

from rich.text import Text

from rec.errors import RecError

PROBE_S = 5.0


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"  # works, but look at it
    FAIL = "fail"


class Finding(NamedTuple):
    """The measured fact; `fix` is the exact command that mends a failure."""

    status: Status
    fact: str
    fix: str | None = None


def ok(fact: str) -> Finding:
    return Finding(Status.OK, fact)


def warn(fact: str, fix: str | None = None) -> Finding:
    return Finding(Status.WARN, fact, fix)


def fail(fact: str, fix: str) -> Finding:
    return Finding(Status.FAIL, fact, fix)


class Probe(NamedTuple):
    """`run` returns a finding or raises RecError, which is a failure mended by `fix`."""

    name: str
    run: Callable[[], Awaitable[Finding]]
    fix: str


def known(name: str, finding: Finding) -> Probe:
    """A probe whose finding is there already."""

    async def run() -> Finding:
        return finding

    return Probe(name, run, finding.fix or "")


async def examine(probe: Probe, within_s: float = PROBE_S) -> Finding:
    """Run one probe; whatever happens in it, there is a finding, and in time."""
    try:
        async with asyncio.timeout(within_s):
            return await probe.run()
    except TimeoutError:
        return fail(f"no answer within {within_s:g} s", probe.fix)
    except RecError as error:
        return fail(error.message, probe.fix)
    except Exception as error:  # noqa: BLE001 - one probe that breaks must not hide what the others find
        logging.getLogger(__name__).debug("probe %s", probe.name, exc_info=error)
        return fail(f"the probe itself failed: {type(error).__name__}: {error}", probe.fix)


_SIGNS = {Status.OK: ("✓", "green"), Status.WARN: ("!", "yellow"), Status.FAIL: ("✗", "bold red")}


def line(name: str, finding: Finding) -> Text:
    """One line, and below it the command that mends a failure.

    >>> print(line("redis", fail("no answer", "rec up")).plain)
    ✗ redis         no answer
                    → rec up
    """
    sign, style = _SIGNS[finding.status]
    text = Text.assemble((sign, style), f" {name:<14}{' '.join(finding.fact.split())}")
    if finding.fix and finding.status is not Status.OK:
        text.append(f"\n{'':<16}→ {finding.fix}")
    return text


def as_json(name: str, finding: Finding) -> dict[str, Any]:
    return {"probe": name, "status": str(finding.status), "fact": finding.fact, "fix": finding.fix}
