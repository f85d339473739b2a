"""judged list → **market** → list with sponsored places. Which ads may be there, who wins, how it looks on the wire.

An ad is on no list but at a sponsored place, and is marked: `source` "ad", reason "sponsored", `item.sponsored`. The
organic list is made as ever and is shorter by what was sold. Not on it: ads that are flagged, out of stock, for others
than this shopper, excluded by a rule, not wanted by the shopper (nor the product, nor bought of late), seen too
often, or whose budget is spent. Without consent neither likeness nor frequency goes in: what the page is about, and how
ads do in general, is all; without `ad_personalization` no interest and no history goes in. One per worker. Invariant:
what is learned is swapped in as values, so any thread may make lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rec.about import NOBODY
from rec.ads.auction import Pricing, Won, auction
from rec.ads.book import AdBook
from rec.ads.frequency import times_within
from rec.ads.odds import Odds, nearness
from rec.ads.pacing import DAY_S, START, due_by, next_share
from rec.ads.stock import Stock, stock_of
from rec.ads.terms import Terms
from rec.candidates import profile
from rec.catalog import Mask, View, card
from rec.ids import mark64
from rec.policy.dice import Dice
from rec.policy.filters import bought, cycle_in, hidden
from rec.ranking import ITEM
from rec.recommend import Judged, Plan, World
from rec.slates import Reason, Slate, SlateItem

_NOTHING: Mapping[str, float] = {}
STEADY_S = 60.0  # so long a shopper's ads stay as they are, if nothing else changes: lists are made anew all the time
MOST_WAITING = 5_000  # lists whose terms wait until somebody takes them
AD_SOURCE, SPONSORED = "ad", "sponsored"

Make = Callable[[Judged], Slate]


class AdRules(NamedTuple):
    """Below `reserve` no click is sold."""

    reserve: float = 0.01
    pricing: Pricing = "second"


class Spent(NamedTuple):
    """What campaigns have spent on a day (UTC)."""

    day: int
    of: Mapping[str, float]


class _Board(NamedTuple):
    """What is the same for all lists until something else is known."""

    key: tuple[Stock, Odds, Mapping[str, float], Mapping[str, float]]
    odds: Odds
    quality: npt.NDArray[np.float64]  # [A]
    lifts: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]  # [C]
    left: Mask  # [C] there is budget left


class Sale(NamedTuple):
    """One sponsored place: the ad's place in the stock, and what was agreed."""

    ad: int
    terms: Terms
    propensity: float


