"""A small shop whose shoppers do what can be learned, and a trainer over real parts: log, registry, child process."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from agents.catalog_reader import CatalogReader
from agents.checkpoints import Checkpoints
from agents.curves import Curves
from agents.epochs import Epochs
from agents.forget import Forgetting
from agents.gpu import Gpu
from agents.metrics import TrainerMetrics
from agents.paces import Paces
from agents.rhythm import Rhythm
from agents.trainer import Trainer
from agents.tuner import Tuner
from agents.tuning import Tuning
from agents.unlearning import Unlearning
from agents.versions import Versions
from rec.catalog import Item
from rec.events import Event, EventItem, instant
from rec.examples import Example, Lesson, Tick, encode_lesson, example_of, teaches
from rec.model.encoder import TextEncoder
from rec.model.teaching import Shape, Teaching, Training, Tune
from rec.model.weights import encoder_id
from rec.state import Facets, UserState, fold
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory.log import MemoryLog
from rec.store.memory_db import MemoryDatabase
from rec.topics import Topic

TOPIC = "examples"
SECRET = "s" * 32
DIM = 8
ITEMS = [Item(item_id=f"i{n}", title=f"Thing {n}", category=f"c{n // 6}", price=1.0 + n) for n in range(24)]
TEACHING = Teaching(
    Training(shape=Shape(dim=16, layers=1, heads=1, steps=8, dropout=0.1, ids=64, text_dim=DIM), batch=16, new=8)
)
# No ticks of the trainer's own: they are part of a log, and two logs are to be the same.
FAST = Rhythm(fill=60.0, judge=0.05, checkpoint=0.2, late=60.0, pace=60.0, catalog=0.1, gather=0.0)
BEGIN = 1_700_000_000.0


def walks(users: int, events: int, *, seed: int = 0, at: float = BEGIN, scrambled: bool = False) -> list[Example]:
    """Shoppers who go from one thing to the next of its category; `scrambled`: from anywhere to anywhere."""
    rng = np.random.default_rng(seed)
    facets = {item.item_id: Facets(item.category, item.brand) for item in ITEMS}
    states: dict[str, UserState | None] = {}
    places = rng.integers(0, len(ITEMS), users)
    found = []
    for number in range(events):
        who = int(rng.integers(users))
        step = int(rng.integers(len(ITEMS))) if scrambled else places[who] // 6 * 6 + (places[who] + 1) % 6
        places[who] = step
        moment = instant(at + number)
        event = Event(
            event="view_item",
            event_id=f"{seed}-{number}-{scrambled}",
            user_id=f"u{who}",
            items=(EventItem(f"i{step}"),),
            received_ts=moment,
            event_ts=moment,
        )
        before = states.get(f"u{who}")
        states[f"u{who}"], outcome = fold(before, event, facets.get, epoch="e")
        assert teaches(event, outcome)
        found.append(example_of(event, before))
    return found


def read(encoder: str) -> np.ndarray:
    """The texts of ITEMS by an encoder."""
    return TextEncoder(encoder).encode([item.text() for item in ITEMS])


class School:
    """Everything of one trainer but the trainer itself, which comes and goes."""

    def __init__(
        self, folder: Path, encoder: str = "", tune: Tune | None = None, teaching: Teaching = TEACHING
    ) -> None:
        self.folder, self.teaching = folder, teaching
        self.encoder, self.tune = encoder, tune  # a folder with weights, if texts are to be read by them; and tuning
        self.base = "encoder"
        self.adapters = f"{folder}/adapters"
        self.tune_every = 0.2
        self.tuner: Tuner | None = None
        self.epochs: Epochs | None = None
        self.log, self.database, self.exchange = MemoryLog(), MemoryDatabase(), MemoryExchange().connect()
        self.checkpoints = Checkpoints(f"{folder}/checkpoints")
        self.paces = Paces(f"{folder}/paces")
        self.metrics = TrainerMetrics()
        self.gpu = Gpu(teaching)
        self.verdicts: list[str] = []
        self.clock: Callable[[], float] = time.time  # the trainer's

    async def open(self) -> None:
        await self.log.create([Topic(TOPIC, 1, {"cleanup.policy": "compact,delete"})])
        await self.database.put_items(ITEMS)
        rng = np.random.default_rng(1)
        texts = rng.normal(size=(len(ITEMS), DIM))
        if self.encoder:
            self.base = await asyncio.to_thread(encoder_id, self.encoder)
            texts = await asyncio.to_thread(read, self.encoder)
        vectors = {i.digest(): v.astype("<f4").tobytes() for i, v in zip(ITEMS, texts, strict=True)}
        await self.database.put_vectors(self.base, vectors)

    async def say(self, lessons: Sequence[Lesson]) -> None:
        """Into the log."""
        for lesson in lessons:
            key = lesson.event.event_id if isinstance(lesson, Example) else repr(lesson)
            await self.log.publish(TOPIC, key, encode_lesson(lesson))

    @contextlib.asynccontextmanager
    async def trainer(self, rhythm: Rhythm = FAST) -> AsyncIterator[Trainer]:
        """A trainer at work until the block is left, which ends it as SIGTERM does."""
        stop = asyncio.Event()
        teaching = msgspec.structs.replace(self.teaching, encoder=self.base)
        self.gpu = Gpu(teaching)
        async with Curves(self.folder / "curves") as curves, self.gpu as gpu:
            versions = Versions(
                gpu=gpu,
                database=self.database,
                exchange=self.exchange,
                location=f"{self.folder}/versions",
                on_verdict=lambda verdict: self.verdicts.append(verdict.kind),
            )
            self.epochs = Epochs(database=self.database, gpu=gpu, base=self.base, location=self.adapters)
            trainer = Trainer(
                source=self.log,
                topic=TOPIC,
                gpu=gpu,
                versions=versions,
                unlearning=Unlearning(
                    source=self.log, topic=TOPIC, checkpoints=self.checkpoints, database=self.database
                ),
                checkpoints=self.checkpoints,
                paces=self.paces,
                catalog=CatalogReader(self.database, self.base),
                epochs=self.epochs,
                tuning=self._tuning(gpu, self.epochs),
                forgetting=Forgetting(
                    secret=SECRET,
                    database=self.database,
                    exchange=self.exchange,
                    to=self.log,
                    behavior_topic="behavior",
                    requests_topic="requests",
                ),
                metrics=self.metrics,
                curves=curves,
                config={"seed": 0},
                rhythm=rhythm,
                clock=self.clock,
            )
            running = asyncio.create_task(trainer.run(stop))
            try:
                yield trainer
            finally:
                stop.set()
                await running

    def _tuning(self, gpu: Gpu, epochs: Epochs) -> Tuning | None:
        if self.tune is None:
            return None
        self.tuner = Tuner(self.encoder, self.adapters)
        return Tuning(
            database=self.database,
            gpu=gpu,
            tuner=self.tuner,
            epochs=epochs,
            checkpoints=self.checkpoints,
            how=self.tune,
            every_s=self.tune_every,
            metrics=self.metrics,
        )

    async def learn(self, lessons: Sequence[Lesson]) -> str:
        """Teach a trainer all of it; the digest of the checkpoint it leaves."""
        await self.say([*lessons, Tick()])
        async with self.trainer() as trainer:
            await self.read(trainer)
        return await self.digest()

    async def read(self, trainer: Trainer) -> None:
        """Until the trainer has read all there is, and nothing waits for its batch to fill."""
        await until(lambda: trainer.taken.offset >= self.log_end and not trainer.taken.waiting)

    @property
    def log_end(self) -> int:
        return self.log.partitions(TOPIC)[0].end

    async def digest(self) -> str:
        """Of the newest checkpoint: all of the lineage, to the bit."""
        return str((await self.checkpoints.metas())[0][1]["digest"])


async def until(there: Callable[[], bool], within_s: float = 60.0) -> None:
    async with asyncio.timeout(within_s):
        while not there():
            await asyncio.sleep(0.01)
