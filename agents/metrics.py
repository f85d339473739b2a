"""The worker's, the archiver's and the trainer's metrics: one registry a process, never a user's id in a label."""

from __future__ import annotations

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from rec.config import Settings
from rec.examples import Taken
from rec.looptime import BUCKETS as GAPS
from rec.vitals import Instrument

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


def serve(registry: CollectorRegistry, settings: Settings) -> None:
    """Answer /metrics in a thread of its own; nowhere if the port is 0. Raises OSError if it is taken."""
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.metrics_host, registry)


class Metrics:
    """All series of `agents`, created once by the composition root."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.folded = Counter("shunxi_events_folded_total", "Events by what the fold did", ["outcome"], registry=r)
        self.dead = Counter("shunxi_dead_letters_total", "Records that could not be processed", ["reason"], registry=r)
        self.slates = Counter("shunxi_slates_total", "Slates made, by cause", ["cause"], registry=r)
        self.refreshes = Counter(
            "shunxi_refresh_decisions_total",
            "How events changed lists on screens, where a strategy leaves that open: replace, tail, wait; a placement "
            "that is not configured is `other`",
            ["action", "placement"],
            registry=r,
        )
        self.event_to_push = Histogram(
            "shunxi_event_to_push_seconds", "From the edge's receipt to the stored slate", buckets=BUCKETS, registry=r
        )
        self.scoring = Histogram(
            "shunxi_scoring_seconds", "One batch of users, candidates to slates", buckets=BUCKETS, registry=r
        )
        self.loop_gap = Histogram(
            "shunxi_loop_gap_seconds", "How long the event loop stood still", buckets=GAPS, registry=r
        )
        self.mailbox = Gauge("shunxi_refresh_waiting", "Users waiting for a new list", registry=r)
        self.users = Gauge("shunxi_state_users", "Users in this worker's table", registry=r)
        self.online = Gauge("shunxi_users_online", "Users connected anywhere", registry=r)
        self.swept = Counter("shunxi_swept_total", "Stale lists found by the sweep and made anew", registry=r)
        self.expired = Counter("shunxi_states_expired_total", "States dropped after REC_IDLE_DAYS", registry=r)
        self.counted = Counter("shunxi_events_counted_total", "Events the shared counters learned from", registry=r)
        self.examples_lost = Counter("shunxi_examples_lost_total", "Examples dropped before they got out", registry=r)
        self.feedback = Counter(
            "shunxi_feedback_total", "Signs that named a list, by what became of them", ["result"], registry=r
        )
        self.windows = Gauge("shunxi_feedback_windows", "Lists whose feedback is waited for", registry=r)
        self.windows_evicted = Counter(
            "shunxi_feedback_evicted_total", "Lists forgotten early since a user had too many", registry=r
        )
        self.served_lost = Counter("shunxi_served_lost_total", "Lists dropped before they were remembered", registry=r)
        self.strategy_reward = Gauge(
            "shunxi_strategy_reward", "What a list of this strategy earned, decayed mean", ["strategy"], registry=r
        )
        self.strategy_lists = Gauge(
            "shunxi_strategy_lists", "Joined lists of this strategy, decayed", ["strategy"], registry=r
        )
        self.ad_spend = Gauge(
            "shunxi_ad_spend", "Money of today (UTC) by campaign: spent, budget", ["campaign", "kind"], registry=r
        )
        self.ad_clicks = Gauge(
            "shunxi_ad_clicks", "Clicks on ads, decayed: clicked, and foreseen by p(click)", ["kind"], registry=r
        )
        self.swaps = Counter("shunxi_model_swaps_total", "Model versions this worker began to serve", registry=r)
        self.searches = Counter("shunxi_searches_total", "Searches by what came of them", ["outcome"], registry=r)
        self.search_retrieval = Counter(
            "shunxi_search_retrievals_total", "Searches with vectors, or from words alone", ["retrieval"], registry=r
        )
        self.search_seconds = Histogram(
            "shunxi_search_seconds", "One search, in the worker", buckets=BUCKETS, registry=r
        )
        self.indexed = Gauge("shunxi_search_indexed_items", "Products in this worker's index", registry=r)
        self.archived = Counter("shunxi_events_archived_total", "New rows in the archive", registry=r)
        self.archive_lag = Gauge("shunxi_archive_lag_records", "Records not yet archived", registry=r)
        self.behavior_lag = Gauge("shunxi_behavior_lag_records", "Events in the log not yet folded", registry=r)

    def of_worker(self) -> Sequence[Instrument]:
        """What a worker tells the console."""
        return (
            self.folded, self.dead, self.slates, self.event_to_push, self.scoring, self.loop_gap, self.mailbox,
            self.users, self.online, self.swept, self.feedback, self.windows, self.strategy_reward,
            self.strategy_lists, self.swaps, self.searches, self.search_seconds, self.indexed, self.behavior_lag,
        )  # fmt: skip

    def of_archiver(self) -> Sequence[Instrument]:
        """What an archiver tells the console."""
        return (self.archived, self.archive_lag)


class TrainerMetrics:
    """The trainer's series."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.learned = Counter("shunxi_examples_learned_total", "Examples learned from", registry=r)
        self.read = Gauge("shunxi_examples_read", "Next record of the topic to be read", registry=r)
        self.behind = Gauge("shunxi_learned_behind_seconds", "Now less the newest event learned from", registry=r)
        self.loss = Gauge("shunxi_train_loss_nats", "Of the network's last step", registry=r)
        self.skipped = Counter(
            "shunxi_train_steps_skipped_total", "Steps not made: loss or gradient was no number", registry=r
        )
        self.share = Gauge("shunxi_train_share", "Share of the examples that is learned from", registry=r)
        self.verdicts = Counter("shunxi_model_verdicts_total", "Decisions about versions", ["kind"], registry=r)
        self.tunings = Counter("shunxi_encoder_tunings_total", "Visits of the encoder's tuning", ["kind"], registry=r)
        self.encoded = Counter("shunxi_epoch_vectors_total", "Texts read by a tuned encoder", registry=r)
        self.restarts = Counter("shunxi_trainer_child_restarts_total", "Child processes that died", registry=r)

    def told(self) -> Sequence[Instrument]:
        """What the console is told."""
        return (
            self.learned, self.behind, self.loss, self.share, self.verdicts, self.tunings, self.restarts,
        )  # fmt: skip

    def took(self, taken: Taken, learned: int, skipped: int, now: float) -> None:
        """What the child has said; of examples and of steps, what came since it said so last."""
        self.learned.inc(max(0, learned))
        self.skipped.inc(max(0, skipped))
        self.share.set(taken.share)
        self.read.set(taken.offset)
        if taken.rounds:
            self.loss.set(taken.loss)
        if taken.learned_through:
            self.behind.set(max(0.0, now - taken.learned_through))
