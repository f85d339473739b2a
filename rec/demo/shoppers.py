"""seed → **events**. Simulated shoppers: visits of list → click → view → cart → purchase, with drifting interests.

Pure: time is an argument, every choice comes from a seeded generator. Invariants: the same seed gives the same events
with the same ids; times never go back; a purchase names what was put into the cart before it.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from itertools import islice
from random import Random
from typing import NamedTuple

import msgspec

from rec.catalog import Item
from rec.demo.data import FAMILIES
from rec.demo.tastes import Shop, Taste
from rec.events import Attribution, Event, EventItem, instant
from rec.ids import uuid7

PAGE = 12  # products on a list
THINK_S = 20.0  # between two actions of a visit, on average
AWAY_S = 4 * 3600.0  # between two visits, on average
HISTORY_DAYS = 5.0
_VISIT = 9.0  # actions of an average visit


class Page(NamedTuple):
    """A list on the shopper's screen, and the slate it came from if it was one of ours."""

    item_ids: Sequence[str]
    attribution: Attribution | None = None
    term: str | None = None  # what was searched for to get it


class Step(NamedTuple):
    """One action: what, on which products at which places of the page."""

    event: str
    items: Sequence[tuple[str, int | None]] = ()
    page: Page | None = None
    term: str | None = None


class Shopper:
    """One simulated person. `act` gives the next action, for ever; `show` puts a list of ours under their eyes."""

    def __init__(self, user_id: str, shop: Shop, rng: Random) -> None:
        self.user_id = user_id
        self.taste = Taste(shop, rng)
        self.visits = 0
        self.at_rest = True  # between two visits
        self._shop, self._rng = shop, rng
        self._slate: Page | None = None
        self._visit: Generator[Step] | None = None
        self._following: Step | None = None
        self._cart: list[str] = []

    def show(self, item_ids: Sequence[str], attribution: Attribution | None) -> None:
        """The newest list of ours; products that this shop does not have are not seen."""
        known = [item_id for item_id in item_ids if item_id in self._shop.items]
        self._slate = Page(known[:PAGE], attribution) if known else None

    def act(self, at: float) -> Event:
        """The next action, done at `at` (seconds since 1970)."""
        if self._visit is None:
            self.visits += 1
            self.taste.drift(self._rng)
            self._visit = self._story()
            self._following = next(self._visit)
        step = self._following
        assert step is not None  # a visit has at least one action, and ends only below
        self._following = next(self._visit, None)
        self.at_rest = self._following is None
        if self.at_rest:
            self._visit = None
        return self._event(step, at)

    def _story(self) -> Generator[Step]:
        """A visit, action by action."""
        rng = self._rng
        self._cart.clear()
        for _ in range(1 + int(rng.expovariate(0.7))):
            page = self._page()
            if page.term is not None:
                yield Step("search", term=page.term)
            yield Step("view_item_list", list(zip(page.item_ids, range(PAGE), strict=False)), page)
            clicks = [(item_id, index) for index, item_id in enumerate(page.item_ids) if self._clicks(item_id, index)]
            for item_id, index in clicks[:3]:
                yield Step("select_item", [(item_id, index)], page)
                yield Step("view_item", [(item_id, None)])
                yield from self._after_view(item_id)
            if not clicks and page.attribution is not None and rng.random() < 0.12:
                worst = min(page.item_ids, key=self.taste.affinity)
                yield Step("not_interested", [(worst, page.item_ids.index(worst))], page)
        if self._cart and rng.random() < 0.15:
            yield Step("remove_from_cart", [(self._cart.pop(), None)])
        if self._cart and rng.random() < 0.55:
            yield Step("purchase", [(item_id, None) for item_id in dict.fromkeys(self._cart)])

    def _after_view(self, item_id: str) -> Iterator[Step]:
        liking, roll = self.taste.affinity(item_id), self._rng.random()
        if roll < 0.32 * liking:
            self._cart.append(item_id)
            yield Step("add_to_cart", [(item_id, None)])
        elif roll < 0.40 * liking:
            yield Step("add_to_wishlist", [(item_id, None)])
        elif roll < 0.43 * liking:
            yield Step("share", [(item_id, None)])
        elif roll < 0.60 * liking:
            yield Step("dwell", [(item_id, None)])

    def _page(self) -> Page:
        """The list of ours, if there is one, most of the time; else a shelf that they go to or search for."""
        if self._slate is not None and self._rng.random() < 0.75:
            return self._slate
        category, family = self.taste.destination(self._rng)
        found = FAMILIES.get(family)
        term = found.plural if found is not None and self._rng.random() < 0.15 else None
        return Page(self._shop.sample(category, family, PAGE, self._rng), term=term)

    def _clicks(self, item_id: str, index: int) -> bool:
        """Position bias times liking (the examination model: Richardson et al. 2007, "Predicting clicks")."""
        looked_at = float((1 + index) ** -0.6)
        return self._rng.random() < 0.6 * looked_at * self.taste.affinity(item_id)

    def _event(self, step: Step, at: float) -> Event:
        buying = step.event in ("add_to_cart", "remove_from_cart", "purchase")
        items = tuple(
            EventItem(
                item_id,
                index,
                self._shop.items[item_id].price if buying else None,
                1 if buying else None,
            )
            for item_id, index in step.items
        )
        value = round(sum(item.price or 0.0 for item in items), 2) if buying else None
        currency = self._shop.items[items[0].item_id].currency if buying else ""
        event_id = uuid7(at, self._rng.getrandbits)
        return Event(
            event=step.event,
            event_id=event_id,
            user_id=self.user_id,
            session_id=f"{self.user_id}-{self.visits}",
            client_ts=instant(at),
            items=items,
            attribution=step.page.attribution if step.page is not None else None,
            search_term=step.term,
            value=value,
            currency=currency or None,
            transaction_id=event_id if step.event == "purchase" else None,
        )


