"""topic `examples` → **trainer** → versions. An asyncio agent with a reader of its own, and a child that has the torch.

    records ──▶ (whoever is erased left out) ──▶ child: test, then learn ──▶ scores ──▶ promote, hold or roll back
                                                   └──▶ checkpoint, with the offset inside

The offsets it has learned lie inside the checkpoint, so each example changes the weights exactly once, whoever is
killed when. What `agents.unlearning` is for happens here by going back: an older checkpoint, and the log from there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable

from agents.catalog_reader import CatalogReader
from agents.checkpoints import Checkpoints, Place, fingerprint
from agents.curves import Curves
from agents.departures import Departures
from agents.epochs import Epochs
from agents.forget import Forgetting
from agents.gpu import Gpu, GpuDied
from agents.metrics import TrainerMetrics
from agents.paces import Paces
from agents.reading import lesson_of, reading
from agents.rhythm import Due, Rhythm
from agents.tuning import Tuning
from agents.unlearning import Base, Unlearning
from agents.versions import Stand, Versions
from rec.errors import ModelError, Unavailable
from rec.examples import Epoch, Erased, Example, Lesson, Rewarded, Taken, Tick, encode_lesson
from rec.pace import next_share
from rec.ports import Log, Record

log = logging.getLogger(__name__)

BATCH = 256  # records handed over at once: the child answers within a second or so


class Rewind(Exception):  # noqa: N818  not an error: the way back to where a rebuild begins
    """The lineage begins again further back."""

    def __init__(self, base: Base) -> None:
        self.base = base


class Trainer:
    """One lineage, from its checkpoint on."""

    def __init__(
        self,
        *,
        source: Log,
        topic: str,
        gpu: Gpu,
        versions: Versions,
        unlearning: Unlearning,
        checkpoints: Checkpoints,
        paces: Paces,
        catalog: CatalogReader,
        epochs: Epochs,
        tuning: Tuning | None,
        forgetting: Forgetting,
        metrics: TrainerMetrics,
        curves: Curves,
        config: dict[str, object],
        rhythm: Rhythm,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._topic, self._gpu, self._versions = source, topic, gpu, versions
        self._unlearning, self._checkpoints, self._catalog = unlearning, checkpoints, catalog
        self._paces = paces
        self._epochs, self._tuning = epochs, tuning
        self._forgetting, self._metrics, self._curves = forgetting, metrics, curves
        self._config, self._rhythm, self._clock = config, rhythm, clock
        self._place = Place.new()
        self._taken = Taken.nothing()
        self._due = Due(clock)
        self._saved = -1
        self._to_erase: list[Erased] = []
        self._rebuilding: tuple[list[Erased], int] | None = None  # who is being left out, and up to where it goes
        self._lag = 0.0
        self._looked: tuple[float, float] | None = None  # when the pace was last thought about, and how far behind
        self._departures = Departures(self._publish)
        self._ahead: set[str] = set()  # epochs that the records at hand switch to

    @property
    def taken(self) -> Taken:
        """What the child said last."""
        return self._taken

    async def run(self, stop: asyncio.Event) -> None:
        """Train until `stop`; then one more checkpoint."""
        await self._forgetting.load()
        try:
            await self._run(stop)
        finally:
            if self._tuning is not None:
                await self._tuning.stop()

    async def _run(self, stop: asyncio.Event) -> None:
        base: Base | None = None
        while not stop.is_set():
            try:
                await self._begin(base)
                base = None
                await self._follow(stop)
                await self._save()
            except Rewind as back:
                base = back.base
            except GpuDied as error:
                log.warning("%s; going on from the last checkpoint", error.message)
                self._metrics.restarts.inc()
                await self._gpu.restart()

    # ------------------------------------------------------------------ where to begin
    async def _begin(self, base: Base | None) -> None:
        """Load a checkpoint and the catalog, and let the versions that serve be scored."""
        if base is None:
            learned, learned_through, offset = await self._resume()
        else:
            begun = await self._gpu.resume(self._checkpoints.location, base.checkpoint)
            learned, learned_through, offset = begun.learned, 0.0, base.offset
            self._place = self._place._replace(last="")
        if self._rebuilding is not None:  # the same counts mean other weights now: another name
            self._place = self._place._replace(line=Place.new().line)
        self._taken = Taken.nothing()._replace(offset=offset, learned=learned, learned_through=learned_through)
        self._saved, self._looked = learned, None
        await self._paces.begin(self._place.log)
        self._catalog.begin_again()
        self._epochs.begin_again()
        changes, vectors = await self._catalog.look()
        known = await self._gpu.know(changes.items, vectors, changes.deleted)
        self._departures.begin_again(known)
        if self._tuning is not None:
            self._tuning.know(changes)
        await self._versions.begin(self._place.line)
        told = await self._gpu.told()
        self._taken = self._taken._replace(encoder=told.encoder, epochs=told.epochs, heard_through=told.heard_through)
        await self._epochs.feed(told.epochs)

    async def _resume(self) -> tuple[int, float, int]:
        """The newest checkpoint that can be used, else a new lineage: learned, through when, and the next offset."""
        for name, meta in await self._checkpoints.metas():
            try:
                begun = await self._gpu.resume(self._checkpoints.location, name)
            except ModelError as error:
                log.warning("the checkpoint %s is not used: %s", name, error.message)
                continue
            self._place = await self._checkpoints.place_in(self._source, self._topic, meta)
            offset = begun.offset if self._place.last else 0
            if not self._place.last:  # another log: what the last one still had to say of erasures is not in it
                self._to_erase = await self._unlearning.orphans()
            log.info("going on from %s: %d examples learned, next offset %d", name, begun.learned, offset)
            return begun.learned, float(meta["learned_through"]), offset
        await self._gpu.resume(self._checkpoints.location, None)
        self._place = Place.new()
        return 0, 0.0, 0

    # ------------------------------------------------------------------ learning
    async def _follow(self, stop: asyncio.Event) -> None:
        async with reading(self._source, self._topic, self._taken.offset) as records:
            while not stop.is_set():
                if found := await records.take(BATCH, 0.2):
                    await self._take(found)
                    self._lag = max(0.0, self._clock() - found[-1].timestamp) if len(records) else 0.0
                try:
                    await self._turn()
                except GpuDied:
                    raise
                except Unavailable as error:
                    log.warning("something had to wait: %s", error.message)

    async def _take(self, records: list[Record]) -> None:
        lessons: list[bytes] = []
        changes = deque(self._paces.between(self._taken.offset, records[-1].offset + 1))
        for record in records:
            while changes and changes[0][0] <= record.offset:
                lessons.append(encode_lesson(changes.popleft()[1]))
            lesson = lesson_of(record)
            if isinstance(lesson, Erased):
                if self._rebuilding is not None and record.offset < self._rebuilding[1]:
                    continue  # read before: this is what the rebuild is for
                self._forgetting.note_at(lesson.user_id, lesson.at)
                if not self._to_erase:  # from the first on: each of a steady trickle would put them all off
                    self._due.wait("erase", self._rhythm.gather)
                if lesson not in self._to_erase:  # read again after the child died
                    self._to_erase.append(lesson)
            elif lesson is not None and record.value is not None and await self._is_learned(lesson):
                lessons.append(record.value)
                if self._tuning is not None and isinstance(lesson, Example):
                    self._tuning.see(lesson)
        before = self._taken
        self._taken = await self._gpu.take(lessons, records[-1].offset + 1)
        self._ahead.clear()
        self._place = self._place._replace(last=fingerprint(records[-1]))
        if self._taken.rounds or not self._taken.waiting:
            self._due.drop("fill")
        self._versions.add(self._taken.rounds)
        if skipped := self._taken.skipped - before.skipped:
            log.warning("%d step(s) of the network were not made: loss or gradient was no finite number", skipped)
        self._metrics.took(self._taken, self._taken.learned - before.learned, skipped, self._clock())
        await asyncio.to_thread(self._curves.took, self._taken, self._versions.live, self._clock())

    async def _is_learned(self, lesson: Lesson) -> bool:
        """Not of somebody who is erased, and not an epoch that cannot be entered."""
        match lesson:
            case Example():
                return not self._forgetting.is_late(lesson.event.subject, lesson.event.at)
            case Rewarded():
                return not self._forgetting.is_late(lesson.user_id, lesson.at)
            case Epoch(encoder=encoder):
                return await self._may_enter(encoder)
            case _:
                return True

    async def _turn(self) -> None:
        """What is due beside learning."""
        if self._due.is_due("catalog", self._rhythm.catalog):
            await self._follow_catalog()
        if self._to_erase and self._due.is_due("erase", self._rhythm.gather):
            await self._go_back()
        if self._taken.waiting and self._due.is_due("fill", self._rhythm.fill):
            await self._publish(Tick())
        if self._rebuilding is not None:
            await self._maybe_rebuilt(*self._rebuilding)
            return
        if self._due.is_due("pace", self._rhythm.pace):
            await self._keep_pace()
        await self._turn_encoder()
        if self._due.is_due("judge", self._rhythm.judge):
            await self._versions.judge(self._stand())
        if self._due.is_due("checkpoint", self._rhythm.checkpoint):
            await self._save()

    async def _follow_catalog(self) -> None:
        changes, vectors = await self._catalog.look()
        known: list[str] = []
        if changes.ids or vectors:
            known = await self._gpu.know(changes.items, vectors, changes.deleted)
        await self._departures.follow(known, [item.item_id for item in changes.items])
        if self._tuning is not None:
            self._tuning.know(changes)
        await self._epochs.feed(self._taken.epochs)

    # ------------------------------------------------------------------ epochs of the encoder
    async def _may_enter(self, encoder: str) -> bool:
        """Whether the lineage can follow a switch; then the child has the epoch's texts."""
        if not await self._epochs.is_usable(encoder):
            return False
        if encoder != self._epochs.base:
            self._ahead.add(encoder)
            await self._epochs.feed({*self._taken.epochs, *self._ahead})
            if not self._epochs.has_vectors(encoder) and self._tuning is not None:
                try:
                    await self._tuning.embed_now(encoder)  # a replay through an epoch whose vectors were removed
                except ModelError as error:
                    log.warning("the epoch %s is passed over: %s", encoder, error.message)
                await self._epochs.feed({*self._taken.epochs, *self._ahead})
        return self._epochs.has_vectors(encoder)

    async def _turn_encoder(self) -> None:
        """The slower clock; where it was turned off, the way back to the base encoder, through the log as well."""
        if self._tuning is not None:
            if not self._to_erase:
                await self._tuning.turn(self._taken, self._place)
            wanted = self._tuning.pending
        else:
            wanted = self._epochs.base if self._taken.encoder != self._epochs.base else ""
        if not wanted:
            self._due.drop("epoch")
        elif "epoch" not in self._due or self._due.is_due("epoch", self._rhythm.epoch):
            self._due.wait("epoch", self._rhythm.epoch)
            await self._publish(Epoch(wanted))

    async def _keep_pace(self) -> None:
        now, lag = self._clock(), self._lag
        before, self._looked = self._looked, (now, lag)
        if before is None and lag > self._rhythm.late:
            return  # how it goes, only a second look can tell
        gained = (before[1] - lag) / (now - before[0]) if before is not None and now > before[0] else 0.0
        share = next_share(self._taken.share, lag, self._rhythm.late, gained)
        if share is not None and await self._paces.decide(self._taken.offset, share):
            log.info("%.1f s behind: from here on %.0f %% of the examples are learned from", lag, 100 * share)

    # ------------------------------------------------------------------ erasures
    async def _go_back(self) -> None:
        """Some users are to be gone from the weights: Rewind to where that begins, if they ever were in them.

        Whatever is away meanwhile (Unavailable), they wait in `_to_erase`, and no checkpoint is written: the next turn
        that is due begins this again.
        """
        users = [*(self._rebuilding[0] if self._rebuilding is not None else ()), *self._to_erase]
        base = await self._unlearning.base(users, self._taken.offset, self._place.log)
        if base is None:
            await self._unlearning.close(users, None)
            self._to_erase = []
            return
        log.info("leaving %d erased user(s) out of the model: again from offset %d", len(users), base.offset)
        await self._epochs.withdraw(base.untouched, self._source, self._topic, self._taken.offset)
        if self._tuning is not None:
            await self._tuning.begin_again()
        self._rebuilding, self._to_erase = (users, self._taken.offset), []
        raise Rewind(base)

    async def _maybe_rebuilt(self, users: list[Erased], end: int) -> None:
        """Once the lineage is where it was, it serves, and nothing older ever will."""
        if self._taken.offset < end:
            return
        why, note = f"made again without {len(users)} erased user(s)", "had learned from a user who was erased since"
        if (replaced := await self._versions.replace_all(self._stand(), why, note)) is None:
            return
        name, withdrawn = replaced
        log.info("made again as %s; %d older versions withdrawn", name, withdrawn)
        await self._epochs.remove_withdrawn()
        await self._unlearning.close(users, name)
        self._rebuilding, self._saved = None, -1
        await self._save()

    # ------------------------------------------------------------------ what goes out
    def _stand(self) -> Stand:
        config = {**self._config, "encoder": self._taken.encoder}
        return Stand(self._place.line, self._taken.learned, self._taken.learned_through, config)

    async def _save(self) -> None:
        """A checkpoint, if something was learned since the last one, and nobody waits to be left out."""
        if self._taken.learned == self._saved or self._to_erase or self._rebuilding is not None:
            return
        name = f"{self._place.line}-{self._taken.learned:09d}-{secrets.token_hex(2)}"
        more = {**self._place._asdict(), "saved": self._clock()}
        await self._gpu.checkpoint(self._checkpoints.location, name, more)
        self._saved = self._taken.learned
        kept = await self._checkpoints.thin(self._clock())
        await self._paces.forget(min(int(meta["offset"]) for meta in kept if meta["log"] == self._place.log))

    async def _publish(self, lesson: Lesson) -> bool:
        """Into the log, and from there to ourselves: what is not in the log a replay would not know. Whether it is."""
        key = f"{type(lesson).__name__} {secrets.token_hex(8)}"
        try:
            await self._source.publish(self._topic, key, encode_lesson(lesson))
        except Unavailable as error:
            log.warning("the log is away: %s", error.message)
            return False
        return True