class Market:
    """Sells the sponsored places of lists."""

    def __init__(self, rules: AdRules | None = None) -> None:
        self._rules = rules or AdRules()
        self._odds = Odds()
        self._spent = Spent(0, {})
        self._curve: tuple[float, ...] = (1.0,) * 24
        self._shares: Mapping[str, float] = {}
        self._stock: tuple[View | None, Stock | None] = (None, None)
        self._board: _Board | None = None
        self._terms: dict[str, Mapping[str, Terms]] = {}
        self._lock = Lock()

    # ------------------------------------------------------------------ what it goes by
    def believe(self, book: AdBook, now: float) -> None:
        """What clicks have said until now, and how a day goes. Takes the longer the more ads there are."""
        self._odds, self._curve = book.odds(now), book.traffic(now)

    def paid(self, book: AdBook, now: float) -> None:
        """What clicks have cost today."""
        spent = book.spent(now)
        if (int(now // DAY_S), spent) != self._spent:
            self._spent = Spent(int(now // DAY_S), spent)

    def pace(self, view: View, now: float) -> None:
        """A minute is over: campaigns that spend too fast take part less, those that spend too slowly more."""
        spent, due = self._spent_today(now), due_by(now, self._curve)
        budgets = self.stock(view).budgets
        self._shares = {
            name: next_share(self._shares.get(name, START), spent.get(name, 0.0), budget * due)
            for name, budget in budgets.items()
        }

    def spending(self, view: View, now: float) -> dict[str, tuple[float, float]]:
        """campaign → (spent today, daily budget). What is above the budget is not billed."""
        spent = self._spent_today(now)
        return {name: (spent.get(name, 0.0), budget) for name, budget in self.stock(view).budgets.items()}

    def pacing(self, view: View, now: float) -> dict[str, tuple[float, float]]:
        """campaign → (the share of the auctions that it takes part in, money that is due by now)."""
        due = due_by(now, self._curve)
        budgets = self.stock(view).budgets
        return {name: (self._shares.get(name, START), budget * due) for name, budget in budgets.items()}

    def _spent_today(self, now: float) -> Mapping[str, float]:
        return self._spent.of if self._spent.day == int(now // DAY_S) else _NOTHING

    def stock(self, view: View) -> Stock:
        """The ads of this catalog."""
        known, found = self._stock
        if known is not view or found is None:
            found = stock_of(view)
            self._stock = (view, found)
        return found

    # ------------------------------------------------------------------ lists
    def sell(self, judged: Judged, world: World, now: float, make: Make) -> Slate:
        """The list that `make` makes of the judged, with what was sold (`rec.scenes.Scenes.sell`)."""
        ask = judged.plan.ask
        places = [place for place in world.scenes.of(ask.placement).sponsored if place < ask.n][: max(0, ask.n - 1)]
        sales = self.sales(judged.plan, judged.shelf.view, world, now, len(places)) if places else []
        if not sales:
            return make(judged)
        plan = judged.plan._replace(ask=ask._replace(n=ask.n - len(sales)))
        slate = make(judged._replace(plan=plan))
        stock, items = self.stock(judged.shelf.view), list(slate.items)
        for place, sale in zip(places, sales, strict=False):
            items.insert(place, _item(sale, stock, judged.shelf.view))
        with self._lock:
            self._terms[slate.slate_id] = {stock.ids[sale.ad]: sale.terms for sale in sales}
            if len(self._terms) > MOST_WAITING:
                del self._terms[next(iter(self._terms))]
        return msgspec.structs.replace(slate, items=tuple(items))

    def taken(self, slate_id: str) -> Mapping[str, Terms]:
        """What was agreed for the ads of a list that went out; asked for once."""
        with self._lock:
            return self._terms.pop(slate_id, {})

    def sales(self, plan: Plan, view: View, world: World, now: float, places: int) -> list[Sale]:
        """Who has the places of one list, the best first."""
        stock = self.stock(view)
        at = np.flatnonzero(self._open(stock, plan, view, world, now))
        if not len(at):
            return []
        board, placement = self._set(stock, now), plan.ask.placement
        odds = board.odds
        personal = may_follow(plan, world)
        near = nearness(_likeness(plan, view, world, stock, personal)[at])
        quality, lift = board.quality[at], board.lifts[near]
        raw = quality * lift * odds.seat(placement, 0)
        who = plan.ask.user_id if plan.own and personal else ""
        dice = Dice(mark64(f"ads/{placement}/{plan.ask.item_id}/{who}/{int(now // STEADY_S)}"))
        won = auction(
            stock.bids[at],
            odds.calibrated(raw),
            stock.campaign[at],
            board.shares,
            dice.uniform(stock.marks) <= board.shares,
            places,
            **self._rules._asdict(),
        )
        return [
            self._sale(one, place, at, quality, lift, near, stock, odds, placement) for place, one in enumerate(won)
        ]

    def _sale(
        self,
        won: Won,
        place: int,
        at: npt.NDArray[np.int64],
        quality: npt.NDArray[np.float64],
        lift: npt.NDArray[np.float64],
        near: npt.NDArray[np.int64],
        stock: Stock,
        odds: Odds,
        placement: str,
    ) -> Sale:
        one = won.ad
        raw = float(quality[one] * lift[one]) * odds.seat(placement, place)
        chance = float(odds.calibrated(np.array([raw]))[0])
        ad = int(at[one])
        terms = Terms(stock.ads[ad].campaign, won.price, chance, raw, int(near[one]), place)
        return Sale(ad, terms, won.propensity)

    def _set(self, stock: Stock, now: float) -> _Board:
        """The board as it is now; made anew when something on it has changed."""
        board, key = self._board, (stock, self._odds, self._shares, self._spent_today(now))
        if board is None or any(a is not b for a, b in zip(board.key, key, strict=True)):
            _, odds, shares, spent = key
            board = self._board = _Board(
                key,
                odds,
                odds.quality(stock.ids),
                np.array(odds.lifts),
                np.array([shares.get(name, START) for name in stock.campaigns], np.float64),
                np.array([spent.get(name, 0.0) < budget for name, budget in stock.budgets.items()], np.bool_),
            )
        return board

    def _open(self, stock: Stock, plan: Plan, view: View, world: World, now: float) -> Mask:
        """[A] the ads that may be on this list."""
        state, left = plan.state, self._set(stock, now).left
        open_: Mask = left[stock.campaign]
        for mask in (world.audience.mask(view, state.about if state else NOBODY), _kept(plan.orders.excluded)):
            if mask is not None:
                open_ &= mask[stock.rows] & (mask[stock.leads] | (stock.leads < 0))
        unwanted = {plan.ask.item_id} if plan.ask.item_id else set[str | None]()
        if state is not None:
            unwanted |= hidden(state)  # they said so themselves
            if may_follow(plan, world):
                unwanted |= bought(state, now, world.lists, cycle_in(view, world.lists))
            for item_id in state.ads:
                if (one := stock.at.get(item_id)) is not None:
                    ad = stock.ads[one]
                    if times_within(state.ads, item_id, now, ad.frequency_hours * 3_600) >= ad.frequency_cap:
                        open_[one] = False
        rows = [row for item_id in unwanted if item_id and (row := view.row(item_id)) is not None]
        if rows:
            open_ &= ~(np.isin(stock.rows, rows) | np.isin(stock.leads, rows))
        return open_


def _kept(excluded: Mask | None) -> Mask | None:
    return None if excluded is None else ~excluded


def may_follow(plan: Plan, world: World) -> bool:
    """Whether the ads of this list may follow what is known of the shopper, and not the page alone."""
    return plan.state is not None and plan.state.ad_consent.personal(world.rules.consent_default)


def _likeness(plan: Plan, view: View, world: World, stock: Stock, personal: bool) -> npt.NDArray[np.float64]:
    """[A] of each ad's text to what the list is made from; NaN where there is nothing to compare."""
    out = np.full(len(stock.rows), np.nan)
    anchors, sensitive = plan.anchors, world.rules.sensitive
    if not (personal or plan.mix is ITEM):  # what somebody did, or has in the cart; of a page it is the page
        anchors = []
    if sensitive:
        anchors = [each for each in anchors if _category(view, each.item_id) not in sensitive]
    if (mean := profile(view, anchors)) is not None:
        out[stock.has_vector] = (stock.vectors @ mean)[stock.has_vector]
    return out


def _category(view: View, item_id: str) -> str:
    row = view.row(item_id)
    return "" if row is None else view.items[row].category


def _item(sale: Sale, stock: Stock, view: View) -> SlateItem:
    """As it is on the wire. What an ad does not say of itself, its product does."""
    ad, item = stock.ads[sale.ad], view.items[int(stock.rows[sale.ad])]
    shown = card(item)
    if (lead := int(stock.leads[sale.ad])) >= 0:
        shown = {name: value or card(view.items[lead])[name] for name, value in shown.items()}
        shown["leads_to"] = ad.item
    shown["sponsored"] = True
    reason = Reason(SPONSORED, item_id=ad.item)
    return SlateItem(item.item_id, sale.terms.chance, AD_SOURCE, reason, sale.propensity, shown)
