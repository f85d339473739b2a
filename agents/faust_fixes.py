"""Seven defects around Faust's tables, mended; applied only to the exact version they were checked against.

1. Loss. `Recovery.on_recovery_completed` resumes the source partitions while the flow is open and then calls
   `flow_control.resume()`, which clears the agents' queues: an event that was queued in between is gone, and the
   next commit goes past it. Mended by closing the flow first; the original opens it again at its end.
2. Hang. A fetch begun before the rebalance returns changelog records after recovery has sought the changelog. The
   flow is closed, so they are thrown away, the position is past them, and recovery waits for them for ever.
   `Consumer.wait_for_stopped_flow` exists for this, but nobody calls it and its flag is never cleared. Mended by
   clearing the flag when a fetch starts and by waiting for it before seeking.
3. Stale keys. The memory store forgets which partition a key written live belongs to, so keys of a partition that
   moved away stay behind, and come back to life if it returns after they were deleted elsewhere. Mended by dropping
   every key of a partition that is not assigned when recovery ends.
4. Commit before the changelog. A commit waits for `Producer.flush`, which gives up too early; a kill then loses what
   was committed. Mended in agents.changelog_buffer, which takes the place of Faust's.
5. No commit yet. Records that were fetched while the flow was being stopped are thrown away, and the consumer seeks
   back to what was committed. Where nothing was committed yet there is nowhere to seek to: they are lost, and recovery
   begins behind them. Mended by seeking to the beginning of such partitions.
6. The end of a changelog. Recovery stops at the end offset that the broker lists. Tansu's is too low after a batch of
   several records, and the rest would be missing in the table. Mended by asking for the high watermark.
7. A record costs three turns of the event loop and four tasks on its way to its agent: agents.delivery.

Shown and measured in docs/reliability.md. Check again at every upgrade, then raise CHECKED.
"""

from __future__ import annotations

from typing import Any

import faust
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport import producer
from faust.transport.consumer import ThreadDelegateConsumer
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread

from agents import delivery
from agents.changelog_buffer import ChangelogBuffer
from rec.errors import ConfigError
from rec.store.kafka.connection import ends
from rec.topics import partition_of

CHECKED = "0.15.3"


def apply() -> None:
    """Install the fixes. Raises ConfigError on another version of Faust; does nothing the second time."""
    if faust.__version__ != CHECKED:
        raise ConfigError(
            f"faust-streaming {faust.__version__} is installed, but the recovery fixes were checked against {CHECKED} "
            f"only: without them a rebalance can lose events. Install faust-streaming=={CHECKED}."
        )
    if getattr(Recovery, "_shunxi_fixed", False):
        return
    completed, seek_offsets = Recovery.on_recovery_completed, Recovery._seek_offsets
    getmany = ThreadDelegateConsumer._getmany

    async def on_recovery_completed(self: Any, generation_id: int = 0) -> None:
        self.app.flow_control.suspend()
        self.app.consumer.stop_flow()
        for table in self.tables.values():
            _drop_foreign_keys(table, {tp.partition for tp in self.actives_for_table[table]})
        await completed(self, generation_id)

    async def _getmany(self: Any, active_partitions: Any, timeout: float) -> Any:
        self.not_waiting_next_records.clear()  # Consumer._wait_next_records sets it when the fetch is over
        return await getmany(self, active_partitions, timeout)

    async def _seek_offsets(self: Any, consumer: Any, tps: Any, offsets: Any, title: str) -> None:
        await consumer.wait_for_stopped_flow()
        await seek_offsets(self, consumer, tps, offsets, title)

    Recovery.on_recovery_completed = on_recovery_completed
    Recovery._seek_offsets = _seek_offsets
    ThreadDelegateConsumer._getmany = _getmany
    producer.ProducerBuffer = ChangelogBuffer
    _seek_where_nothing_was_committed()
    _ask_for_high_watermarks()
    delivery.install()
    Recovery._shunxi_fixed = True


def _seek_where_nothing_was_committed() -> None:
    seek_to_committed = AIOKafkaConsumerThread.seek_to_committed

    async def seek_to_committed_or_beginning(self: Any) -> Any:
        committed = await seek_to_committed(self)
        is_source = self.app.topics.acks_enabled_for  # nothing of a changelog is ever committed
        if nowhere := [tp for tp, offset in committed.items() if not offset and is_source(tp.topic)]:
            await self.seek_to_beginning(*nowhere)
        return committed

    AIOKafkaConsumerThread.seek_to_committed = seek_to_committed_or_beginning


def _ask_for_high_watermarks() -> None:
    async def _highwaters(self: Any, partitions: Any) -> Any:
        return await ends(self._ensure_consumer(), list(partitions))

    AIOKafkaConsumerThread._highwaters = _highwaters


def set_fetch_wait(wait_ms: int) -> None:
    """How long the broker may hold a fetch back for want of records; Faust says 1,500 ms and has no setting for it.

    Kafka answers as soon as there is one record, whatever this says. Tansu looks again only after half of it, so that
    with Faust's value an event waits 375 ms on average before anybody sees it.
    """
    create = getattr(AIOKafkaConsumerThread, "_shunxi_create", AIOKafkaConsumerThread._create_worker_consumer)

    def _create_worker_consumer(self: Any, transport: Any) -> Any:
        consumer = create(self, transport)
        consumer._fetch_max_wait_ms = wait_ms  # read when the consumer starts
        return consumer

    AIOKafkaConsumerThread._shunxi_create = create
    AIOKafkaConsumerThread._create_worker_consumer = _create_worker_consumer


class PromptTables(TableManager):  # type: ignore[misc]
    """Faust's tables without the second it waits at every start for tables to be declared: ours are before it."""

    async def on_start(self) -> None:
        """As in Faust 0.15.3, less `await self.sleep(1.0)`."""
        await self._update_channels()
        await self.recovery.start()


def _drop_foreign_keys(table: Any, partitions: set[int]) -> None:
    data, total = table.data.data, table.partitions  # the memory store's dict, keyed by raw bytes
    for key in [key for key in data if partition_of(key.partition(b"\0")[0], total) not in partitions]:
        del data[key]  # of a window's key (rec.window_keys) the user's part says where it is
