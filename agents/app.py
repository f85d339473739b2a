"""The worker's composition root: the Faust app, its topics, its two tables, its three agents.

    faust -A agents.app worker -l info      or      rec worker

Start order: stores → topics → catalog and counters → (Faust) producer, consumer, agents, table recovery. At-least-once
delivery, and a state that applies an event once: see docs/reliability.md for why not `exactly_once`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import faust
import msgspec
from faust.serializers import codecs
from faust.types import TP

from agents import faust_fixes, watchdog
from agents.again import check_jump, until_done
from agents.background import Background
from agents.continuity import Continuity, LostDelivery
from agents.deps import Deps, open_deps
from agents.metrics import Metrics, serve
from rec.collector import settle
from rec.config import Settings, load_settings
from rec.errors import RecError, Unavailable
from rec.feedback import decode_window, encode_window
from rec.ports import Record
from rec.search.reading import check_synonyms
from rec.state import decode_state, encode_state
from rec.store.kafka.security import Security
from rec.topics import BEHAVIOR, MAX_RECORD_BYTES, REQUESTS, SERVED, partition_of

log = logging.getLogger(__name__)

READY_EVERY_S = 4.0
CHANGELOG_LINGER_S = 0.05  # a list does not wait for the changelog, and a request costs as much as ten records in it


class ValueCodec(codecs.Codec):  # type: ignore[misc]
    """A table's values ⇄ its changelog's bytes."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]

    def _dumps(self, value: Any) -> bytes:
        return type(self).encode(value)

    def _loads(self, raw: bytes) -> Any:
        """A record that cannot be read counts as none: an exception here would hold up recovery for ever."""
        try:
            return type(self).decode(raw)
        except msgspec.MsgspecError as error:
            log.error("a changelog record cannot be read (%s); its key starts anew", error)  # noqa: TRY400
            return None


class StateCodec(ValueCodec):
    """UserState."""

    encode, decode = staticmethod(encode_state), staticmethod(decode_state)


class WindowCodec(ValueCodec):
    """Window."""

    encode, decode = staticmethod(encode_window), staticmethod(decode_window)


