"""examples → pairs → **tuning** → an epoch. The trainer's slower clock, over a child process of its own.

    every REC_ENCODER_TUNE_S    tune, from the epoch that the lineage is in; what is not better is dropped
    then                        read the items again, most acted-on first; every text once for each epoch
    then                        `pending`: the trainer writes the switch into the log, and reads it there as a record
    after the switch            the items that nobody acts on, and vectors that nobody reads any more go

One thing at a time, in a task beside the trainer's loop. What fails is tried again at the next turn of the clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from agents.catalog_reader import CatalogReader, Changes
from agents.checkpoints import Checkpoints, Place
from agents.epochs import Epochs
from agents.gpu import Gpu
from agents.metrics import TrainerMetrics
from agents.tuner import Tuner
from rec.errors import ModelError, Unavailable
from rec.examples import Example, Taken
from rec.model.teaching import Tune
from rec.pairs import Lessons, Pairs
from rec.ports import Database

log = logging.getLogger(__name__)

ENCODE_BATCH = 32
LOOK_S = 2.0  # items without a vector are looked for this often
RETRY_S = 30.0  # ... and this long after that failed
IDLE_S = 120.0  # the child is kept this long after its last work: a new product is not to wait for it
VERSIONS_LOOKED_AT = 200


class Tuning:
    """`know` and `see` what there is, `turn` the clock; `pending` is the epoch that the lineage is to switch to."""

    def __init__(
        self,
        *,
        database: Database,
        gpu: Gpu,
        tuner: Tuner,
        epochs: Epochs,
        checkpoints: Checkpoints,
        how: Tune,
        every_s: float,
        metrics: TrainerMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database, self._gpu, self._tuner, self._epochs = database, gpu, tuner, epochs
        self._checkpoints, self._how, self._every_s = checkpoints, how, every_s
        self._metrics, self._clock = metrics, clock
        self._pairs = Pairs()
        self._heard_through = 0.0  # of the pairs: where the learner's child had to go back, they are ahead of it
        self._texts: dict[str, str] = {}
        self._readers: dict[str, CatalogReader] = {}
        self._job: asyncio.Task[None] | None = None
        self._due = clock() + every_s
        self._used = self._look = clock()
        self.pending = ""

    # ------------------------------------------------------------------ what there is
    def know(self, changes: Changes) -> None:
        """What the catalog says of items."""
        self._texts |= {item.item_id: item.text() for item in changes.items}
        for item_id in changes.deleted:
            self._texts.pop(item_id, None)

    def see(self, example: Example) -> None:
        """Learned from."""
        self._pairs.see(example)
        self._heard_through = max(self._heard_through, example.event.at)

    async def begin_again(self) -> None:
        """Somebody is to be forgotten: what was gathered or is being made may be of them. A replay gathers anew."""
        await self.stop()
        self._pairs.clear()
        self._heard_through = 0.0
        self.pending = ""

    async def stop(self) -> None:
        """End the child and what it was asked for."""
        job, self._job = self._job, None
        if job is not None:
            job.cancel()
            with contextlib.suppress(asyncio.CancelledError, ModelError, Unavailable):
                await job
        self._readers.clear()
        await self._tuner.close()

    # ------------------------------------------------------------------ the clock
    async def turn(self, taken: Taken, place: Place) -> None:
        """Whatever is due, begun in the background."""
        if self._job is not None:
            if not self._job.done():
                return
            self._finished(self._job)
            self._job = None
        if self.pending and taken.encoder == self.pending:
            log.info("the lineage reads with the encoder %s", self.pending)
            self.pending = ""
            self._begin(self._collect(taken))
        elif self._clock() >= self._look and (missing := self._epochs.incomplete()):
            self._look = self._clock() + LOOK_S
            self._begin(self._embed_all(missing))
        elif not self.pending and self._clock() >= self._due:
            self._due = self._clock() + self._every_s
            self._tune(taken, place)
        elif self._clock() - self._used > IDLE_S:
            await self._tuner.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._used = self._clock()
        self._job = asyncio.create_task(work, name="tuning")

    def _finished(self, job: asyncio.Task[None]) -> None:
        self._used = self._clock()
        try:
            if job.cancelled():  # what it waited for was taken away: the learner's child was started again
                raise Unavailable("the trainer's child process was started again")
            job.result()
        except (ModelError, Unavailable) as error:
            log.warning("the encoder was not tuned or its texts not read, later again: %s", error.message)
            self._metrics.tunings.labels(kind="failed").inc()
            self._readers.clear()
            self._look = self._clock() + RETRY_S

    def _tune(self, taken: Taken, place: Place) -> None:
        """Begin a visit, if there is enough to learn from.

        Here and not in the task, which begins when more has been seen: what is learned from and what the adapter says
        of it belong together, or it would pass for one that is older than somebody who is in it.
        """
        lessons = self._pairs.lessons(self._texts, self._how.held_most)
        if len(lessons.train) < self._how.least or len(lessons.held) < self._how.held:
            log.info("the encoder is not tuned yet: %d pairs and %d held out", len(lessons.train), len(lessons.held))
            return
        more = {
            "log": place.log,
            "offset": taken.offset,
            "learned_through": taken.learned_through,
            "heard_through": max(taken.heard_through, self._heard_through),
            "saved": self._clock(),
        }
        self._begin(self._visit(taken.encoder, lessons, more))

    async def _visit(self, last: str, lessons: Lessons, more: dict[str, Any]) -> None:
        visit = await self._tuner.tune(last, lessons, self._how, more)
        said = "held-out loss {loss:.4f} after {last_loss:.4f} (± {error:.4f}), vectors moved by {moved:.4f}".format(
            **visit.metrics
        )
        if not visit.encoder:
            log.info("the adapter was dropped, it is no better: %s", said)
            self._metrics.tunings.labels(kind="dropped").inc()
            return
        log.info("a new epoch %s: %s", visit.encoder, said)
        self._metrics.tunings.labels(kind="kept").inc()
        await self._embed(visit.encoder, only_traffic=True)
        self.pending = visit.encoder

    # ------------------------------------------------------------------ vectors
    async def embed_now(self, encoder: str) -> None:
        """All texts of an epoch, while the caller waits. Raises ModelError and Unavailable."""
        await self.stop()
        await self._embed(encoder)

    async def _embed_all(self, encoders: Iterable[str]) -> None:
        for encoder in encoders:
            if await self._epochs.is_usable(encoder):
                await self._embed(encoder)

    async def _embed(self, encoder: str, *, only_traffic: bool = False) -> None:
        """The texts that have no vector of this epoch yet, most acted-on first."""
        reader = self._readers.setdefault(encoder, CatalogReader(self._database, encoder))
        await reader.look()
        traffic = await self._gpu.traffic()
        waiting: dict[str, list[str]] = {}  # text → items; by its digest a vector is kept
        for item in sorted(reader.without_vector.values(), key=lambda item: -traffic.get(item.item_id, 0.0)):
            if not only_traffic or traffic.get(item.item_id, 0.0) > 0:
                waiting.setdefault(item.text(), []).append(item.item_id)
        digests = {item.text(): item.digest() for item in reader.without_vector.values()}
        texts = list(waiting)
        for start in range(0, len(texts), ENCODE_BATCH):
            batch = texts[start : start + ENCODE_BATCH]
            vectors = await self._tuner.encode(encoder, batch)
            await self._database.put_vectors(
                encoder, {digests[text]: vector for text, vector in zip(batch, vectors, strict=True)}
            )
            reader.has_vectors(item_id for text in batch for item_id in waiting[text])
            self._metrics.encoded.inc(len(batch))
        if texts:
            log.info("read %d texts with the encoder %s", len(texts), encoder)

    async def _collect(self, taken: Taken) -> None:
        """Remove the vectors of epochs that no version and no checkpoint names any more. Adapters stay: replays."""
        read = {taken.encoder, *taken.epochs, *await self._named()}
        gone = [encoder for encoder in await self._epochs.metas() if encoder not in read]
        await self._epochs.forget_vectors(gone)
        for encoder in gone:
            self._readers.pop(encoder, None)

    async def _named(self) -> set[str]:
        checkpoints = {str(meta.get("encoder", "")) for _, meta in await self._checkpoints.metas()}
        versions = await self._database.versions(VERSIONS_LOOKED_AT)
        return checkpoints | {str(each.config.get("encoder", "")) for each in versions if each.url is not None}
