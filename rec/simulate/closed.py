"""people + the code that serves → **a closed loop**. Lists are made, looked at and learned from, one after the other.

    person due → Ask → player → list → view_item_list, select_item, add_to_cart, purchase → fold, counters, gate → …

The events are those of the wire, folded by `rec.state`, counted by `rec.counters`, joined with their lists by
`rec.feedback` and learned from as a trainer does (rec.simulate.teachers); nothing is told to the recommender that a
shop would not see. Same seed, same run.
Whatever shoppers are shown, they come at the same times and their interests take the same course: strategies are
compared on the same lives.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np

from rec.catalog import Catalog
from rec.counters import Counters
from rec.demo.shoppers import AWAY_S, THINK_S, simulate
from rec.demo.world import demo_catalog
from rec.events import Attribution, Event, EventItem, instant
from rec.feedback import FeedbackExample, JoinRules, Window, joined
from rec.feedback import fold as joining
from rec.lessons import is_target
from rec.recommend import Ask, Brain, World
from rec.served import Making, Packed, pack, served_of
from rec.simulate.market import LOOKS, WORTH, Done, Market, Person
from rec.simulate.players import Player
from rec.simulate.teachers import Gated, Teacher, Trained
from rec.slates import Cause, Slate
from rec.state import UserState, fold

TOP = 10  # places that are to follow a new interest,
FOLLOW = 5  # and so many of them have to
_REQUEST = Cause("request")
_STAY = 0.75  # chance of another list in the same visit
_ON_THEIR_OWN = 0.6  # chance to go to a shelf after a list that nothing was clicked on


class Setting(NamedTuple):
    """The size of a simulation. `events`: lists that are looked at; what shoppers do then comes on top."""

    shoppers: int = 200
    events: int = 5_000
    items: int = 800
    n: int = 20
    past: int = 2_000  # events of other people before: a shop that opens today knows nothing at all
    network: bool = False  # the trainer's network learns too, else the gate alone
    rewards: float = 0.0  # weight of its policy gradient of what lists earn


class Adapted(NamedTuple):
    """One jump: actions of the shopper until half of the top ten followed, or until it could no longer be seen."""

    events: int
    followed: bool


class Run(NamedTuple):
    """What came of one strategy."""

    reward: float
    regret: float
    lists: int
    sent: int  # events of the wire, impressions among them
    jumps: tuple[Adapted, ...]


class Loop:
    """One run of one player."""

    def __init__(self, setting: Setting, player: Player, *, seed: int) -> None:
        self._setting, self._player = setting, player
        self._waiting: deque[tuple[float, FeedbackExample]] = deque()  # lists whose window is not over, oldest first
        items = demo_catalog(seed=7, size=setting.items)
        self._market = Market(items)
        catalog = Catalog()
        catalog.upsert(items)
        self._world = World(catalog, Counters(), brain=Brain.untaught(), worth=WORTH, shelf_s=30.0)
        self._teacher: Teacher = Gated()
        if setting.network:
            self._teacher = Trained(items, rewards=setting.rewards, seed=seed)
        for event in map(_at, islice(simulate(items, 200, seed=seed, now=0.0, prefix="past"), setting.past)):
            self._teacher.past(event, self._world)
            self._world.counters.learn(event)
        self._began = self._world.counters.learned_through
        self._people = [Person(self._market, f"{seed}/{at}") for at in range(setting.shoppers)]
        self._states: dict[int, UserState] = {}
        self._open: dict[int, int] = {}  # person → actions since a jump that the list has not followed yet
        self._clock, self._ways = Random(f"{seed}/clock"), Random(f"{seed}/ways")
        self._rng = Random(f"{seed}/lists")
        self._sent = 0

    def run(self, progress: Callable[[int], None] = lambda _: None) -> Run:
        """All of it; the same seed and setting, the same run."""
        reward = regret = 0.0
        jumps: list[Adapted] = []
        due = [(self._began + self._clock.expovariate(1 / AWAY_S), who) for who in range(self._setting.shoppers)]
        heapq.heapify(due)
        starts = [True] * self._setting.shoppers
        for lists in range(self._setting.events):
            now, who = due[0]
            while self._waiting and self._waiting[0][0] <= now:
                self._teacher.feedback(self._waiting.popleft()[1], self._world)
            person = self._people[who]
            if starts[who] and person.visit():
                jumps += [Adapted(since, False) for since in (self._open.pop(who, None),) if since is not None]
                self._open[who] = 0
            earned, best = self._list(who, now, jumps)
            reward += earned
            regret += best
            stays = self._clock.random() < _STAY
            starts[who] = not stays
            heapq.heapreplace(due, (now + self._clock.expovariate(1 / (THINK_S if stays else AWAY_S)), who))
            progress(lists + 1)
        jumps += [Adapted(since, False) for since in self._open.values()]
        return Run(reward, regret, self._setting.events, self._sent, tuple(jumps))

    def _list(self, who: int, now: float, jumps: list[Adapted]) -> tuple[float, float]:
        """One list, looked at and learned from: (what it earned, what the best one would have earned more)."""
        person, world = self._people[who], self._world
        ask = Ask(f"u{who}", "home", self._setting.n, None, _REQUEST, self._states.get(who))
        listed = self._player.listed(ask, world, now=now, rng=self._rng)
        rows = np.array([self._market.row[item_id] for item_id in listed.item_ids], np.int64)
        if who in self._open and self._follows(rows, person):
            jumps.append(Adapted(self._open.pop(who), True))
        lost = person.best() - person.worth(rows)
        done = person.look(rows)
        earned = sum(one.reward for one in done)
        self._player.earned(ask, listed.strategy, earned, now=now)
        if not done and self._ways.random() < _ON_THEIR_OWN and (found := person.browse()) is not None:
            done = [found]
        slate_id = f"l{self._sent}" if listed.slate is None else listed.slate.slate_id
        events = list(self._told(who, now, rows, done, slate_id))
        if listed.slate is not None:
            self._join(listed.slate, ask.state, events)
        for event in events:
            self._learn(who, event)
        return earned, lost

    def _join(self, slate: Slate, state: UserState | None, events: Sequence[Event]) -> None:
        """The list with what became of it, to be told when its window is over."""
        rules, user_id = JoinRules(), slate.user_id
        window: Window | None = None
        told: list[Packed | Event] = [pack(served_of(Making(slate, state), lambda _: None))]
        for what in (*told, *(event for event in events if event.attribution is not None)):
            window, _ = joining(window, what, user_id=user_id, now=slate.created_at.timestamp(), rules=rules)
        if window is not None and (example := joined(window, user_id, rules)) is not None:
            self._waiting.append((example.at + rules.window_s, example))

    def _follows(self, rows: np.ndarray, person: Person) -> bool:
        return int((self._market.department[rows[:TOP]] == person.main).sum()) >= FOLLOW

    def _told(self, who: int, now: float, rows: np.ndarray, done: list[Done], slate: str) -> Iterator[Event]:
        """The events of one list, a second apart."""
        seen = [(int(row), place) for place, row in enumerate(rows[:LOOKS])]
        told: list[tuple[str, list[tuple[int, int | None]], bool]] = [("view_item_list", list(seen), True)]
        for one in done:
            told.append(
                ("view_item" if one.place is None else "select_item", [(one.row, one.place)], one.place is not None)
            )
            if one.cart:
                told.append(("add_to_cart", [(one.row, None)], one.place is not None))
        if bought := [(one.row, None) for one in done if one.bought]:
            told.append(("purchase", list(bought), all(one.place is not None for one in done)))
        for after, (name, items, ours) in enumerate(told):
            at = instant(now + after)
            yield Event(
                event=name,
                event_id=f"e{self._sent + after}",
                user_id=f"u{who}",
                items=tuple(EventItem(self._market.ids[row], place) for row, place in items),
                attribution=Attribution(slate) if ours else None,
                received_ts=at,
                event_ts=at,
            )

    def _learn(self, who: int, event: Event) -> None:
        world, before = self._world, self._states.get(who)
        self._sent += 1
        if is_target(event) and who in self._open:
            self._open[who] += 1
        after, outcome = fold(before, event, world.catalog.facets, epoch="e", rules=world.rules)
        assert after is not None  # nobody here denies consent
        self._teacher.event(event, before, outcome, world)
        self._states[who] = after
        world.counters.learn(event)


def _at(event: Event) -> Event:
    """The event as the log has it."""
    return msgspec.structs.replace(event, received_ts=event.client_ts, event_ts=event.client_ts)
