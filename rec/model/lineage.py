"""records of `examples` → **lineage** → versions. Everything that learns, as one value with one position in the log.

    counters    what all shoppers together teach              rec.counters
    gate        how much each of those counts weighs          rec.gate
    network     what a history says of what comes next        rec.model.learner
    texts       of items, as the encoder of one epoch reads   rec.model.texts

A batch is first a test: the candidate (this lineage) and every contender (versions that serve or served) rank the same
candidates, and only then does anything learn from it. What the lineage is follows from the records it was given, in
their order, from the catalog, and from `Teaching`; nothing else. So a checkpoint, which holds the position, and a
replay from there give the same weights to the bit, on a CPU.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
import numpy as np

from rec.catalog import Catalog, Floats, Item
from rec.contest import CANDIDATE, UNTAUGHT, Round
from rec.counters import Counters
from rec.errors import ModelError
from rec.evaluation.metrics import rank_of
from rec.examples import Epoch, Example, Gone, Pace, Rewarded, Taken, Tick, decode_lesson, is_learned
from rec.features import FEATURES, with_network
from rec.gate import Gate, GateLearner, softmax, weigh
from rec.kinds import AD_KIND
from rec.lessons import Judgement, is_target, judgement
from rec.model.device import Hardware
from rec.model.learner import Learner
from rec.model.served import Served, brain_of, epoch_of, packed
from rec.model.teaching import Teaching
from rec.model.texts import Texts
from rec.policy.filters import ListRules
from rec.recent import Recent
from rec.recommend import World
from rec.state import UserState

LAYOUT = 5
REMEMBERED = 100_000  # event_ids: an example that a restarted worker sends again is learned once
SMALLEST = 1e-6  # the probability given to what was no candidate


class Lineage:
    """One thread."""

    def __init__(self, teaching: Teaching, hardware: Hardware = Hardware()) -> None:
        self.teaching = teaching
        self.offset, self.learned, self.learned_through, self.share = 0, 0, 0.0, 1.0
        self.heard_through = 0.0  # of all that is in the state: what waits, what was counted alone, what lists earned
        self.encoder = teaching.encoder
        self._learner = Learner(teaching.training, hardware)
        self._gate = GateLearner()
        self._world = World(
            Catalog(teaching.encoder),
            Counters(teaching.half_life_s, consent_default=teaching.consent_default),
            lists=ListRules(seen_excluded=False, purchase_block_s=0.0),
        )
        self._waiting: list[tuple[Example, bool]] = []  # and whether it is learned; the first one always is
        self._known: Recent[int, bool] = Recent(REMEMBERED)
        self._order: dict[str, int] = {}
        self._texts: dict[str, Texts] = {}  # of tuned encoders; the base's are in the catalog
        self._contenders: dict[str, tuple[Gate, Served | None]] = {UNTAUGHT: (Gate.prior(), None)}

    # ------------------------------------------------------------------ the catalog
    def know(self, items: Sequence[Item], vectors: Mapping[str, Floats], deleted: Sequence[str] = ()) -> list[str]:
        """What the catalog says now of some items. After a restart they take the rows that they had before.

        Which of the deleted ones the network still knows, until a `Gone` is among the records.
        """
        last = len(self._order)
        items = [item for item in items if item.kind != AD_KIND]  # what is paid for is no taste
        items = sorted(items, key=lambda item: self._order.get(item.item_id, last))
        self._world.catalog.delete(deleted)
        self._world.catalog.upsert(items)
        self._world.catalog.set_vectors(vectors)
        self._learner.know(items, vectors if self.encoder == self.teaching.encoder else {})
        return self._learner.not_sold(deleted)

    def tell(self, encoder: str, vectors: Mapping[str, Floats], deleted: Iterable[str] = ()) -> None:
        """Texts of items as a tuned encoder reads them."""
        texts = self._texts_of(encoder)
        texts.change(vectors, deleted)
        if encoder == self.encoder:
            self._learner.vocabulary.put_texts({item_id: texts.vectors[item_id] for item_id in vectors})

    def untell(self, encoder: str) -> None:
        """Nobody reads this epoch any more."""
        self._texts.pop(encoder, None)

    def _texts_of(self, encoder: str) -> Texts:
        if encoder == self.teaching.encoder:
            return Texts(encoder)  # reads the catalog's
        return self._texts.setdefault(encoder, Texts(encoder))

    def _enter(self, encoder: str) -> None:
        """From here on the network reads this epoch's texts. Its weights stay: the anchor has kept the spaces close."""
        if encoder == self.encoder:
            return
        self.encoder = encoder
        vocabulary, view = self._learner.vocabulary, self._world.catalog.view()
        vocabulary.forget_texts()
        if encoder != self.teaching.encoder:
            vocabulary.put_texts(self._texts_of(encoder).vectors)
        elif self.teaching.training.shape.text_dim == view.vectors.shape[1]:
            rows = np.flatnonzero(view.known & view.has_vector).tolist()
            vocabulary.put_texts({view.ids[row]: view.vectors[row] for row in rows})

    @property
    def traffic(self) -> dict[str, float]:
        """How much was done with each item, decayed; in units of its own."""
        tables = self._world.counters.tables
        return dict(zip(tables.ids, tables.popularity[: len(tables)].tolist(), strict=True))

    # ------------------------------------------------------------------ learning
    def take(self, records: Sequence[bytes], end: int) -> Taken:
        """Records in order, and the offset behind them (and behind what was left out of them).

        One that is no lesson is passed over; one that is known already counts once.
        """
        rounds: list[Round] = []
        for raw in records:
            try:
                lesson = decode_lesson(raw)
            except msgspec.MsgspecError:
                continue
            if isinstance(lesson, Example):
                self._gather(lesson)
            elif isinstance(lesson, Pace):
                self.share = lesson.share
            elif isinstance(lesson, Rewarded):
                self.heard_through = max(self.heard_through, lesson.at)
                self._learner.reward(lesson)
            full = self._waits() >= self.teaching.training.new
            if self._waiting and (full or isinstance(lesson, Tick | Epoch | Gone)):
                rounds.append(self._batch())
            if isinstance(lesson, Gone):
                self._learner.leave(lesson.item_ids)
            if isinstance(lesson, Epoch):
                self._enter(lesson.encoder)
        self.offset = end
        return self.told(rounds)

    def told(self, rounds: list[Round]) -> Taken:
        """How things stand."""
        learner, waiting = self._learner, self._waits()
        served = [network.texts.encoder for _, network in self._contenders.values() if network is not None]
        epochs = tuple(sorted({self.encoder, *served} - {self.teaching.encoder}))
        return Taken(
            offset=self.offset,
            learned_through=self.learned_through,
            learned=self.learned,
            steps=learner.steps,
            loss=learner.loss,
            waiting=waiting,
            share=self.share,
            rounds=rounds,
            encoder=self.encoder,
            epochs=epochs,
            heard_through=self.heard_through,
            skipped=learner.skipped,
        )

    def _gather(self, example: Example) -> None:
        event = example.event
        mark = int.from_bytes(blake2b(event.event_id.encode(), digest_size=8).digest(), "big")
        if mark in self._known:
            return
        self._known.put(mark, True)
        self.heard_through = max(self.heard_through, event.at)
        if (learned := is_learned(event.event_id, self.share)) or self._waiting:
            self._waiting.append((example, learned))
        else:
            self._world.counters.learn(event)

    def _waits(self) -> int:
        """Examples that wait to be learned."""
        return sum(learned for _, learned in self._waiting)

    def _batch(self) -> Round:
        """Test, then learn. What is left out is counted in its turn, or it would be in the test of what came before."""
        waiting, self._waiting = self._waiting, []
        batch = [example for example, learned in waiting if learned]
        found = self._judged(batch)
        scored = self._scored(batch, found)
        judged = iter(found)
        for example, learned in waiting:
            self._world.counters.learn(example.event)
            if learned and (seen := next(judged)) is not None and seen.places:
                self._gate.learn(seen.features, seen.bucket, seen.places)
        self._learner.learn([(example.state, example.event) for example in batch])
        self.learned += len(batch)
        self.learned_through = max(self.learned_through, *(example.event.at for example in batch))
        return scored

    def _judged(self, batch: Sequence[Example]) -> list[Judgement | None]:
        """None for what nobody wanted, as `not_interested`: that is the network's to learn, and no list's to hold."""
        states, moments = _read(batch)
        view = self._world.catalog.view()
        said = self._learner.hear(view, states, moments) if view.size else [None] * len(batch)
        gate = self._gate.gate()
        return [
            judgement(e.event, e.state, self._world, gate, says) if is_target(e.event) else None
            for e, says in zip(batch, said, strict=True)
        ]

    def _scored(self, batch: Sequence[Example], found: Sequence[Judgement | None]) -> Round:
        """The round: -log P and reciprocal rank of what was turned to, by the candidate and by each contender."""
        asked = [(at, seen) for at, seen in enumerate(found) if seen is not None]
        earned = Round(len(asked), {CANDIDATE: 0.0}, {CANDIDATE: 0.0}, {CANDIDATE: 0.0})
        for _, seen in asked:
            _add(earned, CANDIDATE, seen, seen.judged.scores)
        states, moments = _read(batch)
        for name, (gate, served) in self._contenders.items():
            view = self._world.catalog.view()
            said = served.log_probabilities(view, states, moments) if served else [None] * len(batch)
            earned.loss[name] = earned.hits[name] = earned.mrr[name] = 0.0
            for at, seen in asked:
                features = with_network(seen.features, seen.judged.pool.rows, said[at])
                _add(earned, name, seen, softmax(weigh(features, gate, seen.bucket).logits))
        return earned

    # ------------------------------------------------------------------ contenders and versions
    def contend(self, name: str, model: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """A version that is scored beside the candidate from here on."""
        self._contenders[name] = brain_of(name, model, meta, self._texts_of(epoch_of(meta)))

    @property
    def contenders(self) -> frozenset[str]:
        return frozenset(self._contenders)

    def only(self, names: Iterable[str]) -> None:
        """Drop the contenders that are not named."""
        kept = {UNTAUGHT, *names}
        self._contenders = {name: found for name, found in self._contenders.items() if name in kept}

    def version(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """What serves, as of now: arrays by name, and JSON."""
        arrays, meta = packed(self._learner.network, self._learner.vocabulary)
        arrays = {f"network.{name}": array for name, array in arrays.items()}
        arrays["gate"] = np.array(self._gate.gate().weights)
        return arrays, {
            **meta,
            "encoder": self.encoder,
            "features": list(FEATURES),
            "learned_through": self.learned_through,
            "offset": self.offset,
            "learned": self.learned,
        }

    # ------------------------------------------------------------------ checkpoints
    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All of it, with the position in the log: arrays by name, and JSON."""
        arrays, learner = self._learner.state()
        arrays |= {f"gate.{name}": array for name, array in self._gate.state().items()}
        arrays["counters"] = np.frombuffer(self._world.counters.to_bytes(), np.uint8)
        arrays["waiting"] = np.frombuffer(msgspec.msgpack.encode([example for example, _ in self._waiting]), np.uint8)
        arrays["waiting.learned"] = np.array([learned for _, learned in self._waiting], np.uint8)
        for name, marks in zip(("old", "young"), self._known.generations, strict=True):
            arrays[f"known.{name}"] = np.array(list(marks), np.uint64)
        view = self._world.catalog.view()
        return arrays, {
            "layout": LAYOUT,
            "teaching": msgspec.to_builtins(self.teaching),
            "features": list(FEATURES),
            "offset": self.offset,
            "learned": self.learned,
            "learned_through": self.learned_through,
            "heard_through": self.heard_through,
            "share": self.share,
            "encoder": self.encoder,
            "learner": learner,
            "order": list(view.ids[: view.size]),
        }

    @classmethod
    def resumed(
        cls,
        teaching: Teaching,
        arrays: Mapping[str, np.ndarray],
        meta: Mapping[str, Any],
        hardware: Hardware = Hardware(),
    ) -> Lineage:
        """The lineage as `state` left it. Raises ModelError if it was taught in another way."""
        if _teaching_of(then := meta.get("teaching")) != teaching or meta.get("layout") != LAYOUT:
            raise ModelError(f"this checkpoint was taught otherwise ({then}); a new lineage has to begin")
        if list(meta["features"]) != list(FEATURES):
            raise ModelError("this checkpoint's gate has other features; a new lineage has to begin")
        self = cls(teaching, hardware)
        self.encoder = str(meta["encoder"])
        self._learner.load(arrays, meta["learner"])
        self._gate.load({name: arrays[f"gate.{name}"] for name in self._gate.state()})
        self._world.counters = Counters.from_bytes(
            arrays["counters"].tobytes(), teaching.half_life_s, consent_default=teaching.consent_default
        )
        waiting = msgspec.msgpack.decode(arrays["waiting"].tobytes(), type=list[Example])
        learned = arrays.get("waiting.learned", np.ones(len(waiting), np.uint8))  # older ones had no others
        self._waiting = list(zip(waiting, learned.astype(bool).tolist(), strict=True))
        self._known.restore([dict.fromkeys(arrays[f"known.{name}"].tolist(), True) for name in ("old", "young")])
        self.offset, self.learned, self.share = int(meta["offset"]), int(meta["learned"]), float(meta["share"])
        self.learned_through = float(meta["learned_through"])
        self.heard_through = float(meta.get("heard_through", self.learned_through))  # older ones did not say
        self._order = {item_id: at for at, item_id in enumerate(meta["order"])}
        return self


def _teaching_of(said: object) -> Teaching | None:
    """What an older checkpoint does not say was as it is by default."""
    try:
        return msgspec.convert(said, Teaching)
    except msgspec.ValidationError:
        return None


def _read(batch: Sequence[Example]) -> tuple[list[UserState | None], list[float]]:
    return [example.state for example in batch], [example.event.at for example in batch]


def _add(earned: Round, name: str, seen: Judgement, scores: Floats) -> None:
    """One example, for one contender. What was no candidate is as unlikely as can be, for all alike; so is everything
    for a contender that says no numbers."""
    if not seen.places or not np.isfinite(scores).all():
        earned.loss[name] -= float(np.log(SMALLEST))
        return
    mine = scores[seen.places]
    earned.loss[name] -= float(np.log(np.maximum(mine, SMALLEST)).mean())
    rank = rank_of(scores, seen.places[int(mine.argmax())])
    if rank < 10:
        earned.hits[name] += 1
        earned.mrr[name] += 1 / (1 + rank)
