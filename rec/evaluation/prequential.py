"""stream → **test, then learn** → ranks. Prequential evaluation (Dawid 1984), through the code that
serves.

Each event is first a test: where on the list that this shopper would have got a moment before are the items they
turned to? Then it is a lesson. The first share of the stream is lesson only. Candidates are all items seen so far; an
item nobody has seen before is a miss. The state always knows the past; `lag_s` holds back what is learned from it.

Events are taken in small blocks, as a worker takes them: the network reads the block's histories in one go, each as
of its own event, by its weights of before the block; counters and gate learn after every event.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from rec.candidates import anchors_of
from rec.catalog import Catalog, Floats, Item
from rec.counters import Counters
from rec.errors import BadInput
from rec.evaluation.baselines import NAMES, ranks_of
from rec.evaluation.metrics import MISS, rank_of
from rec.events import Event
from rec.gate import GateLearner
from rec.lessons import is_target, judgement, place_of
from rec.policy.filters import ListRules
from rec.recommend import Judged, World
from rec.state import FoldRules, UserState, fold
from rec.value import Heard, SequenceModel, WithHeads, Worth

BLOCK = 32
NEVER = float("inf")


class Network(SequenceModel, WithHeads, Protocol):
    """A network that learns as it goes."""

    def know(self, items: Sequence[Item], vectors: Mapping[str, Floats]) -> None:
        """Items that have come in, with the vectors of their texts."""
        ...

    def learn(self, lessons: Sequence[tuple[UserState | None, Event]]) -> None:
        """Learn from events, each with the state before it."""
        ...


def warm_events(events: Sequence[Event], share: float) -> int:
    """How many of the first events are the warm-up: those that hold `share` of all items, an order as a whole.

    Raises BadInput for a share that is none: nan would sort behind everything and make all of it the warm-up.
    """
    if not 0 <= share < 1:
        raise BadInput(f"{share} is no share for a warm-up. Give a number from 0 to below 1.", field="--warmup")
    sizes = np.cumsum([max(1, len(event.items)) for event in events])
    return int(np.searchsorted(sizes, share * sizes[-1], side="right")) if len(events) else 0


class Rules(NamedTuple):
    """How the test is done."""

    warmup: float = 0.2  # share of the stream, counted in items, that is only learned from
    seen_excluded: bool = False
    every: int = 1  # score every so many-th event; all are learned from
    lag_s: float = 0.0  # what happened is learned this much later
    frozen: bool = False  # nothing is learned after the warm-up
    half_life_s: float = 2 * 86_400
    history: int = 200  # actions kept of a shopper: REC_HISTORY
    worth: Worth | None = None  # what the order is to be worth, by the network's heads; None: only what is likely


def to_be_scored(events: Sequence[Event], rules: Rules) -> int:
    """How many of the events will be scored, before a run."""
    warm = warm_events(events, rules.warmup)
    first = -(-warm // rules.every) * rules.every
    return sum(map(is_target, events[first :: rules.every]))


class Target(NamedTuple):
    """One target: its rank by the model and by each baseline, and what it belongs to."""

    rank: float
    lines: Mapping[str, float]
    subject: str
    at: float
    known: int  # different items in the shopper's history
    support: int  # events of the item before; 0: never seen
    repeat: bool  # the item was in the history


class _Lesson(NamedTuple):
    """What an event teaches, and from when on."""

    due: float
    event: Event
    before: UserState | None
    features: Floats | None  # [m, F] of the candidates it was judged among; None: the gate learns nothing
    bucket: int
    targets: list[int]


class Prequential:
    """One pass over a stream. `vectors` are of the items' texts, where there are any."""

    def __init__(
        self,
        items: Mapping[str, Item],
        rules: Rules,
        *,
        network: Network | None = None,
        vectors: Mapping[str, Floats] | None = None,
        gate: GateLearner | None = None,
        lines: bool = True,
    ) -> None:
        self._items, self._rules, self._network, self._lines = items, rules, network, lines
        self._vectors = vectors or {}
        self.gate = gate or GateLearner()
        self._states: dict[str, UserState] = {}
        self._support: Counter[str] = Counter()
        lists = ListRules(seen_excluded=rules.seen_excluded, purchase_block_s=0.0)
        folding = FoldRules(max_late_s=NEVER, history=rules.history)
        self._world = World(Catalog(), Counters(rules.half_life_s), folding, lists, worth=rules.worth)
        self._lessons: deque[_Lesson] = deque()

    def run(self, events: Sequence[Event], progress: Callable[[int], None] = lambda _: None) -> Iterator[Target]:
        """Every target of the scored part, in order."""
        warm = warm_events(events, self._rules.warmup)
        for start in range(0, len(events), BLOCK):
            block = events[start : start + BLOCK]
            before = [self._fold(event) for event in block]
            taught: list[_Lesson] = []
            for at, (event, state, said) in enumerate(zip(block, before, self._ahead(block, before), strict=True)):
                taught += self._teach(event.at)
                number = start + at
                closed = self._rules.frozen and number >= warm
                scored = number >= warm and number % self._rules.every == 0
                yield from self._event(event, state, said, scored=scored, closed=closed)
            if self._network is not None and taught:
                self._network.learn([(lesson.before, lesson.event) for lesson in taught])
            progress(start + len(block))

    def _fold(self, event: Event) -> UserState | None:
        """The state before the event; the one after it is kept."""
        before = self._states.get(event.subject)
        after, _ = fold(before, event, self._world.catalog.facets, epoch="e", rules=self._world.rules)
        if after is not None:
            self._states[event.subject] = after
        return before

    def _ahead(self, block: Sequence[Event], before: Sequence[UserState | None]) -> Sequence[Heard | None]:
        view = self._world.catalog.view()
        if self._network is None or not view.size:
            return [None] * len(block)
        return self._network.hear(view, before, [event.at for event in block])

    def _teach(self, now: float) -> list[_Lesson]:
        """All that is due: counters and gate learn it here, the network at the end of the block."""
        taught = []
        while self._lessons and self._lessons[0].due <= now:
            lesson = self._lessons.popleft()
            if lesson.features is not None:
                self.gate.learn(lesson.features, lesson.bucket, lesson.targets)
            self._world.counters.learn(lesson.event)
            taught.append(lesson)
        return taught

    def _event(
        self, event: Event, state: UserState | None, said: Heard | None, *, scored: bool, closed: bool
    ) -> Iterator[Target]:
        features, bucket, places = None, 0, list[int]()
        if is_target(event):
            found = None
            if scored or not closed:
                found = judgement(event, state, self._world, self.gate.gate(), said)
            if found is not None:
                features, bucket, places = found.features, found.bucket, found.places
                if scored:
                    yield from (self._tested(item.item_id, event, state, found.judged) for item in event.items)
            elif scored:
                yield from (self._missed(item.item_id, event, state) for item in event.items)
        self._take_in(event)
        if not closed:
            self._lessons.append(
                _Lesson(event.at + self._rules.lag_s, event, state, features if places else None, bucket, places)
            )

    def _tested(self, item_id: str, event: Event, state: UserState | None, judged: Judged) -> Target:
        row = self._world.catalog.view().row(item_id)
        if row is None:
            return self._missed(item_id, event, state)
        place = place_of(judged, row)
        known = {anchor.item_id for anchor in judged.plan.own}
        lines = ranks_of(judged, row) if self._lines else {}
        return Target(
            MISS if place is None else rank_of(judged.scores, place),
            lines,
            event.subject,
            event.at,
            len(known),
            self._support[item_id],
            item_id in known,
        )

    def _missed(self, item_id: str, event: Event, state: UserState | None) -> Target:
        known = {anchor.item_id for anchor in anchors_of(state)} if state is not None else set()
        lines = dict.fromkeys(NAMES, MISS) if self._lines else {}
        support = self._support[item_id]
        return Target(MISS, lines, event.subject, event.at, len(known), support, item_id in known)

    def _take_in(self, event: Event) -> None:
        """The items of the event are known from now on, with text and price: to the candidates, and to the network."""
        new = {i.item_id: self._items[i.item_id] for i in event.items if i.item_id not in self._world.catalog}
        if new:
            vectors = {i: self._vectors[i] for i in new if i in self._vectors}
            self._world.catalog.upsert(new.values())
            self._world.catalog.set_vectors(vectors)
            if self._network is not None:  # the catalog is no lesson: whoever learns late or nothing sees it, too
                self._network.know(list(new.values()), vectors)
        self._support.update(item.item_id for item in event.items)