class WorkerApp(faust.App):  # type: ignore[misc]
    """A Faust app that opens what its agents need before the first record, and closes it after the last."""

    settings_: Settings
    metrics_: Metrics
    background_: Background
    stack_: contextlib.AsyncExitStack
    continuity_: Continuity
    mine_: tuple[object, frozenset[int]] = (None, frozenset())  # an assignment, and the partitions of users in it

    async def on_first_start(self) -> None:
        self.settings_.data_dir.mkdir(parents=True, exist_ok=True)  # Faust makes only the last part of its folder
        await super().on_first_start()

    async def on_start(self) -> None:
        """What cannot be started is one line and an exit code: Faust would make a traceback and status 1 of it."""
        try:
            await super().on_start()
            await self._open()
        except RecError as error:
            log.error("%s", error.message)  # noqa: TRY400  one line, the remedy is in it
            logging.disable(logging.INFO)  # how Faust takes itself apart is no news
            raise SystemExit(error.exit_code) from None

    async def _open(self) -> None:
        self.background_.start("loop watchdog", watchdog.LoopWatchdog(self.settings_.loop_stall_s).run())
        users, windows = self.tables["users"], self.tables.get("windows", {})
        deps = open_deps(self.settings_, users, windows, self.owns, self.metrics_)
        self.deps_: Deps = await self.stack_.enter_async_context(deps)
        for name, loop in self.deps_.loops.items():
            self.background_.start(name, loop())
        self.background_.start("readiness", self._tell_state())
        limit = self.settings_.recovery_stall_s
        self.background_.start("recovery watchdog", watchdog.watch_progress("table recovery", self._recovered, limit))
        self.metrics_.behavior_lag.set_function(self._behind)
        serve(self.metrics_.registry, self.settings_)

    async def on_shutdown(self) -> None:
        await super().on_shutdown()
        await self.background_.stop()
        await self.stack_.aclose()

    def serving(self) -> bool:
        """Whether the table is whole: recovered, and no rebalance under way."""
        return bool(self.tables.recovery.completed.is_set()) and not self.rebalancing and not self.in_recovery

    def owns(self, user_id: str) -> bool:
        """Whether this worker is the one that may speak for the user."""
        partition = partition_of(user_id.encode(), self.settings_.partitions)
        return self.serving() and partition in self._partitions()

    async def begins_at(self, first: Record) -> int:
        """Where this assignment of a partition has to begin, given the first record that came of it.

        At the committed offset; at the oldest record where that is gone (retention) or nothing was committed.
        """
        tp = TP(first.topic, first.partition)
        committed = self.consumer._committed_offset.get(tp)  # as of the seek: nothing of this assignment is acked yet
        if first.offset <= (committed or 0):
            return first.offset
        earliest = (await self.consumer.earliest_offsets(tp)).get(tp) or 0
        return max(int(committed or 0), int(earliest))

    def _partitions(self) -> frozenset[int]:
        """Asked for every user of a sweep, so worked out once an assignment."""
        assignment, topic = self._assignment, self.settings_.topic(BEHAVIOR)
        if assignment is not self.mine_[0]:
            self.mine_ = assignment, frozenset(tp.partition for tp in assignment or () if tp.topic == topic)
        return self.mine_[1]

    def _behind(self) -> int:
        """Events of our partitions that are in the log and not folded, as far as the broker told with what it sent."""
        topic, behind = self.settings_.topic(BEHAVIOR), 0
        if not self.serving():
            return 0
        for partition in self._partitions():
            end, done = self.consumer.highwater(TP(topic, partition)), self.continuity_.next(topic, partition)
            if end is not None and done is not None:
                behind += max(0, end - done)
        return behind

    def _recovered(self) -> object:
        """Changes while recovery moves; None when there is none under way."""
        recovery = self.tables.recovery
        if not self.in_recovery:
            return None
        offsets = (tuple(recovery.active_offsets.items()), tuple(recovery.standby_offsets.items()))
        return self.rebalancing_count, offsets  # an offset is None until the partition's first record was read

    async def _tell_state(self) -> None:
        """Say through Redis whether this worker serves; /health/ready of the web processes reads it."""
        was, settled = False, False
        while True:
            serving = self.serving()
            if serving and not settled:
                settle()
                settled = True
            if serving and not was:
                self.deps_.sweep.soon()
                self.deps_.consents.soon()
            was = serving
            self.metrics_.users.set(len(self.tables["users"]))
            try:
                await self.deps_.exchange.set_worker_state(self.deps_.name, "ready" if serving else "recovering")
            except Unavailable as error:
                log.warning("readiness could not be told: %s", error)
            for _ in range(int(READY_EVERY_S / 0.1)):
                await asyncio.sleep(0.1)
                if self.serving() != was:
                    break


def create_app(settings: Settings) -> WorkerApp:
    """The Faust app of one world. Nothing connects before it is started. Raises ConfigError."""
    check_synonyms(settings)
    faust_fixes.apply()
    faust_fixes.set_fetch_wait(settings.fetch_max_wait_ms)
    codecs.register("user_state", StateCodec())
    codecs.register("window", WindowCodec())
    app = WorkerApp(
        settings.app_id,
        broker=settings.broker_url,
        broker_credentials=_credentials(Security.from_settings(settings)),
        store="memory://",
        datadir=str(settings.data_dir / "faust"),
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication_factor,
        topic_disable_leader=True,
        table_standby_replicas=0,
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 4,
        broker_rebalance_timeout=settings.rebalance_timeout_s,
        producer_linger=CHANGELOG_LINGER_S,
        producer_max_request_size=MAX_RECORD_BYTES,
        stream_wait_empty=False,  # what is queued at the end is not committed, and is folded after the restart
        web_enabled=False,
        autodiscover=False,
        TableManager=faust_fixes.PromptTables,
    )
    app.settings_, app.metrics_ = settings, Metrics()
    app.background_, app.stack_ = Background(watchdog.end), contextlib.AsyncExitStack()  # closed whatever was opened
    _table(app, settings, "users", settings.users_changelog, "user_state")
    continuity = app.continuity_ = Continuity()
    for name, handler in ((BEHAVIOR, "behavior"), (REQUESTS, "requests")):
        _agent(app, settings, name, handler, continuity)
    if settings.feedback:
        _join(app, settings, continuity)
    app.on_partitions_revoked.connect(lambda *_, **__: continuity.forget(), weak=False)
    return app


