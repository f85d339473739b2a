"""What a process tells of itself: its counters as they are, again and again, whatever happens to the exchange."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry, Gauge, Histogram

import agents.metrics
import web.metrics
from rec.errors import Unavailable
from rec.store.memory import MemoryExchange
from rec.vitals import Buckets, Vitals, decode_vitals, encode_vitals, tell, telling, vitals_of


def test_buckets_stay_cumulative_and_the_last_counts_everything() -> None:
    histogram = Histogram("x_seconds", "…", buckets=(0.1, 1.0), registry=CollectorRegistry())
    for seconds in (0.05, 0.5, 0.5, 20.0):
        histogram.observe(seconds)
    told = vitals_of([histogram], role="worker", name="a", began=0.0, now=1.0)
    assert told.histograms == {"x_seconds": Buckets((0.1, 1.0), (1.0, 3.0, 4.0), 21.05)}
    assert decode_vitals(encode_vitals(told)) == told


def test_labels_are_kept_apart_and_gauges_are_no_counters() -> None:
    gauge = Gauge("x", "…", ["transport"], registry=CollectorRegistry())
    gauge.labels("sse").set(2)
    gauge.labels("ws").set(3)
    told = vitals_of([gauge], role="web", name="a", began=0.0, now=1.0)
    assert (told.gauges, told.counters) == ({"x": {"sse": 2.0, "ws": 3.0}}, {})


def test_what_every_kind_of_process_tells_can_be_told() -> None:
    worker, edge, trainer = agents.metrics.Metrics(), web.metrics.Metrics(), agents.metrics.TrainerMetrics()
    for instruments in (worker.of_worker(), worker.of_archiver(), edge.told(), trainer.told()):
        told = vitals_of(instruments, role="web", name="a", began=0.0, now=1.0)
        assert len(told.counters) + len(told.gauges) + len(told.histograms) == len(instruments)


class Falling(MemoryExchange):
    """Away at first."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0
        self.told = asyncio.Event()

    async def report(self, process: str, report: bytes) -> None:
        self.tries += 1
        if self.tries <= 2:
            raise Unavailable("it is away")
        await super().report(process, report)
        self.told.set()


async def test_an_exchange_that_is_away_is_told_once_it_is_back() -> None:
    exchange = Falling()
    task = asyncio.create_task(tell(exchange, [], role="archiver", name="h:1", clock=lambda: 7.0, every_s=0.0))
    async with asyncio.timeout(5):
        await exchange.told.wait()
    task.cancel()
    await asyncio.wait([task])
    [(process, report)] = (await exchange.reports()).items()
    assert process == "archiver h:1"
    told = decode_vitals(report)
    assert isinstance(told, Vitals)
    assert (told.began, told.at) == (7.0, 7.0)


async def test_a_process_tells_while_it_works() -> None:
    exchange = Falling()
    exchange.tries = 2
    async with telling(exchange, [], role="archiver"), asyncio.timeout(5):
        await exchange.told.wait()
    assert len(await exchange.reports()) == 1
