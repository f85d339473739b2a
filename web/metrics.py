"""What the edge counts. One registry for each application, names with the product's prefix, no user in any label."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from rec.looptime import BUCKETS as GAPS
from rec.vitals import Instrument

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The edge's instruments, registered once."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)

        def counter(name: str, about: str, *labels: str) -> Counter:
            return Counter(f"shunxi_{name}", about, labels, registry=registry)

        self.ingested = counter(
            "events_ingested_total",
            "Events acknowledged by the broker; `consent` is a choice that came alone, as a `search` without words.",
            "event",
        )
        self.rejected = counter("events_rejected_total", "Events refused, by code.", "reason")
        self.duplicates = counter("events_duplicate_total", "Events whose id was known.")
        self.dedupe_skipped = counter("dedupe_skipped_total", "Events taken while Redis was away, not looked up.")
        self.sent = counter("push_messages_sent_total", "Frames sent on push connections.", "type")
        self.conflated = counter("push_conflated_total", "Slates replaced by a newer one before they were sent.")
        self.disconnects = counter("push_disconnects_total", "Push connections that ended, by close code.", "code")
        self.recoveries = counter("push_recoveries_total", "Subscriptions that named a position.", "recovered")
        self.refreshes_lost = counter("refreshes_lost_total", "Subscriptions whose refresh the broker did not take.")
        self.stale = counter("stale_slates_total", "Recommendations answered with the stored slate.")
        self.restarts = counter("background_restarts_total", "Background loops begun again after an error.", "loop")
        self.connections = Gauge("shunxi_push_connections", "Open push connections.", ("transport",), registry=registry)
        self.push_seconds = Histogram(
            "shunxi_push_seconds", "From a slate's making to its sending.", buckets=_SECONDS, registry=registry
        )
        self.loop_gap = Histogram(
            "shunxi_loop_gap_seconds", "How long the event loop stood still.", buckets=GAPS, registry=registry
        )
        self.http = Histogram(
            "shunxi_http_request_seconds",
            "Time to answer, by route and status.",
            ("route", "status"),
            buckets=_SECONDS,
            registry=registry,
        )

    def told(self) -> Sequence[Instrument]:
        """What the console is told."""
        return (
            self.ingested, self.rejected, self.duplicates, self.sent, self.conflated, self.disconnects, self.recoveries,
            self.stale, self.restarts, self.connections, self.push_seconds, self.loop_gap,
        )  # fmt: skip

    def exposition(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self.registry)