def _credentials(security: Security) -> Any:
    """The same for Faust, whose default is none."""
    if security.mechanism is not None:
        return faust.SASLCredentials(
            username=security.username,
            password=security.password,
            ssl_context=security.context,
            mechanism=security.mechanism,
        )
    return faust.SSLCredentials(security.context) if security.context is not None else None


def _table(app: Any, settings: Settings, name: str, topic: str, codec: str) -> Any:
    """A table. Its changelog is declared here because the table's constructor takes no codec."""
    changelog = app.topic(
        topic,
        partitions=settings.partitions,
        key_type=bytes,
        key_serializer="raw",
        value_serializer=codec,
        compacting=True,
        deleting=False,
        acks=False,
        internal=True,
        allow_empty=True,
        maxsize=131_072,  # Faust's own choice for changelogs: nothing read from one is ever committed
    )
    table = app.Table(name, partitions=settings.partitions, key_type=bytes, changelog_topic=changelog)
    table.value_serializer = codec
    return table


def _join(app: Any, settings: Settings, continuity: Continuity) -> None:
    """The table and the agent of lists that wait for what becomes of them."""
    windows = _table(app, settings, "windows", settings.windows_changelog, "window")

    async def recovered(*_: Any) -> None:
        app.deps_.windows.recovered()

    windows.on_recover(recovered)
    _agent(app, settings, SERVED, "feedback", continuity)


def _agent(app: Any, settings: Settings, name: str, handler: str, continuity: Continuity) -> None:
    topic = app.topic(
        settings.topic(name),
        partitions=settings.partitions,
        key_type=bytes,
        value_type=bytes,
        key_serializer="raw",
        value_serializer="raw",
        allow_empty=True,
    )

    async def agent(stream: Any) -> None:
        async for record in records(stream):
            try:
                if not continuity.knows(record.topic, record.partition):
                    continuity.begin(record.topic, record.partition, await app.begins_at(record))
                place = record.topic, record.partition, record.offset
                if (expected := continuity.jumped(*place)) is None:
                    continuity.note(*place)
                else:
                    await check_jump(continuity, place, expected, app.deps_.log.first_from)
                await _handled(app, stream, handler, record)
            except (LostDelivery, Unavailable) as error:
                watchdog.end(str(error))

    app.agent(topic, name=handler)(agent)


async def _handled(app: Any, stream: Any, handler: str, record: Record) -> None:
    """The record in hand, done; or left for whoever has its partition after a rebalance, or after this worker's end.

    Faust acknowledges a record when its agent takes the next or is cancelled; one that was acknowledged is passed over.
    Raises Unavailable if the log stays away.
    """
    message, began, done = stream.current_event.message, app.rebalancing_count, False
    try:
        handle = getattr(app.deps_, handler).handle
        done = await until_done(handle, record, lambda: bool(app.rebalancing_count == began))
    except asyncio.CancelledError:
        message.acked = True
        raise
    if not done:
        message.acked = True


async def records(stream: Any) -> AsyncIterator[Record]:
    """A Faust stream as records of our own."""
    async for event in stream.events():
        message = event.message
        yield Record(
            message.topic, message.partition, message.offset, message.timestamp, message.key or b"", message.value
        )


def __getattr__(name: str) -> Any:
    """`faust -A agents.app` asks for `app`; it is made then, not at import."""
    if name == "app":
        app = globals()["app"] = create_app(load_settings())
        return app
    raise AttributeError(name)
