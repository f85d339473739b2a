"""catalog of ads + shoppers → **days of ads** → spend and p(click) beside the truth. What `rec simulate --ads` plays.

    traffic   lists by the hour as in a shop (a night, an evening), other hours on every day, and one rush
    click     true p = quality of the ad × how near its department is to the shopper's × place; each for itself
    workers   several, each with a market and a book of its own; all read the same feedback, and none sees the others

Lists are made by the code that serves (`recommend`, `Market`), joined by the code that joins (`rec.feedback`), with its
delays: a click is in the books some seconds later, a list without one after its window. Pure and seeded.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import NamedTuple

import msgspec
import numpy as np

from rec.ads import frequency
from rec.ads.book import AdBook
from rec.ads.market import AD_SOURCE, AdRules, Market
from rec.ads.pacing import DAY_S, EVERY_S, HOUR_S
from rec.ads.terms import CLICK
from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.events import Attribution, Event, EventItem, instant
from rec.feedback import IMPRESSION, Close, FeedbackExample, JoinRules, Window, fold
from rec.kinds import AD_KIND
from rec.recommend import Ask, World, recommend
from rec.scenes import Scene, Scenes
from rec.served import Making, Packed, pack, served_of
from rec.slates import Cause, Slate
from rec.state import Touch, UserState

START = 20_000 * DAY_S  # a midnight
RULES = JoinRules()
CAP, RESERVE = 6, 0.2  # impressions of an ad a day; of a click
READ_S = 2.0  # from the example to the books: the sweep, the log
DEPARTMENTS = 6
PRODUCTS = 60
SEATS = (1.0, 0.6)  # truth: how much less the second place is looked at
NEAR, FAR = 2.0, 0.6  # truth: for who cares for the department, and for the others
MOST_CLICKED = 0.6


_Coming = Callable[[float], None]


class Setting(NamedTuple):
    """`lists` a day. `clicks`: the mean quality of an ad. A budget is what about `wanted` clicks cost at 0.6 of the
    bid; all of them together are less than half of the clicks that there are."""

    lists: int = 20_000
    days: int = 3  # the last one counts
    campaigns: int = 8
    ads: int = 3
    shoppers: int = 3_000
    clicks: float = 0.04
    wanted: int = 100
    workers: int = 2


class Day(NamedTuple):
    """What came of the last day."""

    spent: dict[str, float]  # campaign → what its clicks cost, as agreed
    budgets: dict[str, float]
    foreseen: float  # Σ p(click) of the ads that were seen
    true: float  # Σ true p of the same
    clicked: int
    by_chance: list[tuple[float, float]]  # the same by fifths of p(click): (foreseen, true)
    shown: int
    over_cap: int  # impressions beyond a frequency cap

    @property
    def off_budget(self) -> float:
        """The largest |spent / budget − 1| of a campaign."""
        return max(abs(self.spent.get(name, 0.0) / budget - 1) for name, budget in self.budgets.items())

    @property
    def off_chance(self) -> float:
        """|foreseen / true − 1|."""
        return abs(self.foreseen / self.true - 1)

    @property
    def worst_fifth(self) -> float:
        """The largest |foreseen / true − 1| among fifths of the impressions by p(click)."""
        return max(abs(foreseen / true - 1) for foreseen, true in self.by_chance)


class _Shown(NamedTuple):
    at: float
    chance: float
    true: float
    clicked: bool


class _Days:
    """The state of a simulation."""

    def __init__(self, setting: Setting, seed: int) -> None:
        self._setting, self._rng = setting, Random(f"{seed}/ads")
        rng = self._rng
        self._catalog, self._quality, self._department = Catalog(), dict[str, float](), dict[str, int]()
        self.budgets = self._fill(rng)
        scenes = {"home": Scene(kinds=None, sponsored=(1, 4))}
        self._workers: list[tuple[World, Market, AdBook]] = []
        for _ in range(setting.workers):
            world, market = World(self._catalog, Counters(), shelf_s=math.inf), Market(AdRules(RESERVE))
            world.scenes = Scenes(scenes)
            world.scenes.sell = market.sell
            self._workers.append((world, market, AdBook()))
        self._users = [self._shopper(f"u{number}", rng) for number in range(setting.shoppers)]
        self._windows: list[dict[str, Window]] = [{} for _ in self._users]
        self._coming: list[tuple[float, int, _Coming]] = []  # what happens when
        self._number = 0
        self.seen: list[_Shown] = []
        self.over_cap = 0

    def _fill(self, rng: Random) -> dict[str, float]:
        items, vectors, budgets = list[Item](), dict[str, np.ndarray](), dict[str, float]()
        noise = np.random.default_rng(rng.getrandbits(32))

        def put(item: Item, department: int) -> None:
            vector = noise.normal(0.0, 0.15, 16)
            vector[department] += 1.0
            items.append(item)
            vectors[item.item_id], self._department[item.item_id] = vector, department

        for number in range(PRODUCTS):
            department = number % DEPARTMENTS
            put(Item(item_id=f"p{number}", title=f"Product {number}", category=f"d{department}"), department)
        for number in range(self._setting.campaigns):
            name, bid = f"c{number}", math.exp(rng.gauss(-0.7, 0.25))
            budgets[name] = round(bid * 0.6 * self._setting.wanted * (0.7 + 0.6 * rng.random()), 2)
            for which in range(self._setting.ads):
                item_id, department = f"{name}-{which}", rng.randrange(DEPARTMENTS)
                wants = {"bid": round(bid, 2), "daily_budget": budgets[name], "campaign": name, "frequency_cap": CAP}
                put(Item(item_id=item_id, title=item_id, kind=AD_KIND, url="/x", attributes=wants), department)
                self._quality[item_id] = self._setting.clicks * math.exp(rng.gauss(-0.1, 0.45))
        self._catalog.upsert(items)
        self._catalog.set_vectors(vectors)
        return budgets

    def _shopper(self, user_id: str, rng: Random) -> UserState:
        department = rng.randrange(DEPARTMENTS)
        mine = [f"p{number}" for number in range(department, PRODUCTS, DEPARTMENTS)]
        history = tuple(
            Touch(START - 60.0 * at, item_id, "view_item") for at, item_id in enumerate(rng.sample(mine, 3))
        )
        return UserState(epoch=str(department), version=1, history=tuple(sorted(history)))

    # ------------------------------------------------------------------ time
    def day(self, number: int) -> None:
        """One day, list by list."""
        begin, paced = START + number * DAY_S, 0.0
        for at in traffic(self._setting.lists, self._rng):
            now = begin + at
            self._let_pass(now)
            if now - paced >= EVERY_S:
                paced = now
                for _, market, book in self._workers:
                    market.believe(book, now)
                    market.paid(book, now)
                    market.pace(self._catalog.view(), now)
            self._list(self._rng.randrange(len(self._users)), now)

    def end(self, now: float) -> AdBook:
        """What happened until `now` arrives; the first worker's book."""
        self._let_pass(now)
        return self._workers[0][2]

    def _let_pass(self, now: float) -> None:
        while self._coming and self._coming[0][0] <= now:
            at, _, coming = heapq.heappop(self._coming)
            coming(at)

    def _at(self, when: float, coming: _Coming) -> None:
        self._number += 1
        heapq.heappush(self._coming, (when, self._number, coming))

    def _folded(self, user: int, slate_id: str, what: Packed | Event | Close, now: float) -> None:
        windows = self._windows[user]
        before = windows.get(slate_id)
        after, examples = fold(before, what, user_id=f"u{user}", now=now, rules=RULES)
        for example in examples:
            self._at(now + READ_S, partial(self._read, example))
        if after is None or (after.signs and not after.news and now >= min(after.times()) + RULES.window_s):
            windows.pop(slate_id, None)  # nothing comes any more
        elif after is not before:
            windows[slate_id] = after
            self._at(after.due, partial(self._due, user, slate_id))

    def _due(self, user: int, slate_id: str, now: float) -> None:
        if slate_id in self._windows[user] and self._windows[user][slate_id].due <= now:
            self._folded(user, slate_id, Close((f"u{user}",), now), now)

    def _read(self, example: FeedbackExample, now: float) -> None:
        for _, market, book in self._workers:
            book.learn(example)
            market.paid(book, now)

    # ------------------------------------------------------------------ a list
    def _list(self, user: int, now: float) -> None:
        world, market, _ = self._workers[user % len(self._workers)]
        state = self._users[user]
        ask = Ask(f"u{user}", "home", 8, None, Cause("request"), state)
        slate = recommend(ask, world, now=now, rng=self._rng)
        packed = pack(served_of(Making(slate, state), self._catalog.get), market.taken(slate.slate_id))
        self._at(now, partial(self._folded, user, slate.slate_id, packed))
        for event in self._acts(user, slate, now):
            self._at(event.at, partial(self._folded, user, slate.slate_id, event))

    def _acts(self, user: int, slate: Slate, now: float) -> Iterator[Event]:
        state, mine = self._users[user], int(self._users[user].epoch)
        ads = [place for place in slate.items if place.source == AD_SOURCE]
        yield self._event(user, IMPRESSION, slate, [place.item_id for place in slate.items], now + 1)
        for at, place in enumerate(ads):
            near = NEAR if self._department[place.item_id] == mine else FAR
            true = min(MOST_CLICKED, self._quality[place.item_id] * near * SEATS[at])
            clicked = self._rng.random() < true
            self.seen.append(_Shown(now, place.score, true, clicked))
            self.over_cap += frequency.times_within(state.ads, place.item_id, now, DAY_S) >= CAP
            state = msgspec.structs.replace(state, ads=frequency.noted(state.ads, place.item_id, now + 1))
            if clicked:
                yield self._event(user, CLICK, slate, [place.item_id], now + 2 + 8 * self._rng.random())
        self._users[user] = state

    def _event(self, user: int, name: str, slate: Slate, item_ids: list[str], at: float) -> Event:
        self._number += 1
        return Event(
            event=name,
            event_id=f"e{self._number}",
            user_id=f"u{user}",
            items=tuple(EventItem(item_id) for item_id in item_ids),
            attribution=Attribution(slate.slate_id),
            received_ts=instant(at),
            event_ts=instant(at),
        )


