"""events, feedback → **what is learned of them** → `World.brain`. Who teaches the recommender in a simulation.

Gated      the gate alone learns, event by event, from what the list of the moment before held
Trained    the trainer's own lineage: gate and network learn in batches; each few batches a version of both goes live

A lineage of a simulation reads no texts of the items; what it has of them are their ids, category, brand and price.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from rec.catalog import Item
from rec.counters import Counters
from rec.events import Event
from rec.examples import Lesson, encode_lesson, example_of, teaches
from rec.feedback import FeedbackExample
from rec.gate import GateLearner
from rec.lessons import is_target, judgement
from rec.recommend import Brain, World
from rec.rewarded import rewarded_of
from rec.state import Outcome, UserState, fold

VERSION_EVERY = 128  # examples: what the trainer learns in a few seconds of a busy shop


class Teacher(Protocol):
    """Hears what happens, in its order, and puts what it has learned into `world.brain`."""

    def past(self, event: Event, world: World) -> None:
        """Something that other people did before."""

    def event(self, event: Event, before: UserState | None, outcome: Outcome, world: World) -> None:
        """An event, the state before it, and what the fold made of it."""

    def feedback(self, example: FeedbackExample, world: World) -> None:
        """What a list has earned, when its window is over."""


class Gated:
    """The gate learns of each event by itself."""

    def __init__(self) -> None:
        self._gate = GateLearner()

    def past(self, event: Event, world: World) -> None:
        """Others' past is in the counters alone."""

    def event(self, event: Event, before: UserState | None, outcome: Outcome, world: World) -> None:
        if not is_target(event):
            return
        found = judgement(event, before, world, self._gate.gate(), None)
        if found is not None and found.places:
            self._gate.learn(found.features, found.bucket, found.places)
            world.brain = Brain(self._gate.gate(), learned_through=event.at)

    def feedback(self, example: FeedbackExample, world: World) -> None:
        """A gate does not learn of rewards."""


class Trained:
    """The lineage that a trainer has, in this process. `rewards`: weight of the policy gradient of what lists earn."""

    def __init__(self, items: list[Item], *, rewards: float = 0.0, seed: int = 0) -> None:
        from rec.model.lineage import Lineage
        from rec.model.served import one_thread
        from rec.model.teaching import Shape, Teaching, Training

        one_thread()
        shape = Shape(ids=len(items))
        training = Training(shape=shape, batch=64, new=32, policy=rewards, seed=seed)
        self._lineage = Lineage(Teaching(training, half_life_s=Counters().half_life_s))
        self._lineage.know(items, {})
        self._states: dict[str, UserState] = {}
        self._told = self._live = 0

    def past(self, event: Event, world: World) -> None:
        before = self._states.get(event.subject)
        after, outcome = fold(before, event, world.catalog.facets, epoch="e", rules=world.rules)
        if after is not None:
            self._states[event.subject] = after
        self.event(event, before, outcome, world)

    def event(self, event: Event, before: UserState | None, outcome: Outcome, world: World) -> None:
        if teaches(event, outcome):
            self._tell(example_of(event, before))
            if self._lineage.learned - self._live >= VERSION_EVERY:
                self._publish(world)

    def feedback(self, example: FeedbackExample, world: World) -> None:
        if (lesson := rewarded_of(example)) is not None:
            self._tell(lesson)

    def _tell(self, lesson: Lesson) -> None:
        self._told += 1
        self._lineage.take([encode_lesson(lesson)], self._told)

    def _publish(self, world: World) -> None:
        from rec.model.served import brain_of
        from rec.model.texts import Texts

        arrays, meta = self._lineage.version()
        name, self._live = f"sim-{self._lineage.learned}", self._lineage.learned
        gate, served = brain_of(name, arrays, msgspec.to_builtins(meta), Texts(""))
        world.brain = Brain(gate, served, name, self._lineage.learned_through)
