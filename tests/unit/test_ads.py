"""Parts of the ads: what an ad says, the auction, its odds, how often one is seen, and the book where clicks cost."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.optimize import isotonic_regression

from rec.ads import frequency
from rec.ads.ad import Ad, ad_of, check_ad
from rec.ads.auction import auction
from rec.ads.book import AdBook
from rec.ads.odds import CLICKS, Odds, Sum, bin_of, curve, rising
from rec.ads.pacing import HOUR_S, LEAST, START, day_curve, due_by, next_share
from rec.ads.terms import Terms
from rec.catalog import Item
from rec.errors import BadInput, ModelError
from rec.events import Consent, Event
from rec.feedback import (
    Close,
    FeedbackExample,
    Handed,
    JoinRules,
    Place,
    Window,
    decode_window,
    encode_example,
    encode_window,
    fold,
)
from rec.merging import merged
from rec.policy.bandit import BanditRules
from rec.policy.rewards import Rewards
from rec.rates import Rates
from rec.rewarded import rewarded_of
from rec.served import Served, ServedItem, pack
from rec.state import Facets, FoldRules, Outcome, UserState, decode_state, deny, encode_state, kept_since
from rec.state import fold as folded
from tests.unit.shop import NOW, event, item
from tests.unit.test_feedback import sign

DAY = 86_400.0
TERMS = Terms("spring", 0.25, 0.04, 0.06, 3, 0)
RULES = JoinRules(window_s=600.0, late_s=600.0)


def ad(**more: Any) -> Item:
    wants = {"bid": 0.4, "daily_budget": 20, "item": "camping-1"} | more.pop("attributes", {})
    return item("camping-900", kind="ad", attributes=wants, **more)


# ---------------------------------------------------------------- what an ad says
def test_an_ad_is_its_items_attributes_and_a_campaign_of_its_own_without_one() -> None:
    assert ad_of(ad()) == Ad(bid=0.4, daily_budget=20, campaign="camping-900", item="camping-1")
    assert ad_of(ad(attributes={"campaign": "spring", "frequency_cap": "5"})).frequency_cap == 5


@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"bid": 0}, "attributes.bid"),
        ({"bid": "much"}, "attributes.bid"),
        ({"daily_budget": -1}, "attributes.daily_budget"),
        ({"frequency_cap": 21}, "attributes.frequency_cap"),
        ({"frequency_hours": 0}, "attributes.frequency_hours"),
        ({"item": None}, "attributes.item: an ad leads somewhere"),
    ],
)
def test_an_ad_that_makes_no_sense_is_refused_by_its_attribute(attributes: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_ad(ad(attributes=attributes))
    assert says in caught.value.message
    check_ad(item("camping-900", attributes=attributes))  # of a product nobody asks


def test_an_ad_needs_its_bid_and_may_lead_to_an_address() -> None:
    with pytest.raises(BadInput, match="bid"):
        check_ad(item("x-1", kind="ad", url="/x"))
    assert ad_of(item("x-1", kind="ad", url="/x", attributes={"bid": 1, "daily_budget": 2})).item is None


# ---------------------------------------------------------------- the auction
def sold(
    bids: list[float],
    chances: list[float],
    places: int,
    *,
    shares: list[float] | None = None,
    out: frozenset[int] = frozenset(),
    **more: Any,
) -> list[tuple[int, float, float]]:
    n = len(bids)
    part = np.array([at not in out for at in range(n)])
    share = np.array(shares or [1.0] * n)
    won = auction(np.array(bids), np.array(chances), np.arange(n, dtype=np.int32), share, part, places, **more)
    return [(one.ad, one.price, round(one.propensity, 4)) for one in won]


def test_places_go_by_bid_times_chance_and_a_click_costs_what_keeps_the_place() -> None:
    assert sold([1.0, 0.5, 0.4], [0.01, 0.04, 0.03], 2) == [(1, 0.3, 1.0), (2, 0.3333, 1.0)]


def test_the_last_one_pays_the_reserve_and_a_bid_below_it_is_none() -> None:
    assert sold([0.5, 0.04], [0.04, 0.9], 2, reserve=0.05) == [(0, 0.05, 1.0)]


def test_at_the_first_price_a_click_costs_the_bid() -> None:
    assert sold([1.0, 0.5], [0.01, 0.04], 1, pricing="first") == [(1, 0.5, 1.0)]


def test_who_does_not_take_part_neither_wins_nor_makes_a_price() -> None:
    assert sold([1.0, 0.5, 0.4], [0.04, 0.04, 0.04], 1, shares=[0.5, 0.5, 0.5], out=frozenset({1})) == [(0, 0.4, 0.5)]


def test_a_campaign_has_one_place_its_best_ad() -> None:
    won = auction(
        np.array([0.5, 0.4, 0.3]), np.full(3, 0.1), np.array([0, 0, 1], np.int32), np.ones(2), np.ones(2, np.bool_), 2
    )
    assert [(one.ad, one.price) for one in won] == [(0, 0.3), (2, 0.0)]


def test_nothing_is_sold_to_nobody() -> None:
    assert sold([], [], 2) == []


def test_the_propensities_are_the_frequencies_of_many_auctions() -> None:
    rng = np.random.default_rng(3)
    bids, chances, shares = rng.uniform(0.1, 1, 7), rng.uniform(0.01, 0.1, 7), rng.uniform(0.1, 0.9, 7)
    campaign, told, times, rounds = np.array([0, 1, 2, 2, 3, 4, 5], np.int32), {}, np.zeros(7), 20_000
    for dice in rng.random((rounds, 7)):
        for one in auction(bids, chances, campaign, shares, dice <= shares, 2):
            times[one.ad] += 1
            told[one.ad] = one.propensity
    for at, propensity in told.items():
        assert times[at] / rounds == pytest.approx(propensity, abs=5 * (propensity / rounds) ** 0.5)
    assert sum(told.values()) == pytest.approx(times.sum() / rounds, abs=0.02)


# ---------------------------------------------------------------- odds
def test_the_rising_curve_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for size in (1, 2, 30):
        values, weights = rng.normal(size=size), rng.uniform(0.1, 3, size)
        assert rising(values, weights) == pytest.approx(isotonic_regression(values, weights=weights).x)


def test_p_click_is_true_where_the_product_of_the_factors_is_not() -> None:
    bins = {str(bin_of(raw)): (10_000.0, 10_000 * raw, 10_000 * raw * 0.5) for raw in (0.02, 0.04, 0.08)}
    xs, ys = curve(bins)
    found = Odds(xs=xs, ys=ys).calibrated(np.array([0.002, 0.02, 0.04, 0.08, 0.4]))
    assert found == pytest.approx([0.002, 0.01, 0.02, 0.04, 0.4], rel=0.05)  # what was never seen is left as it is
    assert (np.diff(ys) >= 0).all()


def test_a_bin_that_was_hardly_seen_is_left_as_it_is() -> None:
    xs, ys = curve({"-11": (1.0, 0.03, 1.0)})
    at = int(np.searchsorted(xs, np.log(0.0299)))
    assert ys[at] - xs[at] == pytest.approx(np.log((1 + CLICKS) / (0.03 + CLICKS)))


def test_sums_halve_and_do_not_depend_on_the_order() -> None:
    a, b = Sum(), Sum()
    for at in (0.0, 10.0, 20.0):
        a.add(1, 2, 3, 100 + at, 10.0)
        b.add(1, 2, 3, 120 - at, 10.0)
    assert a.as_of(130.0, 10.0) == pytest.approx(b.as_of(130.0, 10.0))
    assert a.as_of(130.0, 10.0) == pytest.approx((0.875, 1.75, 2.625))


# ---------------------------------------------------------------- pacing
def test_a_share_follows_what_is_due_within_its_bounds() -> None:
    share = START
    for _ in range(200):
        share = next_share(share, spent=0.0, due=1.0)
    assert share == 1.0
    for _ in range(200):
        share = next_share(share, spent=2.0, due=1.0)
    assert share == LEAST


def test_what_is_due_follows_the_traffic_of_the_days_before() -> None:
    evening = {hour: 90.0 if hour % 24 >= 18 else 10.0 for hour in range(24 * 3)}
    curve_ = day_curve(evening, now=72 * HOUR_S)
    assert due_by(18 * HOUR_S, curve_) == pytest.approx(180 / 630)
    assert [due_by(hour * HOUR_S, curve_) for hour in (0, 23, 23.9)] == [0.0, 1.0, 1.0]


def test_hours_that_were_never_observed_are_as_the_others_are() -> None:
    assert day_curve({5: 3.0, 6: 8.0, 7: 4.0, 8: 1.0}, now=8.5 * HOUR_S) == tuple(
        8.0 if hour == 6 else 4.0 if hour == 7 else 6.0 for hour in range(24)
    )


# ---------------------------------------------------------------- how often
def test_impressions_of_ads_are_counted_by_shopper_and_ad_where_they_are_sold() -> None:
    def kind_of(item_id: str) -> Facets:
        return Facets("camping", "b", "ad" if item_id.startswith("ad") else "product")

    events = [event("view_item_list", "ad1", "camping-1", at=NOW + at) for at in (50.0, 10.0, 30.0)]
    states = []
    for order in (events, events[::-1]):
        state: UserState | None = None
        for each in [*order, order[0]]:
            state, _ = folded(state, each, kind_of, epoch="e", rules=FoldRules(ads=True))
        assert state is not None
        states.append(state.ads)
    assert states[0] == states[1] == {"ad1": (NOW + 10, NOW + 30, NOW + 50)}
    assert [frequency.times_within(states[0], "ad1", NOW + 60, window) for window in (15.0, 40.0, 99.0)] == [1, 2, 3]
    unsold, _ = folded(None, events[0], kind_of, epoch="e")
    assert unsold is not None
    assert unsold.ads == {}


def test_frequencies_move_with_the_visitor_and_go_with_the_consent() -> None:
    user = UserState(epoch="e", is_user=True, ads={"a": (1.0, 5.0)})
    both = merged(user, "v", UserState(epoch="v", ads={"a": (3.0,), "b": (9.0,)}))
    assert both.ads == {"a": (1.0, 3.0, 5.0), "b": (9.0,)}
    assert deny(both, 10.0).ads == {}
    assert kept_since(both, 4.0, 200).ads == {"a": (5.0,), "b": (9.0,)}


def test_what_is_kept_of_a_shopper_is_bounded() -> None:
    seen: frequency.Seen = {}
    for at in range(300):
        seen = frequency.noted(seen, f"ad{at % 150}", float(at))
        seen = frequency.noted(seen, "always", float(at))
    assert len(seen) == frequency.MOST_ADS
    assert seen["always"] == tuple(float(at) for at in range(280, 300))


NO_STORAGE, STORAGE = Consent(ad_storage="denied"), Consent(ad_storage="granted")
PERSONAL = Consent(personalization_storage="granted")


def test_without_ad_storage_nothing_is_kept_of_the_ads_that_somebody_saw() -> None:
    def kind_of(item_id: str) -> Facets:
        return Facets("camping", "b", "ad" if item_id.startswith("ad") else "product")

    def seen(at: float, **more: Any) -> Event:
        return event("view_item_list", "ad1", "camping-1", at=NOW + at, **more)

    state: UserState | None = None
    found = []
    for each in (seen(1), seen(2, consent=NO_STORAGE), seen(3), seen(5, consent=STORAGE), seen(4), seen(6)):
        state, _ = folded(state, each, kind_of, epoch="e", rules=FoldRules(ads=True))
        assert state is not None
        found.append((state.ads.get("ad1", ()), set(state.shown)))
    both, own = {"ad1", "camping-1"}, {"camping-1"}
    once, twice = (NOW + 5,), (NOW + 5, NOW + 6)
    assert found == [((NOW + 1,), both), ((), own), ((), own), (once, both), (once, both), (twice, both)]
    strict = FoldRules(ads=True, consent_default=False)
    unasked, _ = folded(None, seen(1, consent=PERSONAL), kind_of, epoch="e", rules=strict)
    assert unasked is not None
    assert (unasked.ads, set(unasked.shown)) == ({}, own)
    user, visitor = UserState(epoch="e", ads={"a": (1.0,)}), UserState(epoch="v", ads={"a": (3.0,)}, shown={})
    said = visitor.ad_consent.heard(event("search", at=2.0, consent=NO_STORAGE))
    assert merged(user, "v", msgspec.structs.replace(visitor, ad_consent=said)).ads == {}


def test_who_wants_no_personal_ads_any_more_has_a_list_without_them_at_once() -> None:
    rules, no = FoldRules(ads=True), Consent(ad_personalization="denied")
    state, _ = folded(None, event("view_item", "a"), lambda _: None, epoch="e", rules=rules)
    assert state is not None
    denied, outcome = folded(state, event("view_item_list", "a", consent=no), lambda _: None, epoch="e", rules=rules)
    assert denied is not None
    assert (outcome, denied.version) == (Outcome.MOVED, state.version + 1)
    again = event("view_item_list", "b", at=NOW + 1, consent=no)
    assert folded(denied, again, lambda _: None, epoch="e", rules=rules)[1] is Outcome.NOTED
    assert decode_state(encode_state(denied)) == denied


# ---------------------------------------------------------------- from a list to the bill
def served(terms: Terms = TERMS) -> Any:
    items = (ServedItem("i0", 0.9, "knn", 0.5), ServedItem("ad1", 0.04, "ad", 0.3), ServedItem("i1", 0.8, "knn", 0.5))
    return pack(Served("s1", "u1", "home", NOW, "d", "m", items), {"ad1": terms})


def told(
    *whats: Any, now: float = NOW + 3, window: Window | None = None
) -> tuple[Window | None, list[FeedbackExample]]:
    found = []
    for what in whats:
        window, examples = fold(window, what, user_id="u1", now=now, rules=RULES)
        window = None if window is None else decode_window(encode_window(window))
        found += examples
    return window, found


SEEN = sign("view_item_list", "i0", "ad1", at=NOW + 1)
CLICKED = sign("select_item", "ad1", at=NOW + 3)


def test_a_click_on_an_ad_is_told_within_seconds_and_once() -> None:
    window, nothing = told(served(), SEEN, CLICKED, Close(("u1",), NOW + 3))
    assert (nothing, window and window.due) == ([], NOW + 5)
    window, [example] = told(Close(("u1",), NOW + 5), window=window, now=NOW + 5)
    assert [place.ad for place in example.places] == [None, TERMS, None]
    again, more = told(CLICKED, served(), sign("view_item_list", "i1", at=NOW + 9), window=window, now=NOW + 10)
    assert (more, again and again.due) == ([], NOW + 601)  # what else is told waits for the window's end
    assert [each.revision for each in told(Close(("u1",), NOW + 601), window=again, now=NOW + 601)[1]] == [1]


def test_a_click_before_the_record_of_its_list_is_told_when_that_has_come() -> None:
    window, _ = told(SEEN, CLICKED)
    window, _ = told(served(), window=window, now=NOW + 4)
    assert [each.revision for each in told(Close(("u1",), NOW + 6), window=window, now=NOW + 6)[1]] == [0]


def test_the_window_of_a_visitor_brings_its_ads_along() -> None:
    theirs, _ = told(served(), SEEN)
    assert theirs is not None
    window, _ = told(CLICKED, Handed("u1", "s1", theirs))
    assert window is not None
    assert (window.ads, window.due) == ({"ad1": TERMS}, NOW + 5)


def test_what_an_ad_earns_is_not_its_lists() -> None:
    window, _ = told(served(), SEEN, CLICKED)
    _, [example] = told(Close(("u1",), NOW + 9), window=window, now=NOW + 9)
    assert (example.reward, rewarded_of(example)) == (0.0, None)


NAMELESS = RULES._replace(nameless=True)


def close(window: Window | None, at: float, rules: JoinRules) -> tuple[Window | None, list[FeedbackExample]]:
    return fold(window, Close(("u1",), at), user_id="u1", now=at, rules=rules)


def test_without_ad_storage_a_click_is_billed_and_nobody_is_named() -> None:
    window, _ = told(served(), SEEN, CLICKED)
    _, [own, receipt] = close(window, NOW + 9, NAMELESS)
    assert [place.item_id for place in own.places] == ["i0", "i1"]
    assert (own.user_id, own.slate_id, own.revision) == ("u1", "s1", 0)
    assert (receipt.user_id, receipt.state, receipt.draw, receipt.decision) == ("", None, None, None)
    assert (receipt.at % 60, receipt.served_at % 60) == (0.0, 0.0)
    assert b"u1" not in (raw := encode_example(receipt))
    assert b"s1" not in raw
    book, rates, rewards = AdBook(), Rates(), Rewards(BanditRules())
    for example in (own, receipt, receipt):
        book.learn(example)
        rates.learn(example)
    assert book.spent(NOW) == {"spring": 0.25}
    assert sum(book._hours.values()) == rates.lists == 1
    assert [rewards.learn(example) for example in (own, receipt)] == [True, False]


def test_a_list_whose_ads_were_told_with_its_user_has_them_taken_back_by_a_revision_and_paid_for_once() -> None:
    window, _ = told(served(), SEEN, CLICKED)
    window, before = close(window, NOW + 9, RULES)
    window, _ = told(sign("view_item_list", "i1", at=NOW + 9), window=window, now=NOW + 10)
    window, after = close(window, NOW + 601, NAMELESS)
    window, _ = told(sign("select_item", "i1", at=NOW + 11), window=window, now=NOW + 602)
    _, last = close(window, NOW + 700, RULES)  # granted again: what was told apart stays so
    assert [[bool(each.user_id) for each in some] for some in (before, after, last)] == [
        [True],
        [True, False],
        [True, False],
    ]
    assert after[1].slate_id == last[1].slate_id
    book = AdBook()
    for example in (*before, *after, *last):
        book.learn(example)
        assert book.spent(NOW) in ({"spring": 0.25}, {"spring": 0.0})
    assert book.spent(NOW) == {"spring": 0.25}
    assert book.check(NOW)[0] == pytest.approx(1.0, rel=1e-3)  # its time is to the minute


def seen_ad(
    slate: str, clicked: float = 0.0, *, revision: int = 0, at: float = NOW, terms: Terms = TERMS, item_id: str = "ad1"
) -> FeedbackExample:  # noqa: E501
    actions = {"select_item": clicked} if clicked else {}
    place = Place(item_id, 0.04, "ad", 0.3, "c", True, 0.0, actions, 0.0, terms)
    return FeedbackExample(slate, "u", revision, "home", "d", "m", at, at, (place,))


def test_a_click_costs_what_was_agreed_once_whatever_comes_again() -> None:
    book = AdBook()
    assert book.learn(seen_ad("s1", NOW + 5))
    assert not book.learn(seen_ad("s1", NOW + 5))
    assert book.learn(seen_ad("s1", NOW + 4, revision=1))
    assert book.learn(seen_ad("s2"))
    assert book.learn(seen_ad("s2", NOW + 9, revision=1, terms=msgspec.structs.replace(TERMS, price=0.5)))
    assert book.spent(NOW) == {"spring": 0.75}
    assert book.spent(NOW + DAY) == {}
    assert book.check(NOW) == pytest.approx((2.0, 2 * 0.04))


def test_a_days_impressions_and_clicks_are_counted_by_campaign_and_revisions_take_back() -> None:
    book = AdBook()
    for n in range(3):
        book.learn(seen_ad(f"s{n}"))
    book.learn(seen_ad("s1", NOW + DAY, revision=1))  # clicked on the next day: of the impression's day all the same
    book.learn(seen_ad("other", at=NOW + DAY))
    for each in (book, AdBook.from_bytes(book.to_bytes())):
        assert each.tallies(NOW)["spring"] == pytest.approx((3.0, 3 * 0.04, 1.0))
        assert each.tallies(NOW + DAY)["spring"] == pytest.approx((1.0, 0.04, 0.0))
        assert (each.spent(NOW), each.spent(NOW + DAY)) == ({}, {"spring": 0.25})


def test_a_click_belongs_to_its_day() -> None:
    midnight = NOW - NOW % DAY + DAY
    book = AdBook()
    book.learn(seen_ad("s1", midnight - 1, at=midnight - 5))
    book.learn(seen_ad("s2", midnight + 1, at=midnight - 5))
    assert [book.spent(at) for at in (midnight - 1, midnight)] == [{"spring": 0.25}, {"spring": 0.25}]


def test_a_list_whose_ad_was_clicked_is_known_however_many_come_in_between() -> None:
    book = AdBook(max_lists=4, remember_s=DAY)
    book.learn(seen_ad("s1", NOW + 5))
    for n in range(100):
        book.learn(seen_ad(f"other{n}", at=NOW + n))
    book = AdBook.from_bytes(book.to_bytes(), remember_s=DAY)
    book.learn(seen_ad("s1", NOW + 5, revision=1))
    assert book.spent(NOW) == {"spring": 0.25}
    book.learn(seen_ad("s2", NOW + 5, at=NOW + 2 * DAY))  # what is older than that is forgotten
    assert len(book._paid) == 1


def test_a_revision_that_comes_again_with_more_in_it_counts_with_all_of_it() -> None:
    book = AdBook()
    book.learn(seen_ad("s1"))
    assert book.learn(seen_ad("s1", NOW + 5))
    assert not book.learn(seen_ad("s1", NOW + 5))
    assert book.spent(NOW) == {"spring": 0.25}


def test_a_click_from_before_its_list_is_paid_for_on_the_day_of_the_list() -> None:
    book = AdBook()
    book.learn(seen_ad("s1", NOW - 5 * DAY))
    assert (book.spent(NOW), book.spent(NOW - 5 * DAY)) == ({"spring": 0.25}, {})


def test_a_click_on_an_ad_is_no_taste() -> None:
    def an_ad(_: str) -> Facets:
        return Facets("camping", "b", "ad")

    state, _ = folded(None, event("select_item", "ad1"), an_ad, epoch="e", rules=FoldRules(ads=True))
    state, _ = folded(state, event("not_interested", "ad1", at=NOW + 9), an_ad, epoch="e", rules=FoldRules(ads=True))
    assert state is not None
    assert (state.history, state.categories, state.brands, list(state.hidden)) == ((), {}, {}, ["ad1"])


def test_in_whatever_order_workers_read_they_have_the_same_book() -> None:
    rng = random.Random(2)
    examples = [
        seen_ad(f"s{n}", NOW + n if rng.random() < 0.3 else 0.0, revision=revision, at=NOW + n, item_id=f"ad{n % 7}")
        for n in range(60)
        for revision in range(2)
    ]
    books = []
    for _ in range(3):
        rng.shuffle(examples)
        book = AdBook()
        for example in examples + examples[:9]:
            book.learn(example)
        books.append(book)
    first, *others = books
    for other in others:
        assert other.spent(NOW) == pytest.approx(first.spent(NOW))
        assert other.check(NOW) == pytest.approx(first.check(NOW))
        assert other.odds(NOW + 99).qualities == pytest.approx(first.odds(NOW + 99).qualities)
        assert other.traffic(NOW + 9 * HOUR_S) == first.traffic(NOW + 9 * HOUR_S)


def test_a_book_goes_on_from_its_snapshot_and_after_a_new_log_from_its_beginning() -> None:
    book = AdBook()
    book.learn(seen_ad("s1", NOW + 5))
    book.offsets = {0: 7}
    again = AdBook.from_bytes(book.to_bytes())
    assert (again.offsets, again.spent(NOW)) == ({0: 7}, {"spring": 0.25})
    assert not again.learn(seen_ad("s1", NOW + 5))
    assert again.learn(seen_ad("s1", 0.0, revision=1))
    assert again.spent(NOW) == {"spring": 0.0}
    assert AdBook.from_bytes(book.to_bytes(), rewound=True).offsets == {}
    with pytest.raises(ModelError, match="delete it"):
        AdBook.from_bytes(b"nothing")


def test_quality_nearness_and_place_are_told_apart() -> None:
    """Two ads of the same quality, one always near and first, one far and second: what differs are the factors."""
    book, rng = AdBook(), random.Random(7)
    truth, odds = {"ad1": 0.04, "ad2": 0.04, "ad3": 0.08}, Odds()
    for n in range(9_000):
        if n % 300 == 0:
            odds = book.odds(NOW + n)
        item_id, near, place = rng.choice(("ad1", "ad2", "ad3")), rng.choice((0, 6)), rng.choice((0, 1))
        lift, seat = odds.lifts[near], odds.seat("home", place)
        quality = float(odds.quality([item_id])[0])
        terms = Terms(item_id, 0.1, quality * lift * seat, quality * lift * seat, near, place)
        true = truth[item_id] * (2.0 if near else 1.0) * (0.5 if place else 1.0)
        book.learn(seen_ad(f"s{n}", NOW + n if rng.random() < true else 0.0, at=NOW + n, terms=terms, item_id=item_id))
    odds = book.odds(NOW + 9_000)
    assert odds.lifts[6] / odds.lifts[0] == pytest.approx(2.0, rel=0.25)
    assert odds.seat("home", 1) / odds.seat("home", 0) == pytest.approx(0.5, rel=0.25)
    one, two, three = odds.quality(["ad1", "ad2", "ad3"])
    assert (one / two, three / one) == (pytest.approx(1.0, rel=0.3), pytest.approx(2.0, rel=0.3))
