"""a list that changes while somebody looks at it → **replace, swap the tail, or wait**: what each earns.

The closed loop of `rec.simulate.closed`, with time in it. A shopper opens a list and looks at one place after another;
what they do becomes an event, and with the next breath the list on their screen may be another one (rec.noted, the code
that serves). What a change under their eyes costs is part of the shopper, `Thumb`:

    reaching    between wanting an item and touching it some tenths of a second pass; if it has moved meanwhile, the
                touch is lost with probability `moving`, and always if it has gone
    coming back what pleased and was left for later is looked for at its old place; elsewhere it is missed with
                probability `moving` / 2, and it is gone if it has left the list
    losing the  when what they were about to see changes they leave with probability `moving` × its share / 2, and else
    place       begin again at the top half of the time, where the new list has what is new

Position bias is that of the order in which things are looked at (`rec.simulate.market`), and so is fatigue. With
`moving` 0 a change costs nothing but what it takes away. Seeded: the same seed, the same run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from statistics import fmean, stdev
from typing import Any, NamedTuple

import msgspec
import numpy as np

from rec.events import Attribution, Event, EventItem, instant
from rec.feedback import FeedbackExample
from rec.noted import Learned, Noted, noted_many
from rec.policy.bandit import BanditRules
from rec.policy.refresh import ACTIONS, OnScreen, solve
from rec.policy.rewards import Rewards
from rec.policy.strategy import own_strategy
from rec.recommend import Ask, World
from rec.simulate.closed import Adapted, Loop, Setting
from rec.simulate.market import LOOKS, Done, Rows
from rec.simulate.players import Greedy
from rec.simulate.teachers import Teacher
from rec.slates import Cause
from rec.state import UserState

WAYS: tuple[str, ...] = (*ACTIONS, "learned")
RULES = BanditRules(half_life_s=2 * 86_400.0, floor=0.05, prior_reward=0.5, prior_sd=1.0)


class Thumb(NamedTuple):
    """How somebody handles a list that moves. Times in seconds, on average."""

    moving: float = 0.5  # what a change under the thumb costs, 0 to 1
    look_s: float = 1.0  # to look at a place
    reach_s: float = 0.7  # from wanting to touching
    later: float = 0.4  # of what pleases, so much is left for later
    page: float = 0.5  # of what is touched, so much opens a page, and the list is out of sight
    page_s: float = 8.0
    push_s: float = 0.05  # from an event to the list that follows from it


AS_A_RULE = Thumb()


class Screen:
    """What a shopper has before them, and what is to come: at most one list at a time."""

    def __init__(self, shown: Noted, state: UserState | None, now: float) -> None:
        self.noted, self.state, self.since = shown, state, now
        self.item_ids = [place.item_id for place in shown.slate.items]
        self.waited = shown.waits
        self.due: float | None = None  # when the next list comes
        self.seen: list[tuple[str, int]] = []  # looked at, and not told of yet
        self.told: list[Event] = []  # events that name this list

    def on_screen(self) -> OnScreen:
        """For the list that may take its place."""
        return OnScreen(self.noted.slate.items, self.since, self.noted.slate.slate_id, self.waited)


class Hearing:
    """A teacher, and whoever learns from what lists earn."""

    def __init__(self, teacher: Teacher, rewards: Rewards) -> None:
        self._teacher, self._rewards = teacher, rewards
        self.past, self.event = teacher.past, teacher.event

    def feedback(self, example: FeedbackExample, world: World) -> None:
        """What a list has earned."""
        self._teacher.feedback(example, world)
        self._rewards.learn(example)


class Watched(Loop):
    """One run of one way to refresh. `decided`: how often each action was taken."""

    def __init__(self, setting: Setting, way: str, *, seed: int, thumb: Thumb = AS_A_RULE) -> None:
        own = msgspec.structs.replace(own_strategy(feedback=True), refresh=way)
        super().__init__(setting, Greedy(own), seed=seed)
        self._strategy, self._thumb = own, thumb
        self._hand = Random(f"{seed}/thumb")
        self._rewards = Rewards(RULES)
        self._teacher: Teacher = Hearing(self._teacher, self._rewards)
        self.decided = dict.fromkeys(ACTIONS, 0)

    def _learned(self, now: float) -> Learned:
        return Learned(solve(self._rewards.refreshing, now=now, rules=RULES), RULES)

    # ------------------------------------------------------------------ one list that is looked at
    def _list(self, who: int, now: float, jumps: list[Adapted]) -> tuple[float, float]:
        """A list is opened, and watched until they leave: (what came of it, what the best first one would add)."""
        person, thumb, hand = self._people[who], self._thumb, self._hand
        screen = self._made(who, now, None)
        rows = self._rows(screen)
        if who in self._open and self._follows(rows, person):
            jumps.append(Adapted(self._open.pop(who), True))
        lost = person.best() - person.worth(rows)
        earned, place, nth, later = 0.0, 0, 0, list[tuple[str, int]]()
        while nth < LOOKS and place < len(screen.item_ids):
            now += hand.expovariate(1 / thumb.look_s)
            screen, left = self._moves_on(who, screen, now, place)
            if left is None:
                break
            place = min(left, len(screen.item_ids) - 1)
            item_id = screen.item_ids[place]
            screen.seen.append((item_id, place))
            if person.wants(self._market.row[item_id], nth):
                if hand.random() < thumb.later:
                    later.append((item_id, place))
                else:
                    screen, now, reward = self._touches(who, screen, item_id, place, now)
                    earned += reward
            nth, place = nth + 1, place + 1
        for item_id, place in later:  # they come back for what they kept in mind
            now += hand.expovariate(1 / thumb.look_s)
            screen, left = self._moves_on(who, screen, now, None)
            if self._misses(screen, item_id, place, thumb.moving / 2):
                continue
            screen, now, reward = self._touches(who, screen, item_id, screen.item_ids.index(item_id), now)
            earned += reward
        if not earned and self._ways.random() < 0.6 and (found := person.browse()) is not None:
            self._tell(who, screen, self._events(who, found, now, None))
        self._leaves(who, screen, now)
        return earned, lost

    def _touches(self, who: int, screen: Screen, item_id: str, place: int, now: float) -> tuple[Screen, float, float]:
        """They reach for an item: (what is on the screen then, when, what it earned)."""
        thumb, hand, person = self._thumb, self._hand, self._people[who]
        now += hand.expovariate(1 / thumb.reach_s)
        screen, _ = self._moves_on(who, screen, now, None)
        if self._misses(screen, item_id, place, thumb.moving):
            return screen, now, 0.0
        done = person.acts(self._market.row[item_id], screen.item_ids.index(item_id))
        if done is None:
            return screen, now, 0.0
        self._tell(who, screen, self._events(who, done, now, screen))
        if screen.due is None:
            screen.due = now + thumb.push_s
        if hand.random() < thumb.page:
            now += hand.expovariate(1 / thumb.page_s)
            while screen.due is not None and screen.due <= now:  # it changes while nobody sees it
                screen = self._next(who, screen)
        return screen, now, done.reward

    def _misses(self, screen: Screen, item_id: str, place: int, chance: float) -> bool:
        """Whether they do not find the item any more, given where it stood."""
        if item_id not in screen.item_ids:
            return True
        return screen.item_ids[place : place + 1] != [item_id] and self._hand.random() < chance

    def _moves_on(self, who: int, screen: Screen, now: float, place: int | None) -> tuple[Screen, int | None]:
        """What is on the screen at `now`, and at which place they go on, from `place`; None: they have left."""
        while screen.due is not None and screen.due <= now:
            before = screen.item_ids
            screen = self._next(who, screen)
            if place is None:
                continue
            ahead = list(zip(before[place:LOOKS], screen.item_ids[place:LOOKS], strict=False))
            changed = sum(a != b for a, b in ahead) / max(1, len(ahead))
            if self._hand.random() < self._thumb.moving * changed / 2:
                return screen, None
            if before[:LOOKS] != screen.item_ids[:LOOKS] and self._hand.random() < 0.5:
                place = 0
        return screen, place

    # ------------------------------------------------------------------ lists
    def _made(self, who: int, now: float, after: Screen | None) -> Screen:
        """The list of the moment; `after` what is on the screen."""
        state = self._states.get(who)
        cause = Cause("request") if after is None else Cause("event")
        there = None if after is None else after.on_screen()
        ask = Ask(f"u{who}", "home", self._setting.n, None, cause, state, self._strategy, there)
        made = noted_many([ask], self._world, now=now, rng=self._rng, learned=self._learned)[0]
        if (decision := made.note.decision) is not None and not decision.root:
            self.decided[decision.action] += 1
        screen = Screen(made, state, now)
        if made.waits:
            screen.due = now + self._strategy.wait_s
        return screen

    def _next(self, who: int, screen: Screen) -> Screen:
        assert screen.due is not None
        now = screen.due
        self._leaves(who, screen, now)
        return self._made(who, now, screen)

    def _leaves(self, who: int, screen: Screen, now: float) -> None:
        """A list is out of sight: tell of what was seen of it, and join it with what became of it."""
        self._tell(who, screen, [], now)
        if screen.told:
            self._join(screen.noted.slate, screen.state, screen.told, screen.noted.note)

    def _rows(self, screen: Screen) -> Rows:
        return np.array([self._market.row[item_id] for item_id in screen.item_ids], np.int64)

    # ------------------------------------------------------------------ events
    def _tell(self, who: int, screen: Screen, events: Sequence[Event], now: float = 0.0) -> None:
        """What happened, after what was looked at before it."""
        if screen.seen:
            at = events[0].at if events else now
            seen, screen.seen = screen.seen, []
            self._one(who, screen, self._event(who, "view_item_list", seen, at, screen))
        for event in events:
            self._one(who, screen, event)

    def _one(self, who: int, screen: Screen, event: Event) -> None:
        if event.attribution is not None:
            screen.told.append(event)
        self._learn(who, msgspec.structs.replace(event, event_id=f"e{self._sent}"))

    def _events(self, who: int, done: Done, now: float, screen: Screen | None) -> list[Event]:
        item = [(self._market.ids[done.row], done.place)]
        names = ["view_item" if screen is None else "select_item"]
        names += ["add_to_cart"] * done.cart + ["purchase"] * done.bought
        return [self._event(who, name, item, now, screen) for name in names]

    def _event(
        self, who: int, name: str, items: Sequence[tuple[str, int | None]], at: float, screen: Screen | None
    ) -> Event:
        when = instant(at)
        return Event(
            event=name,
            event_id="e",
            user_id=f"u{who}",
            items=tuple(EventItem(item_id, place) for item_id, place in items),
            attribution=None if screen is None else Attribution(screen.noted.slate.slate_id),
            received_ts=when,
            event_ts=when,
        )


def watched(
    ways: Sequence[str], setting: Setting, thumb: Thumb, seeds: Sequence[int], progress: Callable[[int], None]
) -> dict[str, dict[str, Any]]:
    """Of each way: the mean reward over the seeds, its standard deviation, each seed's, and what was decided."""
    found: dict[str, dict[str, Any]] = {}
    for way in ways:
        loops = [Watched(setting, way, seed=seed, thumb=thumb) for seed in seeds]
        rewards = [loop.run(progress).reward for loop in loops]
        found[way] = {
            "reward": fmean(rewards),
            "sd": stdev(rewards) if len(rewards) > 1 else 0.0,
            "by_seed": dict(zip(map(str, seeds), rewards, strict=True)),
            "decided": {action: fmean(loop.decided[action] for loop in loops) for action in ACTIONS},
        }
    return found
