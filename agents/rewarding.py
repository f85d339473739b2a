"""topic `feedback`, every partition → **rewards** → `Strategies.bandit`. Every worker reads all of it, so all believe
alike, however the partitions of the user table move.

The belief carries the offsets it has learned, and both are saved in one file: a restart goes on where the file ends.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from random import Random

import msgspec

from agents.strategies import Strategies
from rec.config import Settings
from rec.errors import BadInput, ModelError
from rec.feedback import decode_example
from rec.files import write_atomically
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.ports import Database, Exchange, Log, Record
from rec.topics import FEEDBACK

log = logging.getLogger(__name__)

SLICE_S = 0.005  # learning yields to the event loop after this long


class Rewarding:
    """Keeps the belief up with the log, and the snapshot with the belief."""

    def __init__(
        self, *, rewards: Rewards, strategies: Strategies, path: Path, source: Log, topic: str, snapshot_s: float
    ) -> None:
        self.rewards, self._strategies, self._path = rewards, strategies, path
        self._source, self._topic, self._snapshot_s = source, topic, snapshot_s
        self._dirty = False
        strategies.bandit = rewards.bandit

    async def run(self) -> None:
        """Learn for ever."""
        async for records in self._source.tail(self._topic, self.rewards.offsets):
            began = time.perf_counter()
            for record in records:
                self._learn(record)
                if time.perf_counter() - began > SLICE_S:
                    await asyncio.sleep(0)
                    began = time.perf_counter()
            self._strategies.bandit = self.rewards.bandit
            self._dirty = True

    def _learn(self, record: Record) -> None:
        self.rewards.offsets[record.partition] = record.offset + 1
        if record.value is None:  # marked as deleted; what was counted of it names nobody
            return
        try:
            self.rewards.learn(decode_example(record.value))
        except (msgspec.MsgspecError, BadInput) as error:
            log.warning("%s[%d]@%d is no feedback: %s", record.topic, record.partition, record.offset, error)

    async def save_for_ever(self) -> None:
        """A snapshot every `snapshot_s`, if there is something new."""
        while True:
            await asyncio.sleep(self._snapshot_s)
            await self.save()

    async def save(self) -> None:
        """Write the snapshot, if there is something new."""
        if self._dirty:
            self._dirty = False
            await asyncio.to_thread(write_atomically, self._path, self.rewards.to_bytes())


def choosing(settings: Settings, to: Log, exchange: Exchange, database: Database) -> tuple[Strategies, Rewarding]:
    """What chooses the strategy of each list, and what it learns from. Reads the snapshot: not on the event loop."""
    rules, path = BanditRules.from_settings(settings), settings.rewards_path
    strategies = Strategies(database=database, exchange=exchange, rules=rules, rng=Random())
    rewarding = Rewarding(
        rewards=load_rewards(path, rules),
        strategies=strategies,
        path=path,
        source=to,
        topic=settings.topic(FEEDBACK),
        snapshot_s=settings.counters_snapshot_s,
    )
    return strategies, rewarding


def load_rewards(path: Path, rules: BanditRules) -> Rewards:
    """The belief of the last snapshot, or a new one; a snapshot that cannot be read is left aside, and said so."""
    try:
        return Rewards.from_bytes(path.read_bytes(), rules)
    except FileNotFoundError:
        log.info("no rewards yet; they are learned from the beginning of the log")
    except ModelError as error:
        log.warning("%s cannot be used (%s); learning from the beginning of the log", path, error.message)
    return Rewards(rules)
