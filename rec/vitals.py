"""instruments → **vitals** → exchange → GET /v1/console. What each process counts, told to whoever looks in.

Every process says so every two seconds, under a key of its own that goes when it stops talking; whoever looks adds up
whatever processes there are. Counters and cumulative buckets, as Prometheus has them: rates and quantiles are made
from two readings, by who reads. Nothing is kept: what was an hour ago is Prometheus' part. Names nobody.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Literal, Protocol

import msgspec

from rec import __version__
from rec.errors import Unavailable

log = logging.getLogger(__name__)

TELL_S = 2.0
Role = Literal["web", "worker", "archiver", "trainer"]


class Reports(Protocol):
    """A part of `rec.ports.Exchange`: what processes say of themselves."""

    async def report(self, process: str, report: bytes) -> None:
        """What this process says of itself, instead of what it said before. Kept for 15 s, so say it again."""

    async def reports(self) -> dict[str, bytes]:
        """process → its report, of those that said something within the last 15 s."""


class Instrument(Protocol):
    """A counter, gauge or histogram of prometheus_client."""

    def collect(self) -> Iterable[Any]:
        """Families with their samples."""


class Buckets(msgspec.Struct, frozen=True):
    """A histogram as it is: `counts` are cumulative, one for each of `bounds` (seconds) and one for all that came."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    sum: float


Values = dict[str, dict[str, float]]  # metric → value of its label, "" where it has none → number


class Vitals(msgspec.Struct, frozen=True):
    """One process at one moment. Of two reports the same `began` means that its counters went on from each other."""

    role: Role
    name: str
    began: float  # when the process began to tell, seconds since 1970
    at: float  # when it told this
    version: str
    counters: Values
    gauges: Values
    histograms: dict[str, Buckets]


encode_vitals = msgspec.json.Encoder().encode
decode_vitals = msgspec.json.Decoder(Vitals).decode


def process_name() -> str:
    """This process among all: host:pid."""
    return f"{socket.gethostname()}:{os.getpid()}"


def vitals_of(
    instruments: Iterable[Instrument], *, role: Role, name: str, began: float, now: float, version: str = __version__
) -> Vitals:
    """What the instruments say now. Histograms have no labels here; of several labels the values are joined.

    >>> from prometheus_client import Counter
    >>> counter = Counter("x_total", "…", ["reason"], registry=None)
    >>> counter.labels("odd").inc(2)
    >>> vitals_of([counter], role="web", name="a", began=0.0, now=1.0).counters
    {'x': {'odd': 2.0}}
    """
    counters: Values = {}
    gauges: Values = {}
    histograms: dict[str, Buckets] = {}
    for family in (family for instrument in instruments for family in instrument.collect()):
        if family.type == "histogram":
            histograms[family.name] = _buckets(family)
        else:
            kind, suffix = (counters, "_total") if family.type == "counter" else (gauges, "")
            kind[family.name] = {
                " ".join(sample.labels.values()): sample.value
                for sample in family.samples
                if sample.name == family.name + suffix
            }
    return Vitals(role, name, began, now, version, counters, gauges, histograms)


def _buckets(family: Any) -> Buckets:
    steps = [(float(s.labels["le"]), s.value) for s in family.samples if s.name == f"{family.name}_bucket"]
    total = sum(s.value for s in family.samples if s.name == f"{family.name}_sum")
    return Buckets(tuple(bound for bound, _ in steps[:-1]), tuple(count for _, count in steps), total)


async def tell(
    exchange: Reports,
    instruments: Iterable[Instrument],
    *,
    role: Role,
    name: str,
    clock: Callable[[], float] = time.time,
    every_s: float = TELL_S,
) -> None:
    """Say it for ever. An exchange that is away is tried again; what was counted meanwhile is in the next report."""
    began, away, kept = clock(), False, tuple(instruments)
    while True:
        vitals = vitals_of(kept, role=role, name=name, began=began, now=clock())
        try:
            await exchange.report(f"{role} {name}", encode_vitals(vitals))
            away = False
        except Unavailable as error:
            if not away:
                log.warning("the console cannot be told: %s", error.message)
            away = True
        await asyncio.sleep(every_s)


@contextlib.asynccontextmanager
async def telling(exchange: Reports, instruments: Iterable[Instrument], *, role: Role) -> AsyncIterator[None]:
    """While the block runs, `tell` beside it."""
    task = asyncio.create_task(tell(exchange, instruments, role=role, name=process_name()), name="vitals")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
