"""A member of a consumer group that commits by hand.

Invariant: at least once. What was returned and not committed when a partition moves is read again by its next owner:
positions of revoked partitions are forgotten, never committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

from rec.ports import Record
from rec.store.kafka.connection import ACK_S, JOIN_S, Broker, bounds
from rec.store.kafka.tail import record_of

log = logging.getLogger(__name__)


class KafkaGroupReader(ConsumerRebalanceListener):  # type: ignore[misc]
    """`GroupReader` on Kafka."""

    def __init__(
        self, broker: Broker, topic: str, group: str, session_timeout_s: float, rebalance_timeout_s: float
    ) -> None:
        self._broker, self._topic, self._group = broker, topic, group
        self._session_ms, self._rebalance_ms = int(session_timeout_s * 1_000), int(rebalance_timeout_s * 1_000)
        self._stack = contextlib.AsyncExitStack()
        self._consumer: Any = None
        self._done: dict[TopicPartition, int] = {}  # returned by `batch`: the offset to commit

    async def __aenter__(self) -> KafkaGroupReader:
        async with contextlib.AsyncExitStack() as stack:
            self._consumer = await stack.enter_async_context(
                self._broker.consumer(
                    group_id=self._group,
                    session_timeout_ms=self._session_ms,
                    heartbeat_interval_ms=max(100, self._session_ms // 4),
                    rebalance_timeout_ms=self._rebalance_ms,
                    request_timeout_ms=self._session_ms + self._rebalance_ms + 5_000,  # a join is one long request
                )
            )
            self._consumer.subscribe([self._topic], listener=self)
            async with self._broker.reported(JOIN_S, f"joining group {self._group!r}"):
                await self._consumer.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    async def batch(self, limit: int, within_s: float) -> list[Record]:
        async with self._broker.reported(None, f"reading {self._topic!r}"):
            found = await self._consumer.getmany(timeout_ms=int(within_s * 1_000), max_records=limit)
        taken: list[Record] = []
        for partition, records in found.items():
            self._done[partition] = records[-1].offset + 1
            taken += map(record_of, records)
        return taken

    async def commit(self) -> None:
        """A group that is rebalancing takes no commit; then the records come again, to whoever owns them next."""
        if not (done := dict(self._done)):
            return
        async with self._broker.reported(2 * ACK_S, f"committing in group {self._group!r}"):
            try:
                await self._consumer.commit(done)
            except (CommitFailedError, IllegalStateError):
                log.info("group %s is rebalancing: what was not committed is read again", self._group)

    async def positions(self) -> dict[int, int]:
        async with self._broker.reported(2 * ACK_S, f"asking for the positions of {self._group!r}"):
            return await self._positions()

    async def lag(self) -> int:
        async with self._broker.reported(2 * ACK_S, f"asking for the lag of {self._group!r}"):
            positions = await self._positions()
            _, end = await bounds(self._consumer, self._topic, list(positions))
        return sum(max(0, end[number] - at) for number, at in positions.items())

    async def _positions(self) -> dict[int, int]:
        assigned = list(self._consumer.assignment())
        positions = await asyncio.gather(*map(self._consumer.position, assigned))
        return {partition.partition: at for partition, at in zip(assigned, positions, strict=True)}

    # -- called by aiokafka around a rebalance
    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        for partition in revoked:
            self._done.pop(partition, None)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        log.info("group %s: %d partitions of %s are ours", self._group, len(list(assigned)), self._topic)