def summed(day: Day) -> dict[str, float]:
    """What a day comes to; shares of 1, and counts."""
    return {
        "off_budget": day.off_budget,
        "off_chance": day.off_chance,
        "worst_fifth": day.worst_fifth,
        "shown": day.shown,
        "clicked": day.clicked,
        "over_cap": day.over_cap,
    }


def traffic(lists: int, rng: Random) -> list[float]:
    """Seconds after midnight of the lists of a day, rising: a night, an evening, hours that differ, and a rush."""
    hours = [(1.15 + math.sin(math.tau * (hour - 14.0) / 24)) * math.exp(rng.gauss(0.0, 0.2)) for hour in range(24)]
    hours[rng.randrange(24)] *= 2.5
    return sorted(HOUR_S * (hour + rng.random()) for hour in rng.choices(range(24), weights=hours, k=lists))


def days_of_ads(setting: Setting, seed: int = 0) -> Day:
    """Play the days; what came of the last one."""
    days = _Days(setting, seed)
    for number in range(setting.days):
        days.day(number)
    last, end = START + (setting.days - 1) * DAY_S, START + setting.days * DAY_S
    book = days.end(end - 1)
    spent = book.spent(end - 1)
    shown = sorted((one for one in days.seen if one.at >= last), key=lambda one: one.chance)
    fifths = [shown[len(shown) * at // 5 : len(shown) * (at + 1) // 5] for at in range(5)]
    return Day(
        spent,
        days.budgets,
        sum(one.chance for one in shown),
        sum(one.true for one in shown),
        sum(one.clicked for one in shown),
        [(sum(one.chance for one in fifth), sum(one.true for one in fifth)) for fifth in fifths],
        len(shown),
        days.over_cap,
    )