def crowd(shop: Shop, shoppers: int, seed: int, prefix: str = "shopper") -> list[Shopper]:
    """That many shoppers, each with a taste and a generator of their own."""
    return [Shopper(f"{prefix}-{number:04d}", shop, Random(f"{seed}/{prefix}/{number}")) for number in range(shoppers)]


def simulate(
    catalog: Sequence[Item],
    shoppers: int,
    *,
    seed: int,
    now: float,
    prefix: str = "shopper",
    think_s: float = THINK_S,
    away_s: float = AWAY_S,
) -> Iterator[Event]:
    """What `shoppers` do from `now` on (seconds since 1970), in the order of time, for ever.

    Gaps are exponential: `think_s` on average within a visit, `away_s` between visits.
    """
    people = crowd(Shop(catalog), shoppers, seed, prefix)
    clock = Random(f"{seed}/{prefix}/clock")
    due = [(now + clock.expovariate(1 / away_s), number) for number in range(shoppers)]
    heapq.heapify(due)
    while due:
        at, number = due[0]
        yield people[number].act(at)
        gap = away_s if people[number].at_rest else think_s
        heapq.heapreplace(due, (at + clock.expovariate(1 / gap), number))


def demo_history(
    catalog: Sequence[Item],
    *,
    shoppers: int = 400,
    events: int = 6000,
    seed: int,
    until: datetime,
) -> list[Event]:
    """The past of the demo shop: `events` complete events of the days before `until`, oldest first.

    The last one happened at `until`. They carry `received_ts` and `event_ts`, so they can go straight to the archive.
    """
    visits = max(1.0, events / _VISIT)
    away_s = HISTORY_DAYS * 86_400 * shoppers / visits
    made = islice(simulate(catalog, shoppers, seed=seed, now=0.0, prefix="past", away_s=away_s), 2 * events)
    kept = deque(made, maxlen=events)  # the first half only warms up: visits are under way when the record begins
    last = kept[-1].client_ts
    assert last is not None  # every simulated event has a time
    ids = Random(f"{seed}/past/ids")
    shift = until - last
    history = []
    for event in kept:
        assert event.client_ts is not None
        at = event.client_ts + shift
        event_id = uuid7(at.timestamp(), ids.getrandbits)
        history.append(
            msgspec.structs.replace(
                event,
                event_id=event_id,
                transaction_id=event_id if event.transaction_id else None,
                client_ts=at,
                received_ts=at,
                event_ts=at,
            )
        )
    return history
