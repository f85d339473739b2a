"""Smoothed CTR and CVR: what is counted, what is taken back, how it decays, and how sure it is."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.ads.terms import Terms
from rec.dwell import Reward
from rec.errors import ModelError
from rec.feedback import FeedbackExample, Place
from rec.priors import JEFFREYS, Prior
from rec.rates import Rates, rate_of

NOW = 1_700_000_000.0
DAY = 86_400.0


def place(item_id: str, *actions: str, seen: bool = True, category: str = "camping") -> Place:
    happened = {name: NOW for name in actions}
    return Place(item_id, 0.5, "rules", None, category, seen, Reward().of(happened), happened)


def example(slate: str, *places: Place, revision: int = 0, at: float = NOW, placement: str = "home") -> FeedbackExample:
    return FeedbackExample(slate, "u1", revision, placement, "default", "gate-0", at, at, places)


def counts(rates: Rates, kind: str, key: str, now: float = NOW) -> tuple[float, float, float] | None:
    rows = rates.rows(kind, now, key=key)  # type: ignore[arg-type]
    return (rows[0].seen, rows[0].clicks, rows[0].purchases) if rows else None


def test_seen_clicked_and_bought_are_counted_by_item_category_placement_and_strategy() -> None:
    rates = Rates()
    rates.learn(example("s1", place("a", "select_item"), place("b"), place("c", seen=False), placement="cart"))
    rates.learn(example("s2", place("a", "purchase"), place("d", category="music")))
    assert counts(rates, "item", "a") == (2, 2, 1)
    assert counts(rates, "item", "b") == (1, 0, 0)
    assert counts(rates, "item", "c") is None
    assert counts(rates, "category", "camping") == (3, 2, 1)
    assert counts(rates, "placement", "cart") == (2, 1, 0)
    assert counts(rates, "strategy", "default") == counts(rates, "all", "all") == (4, 2, 1)
    assert [row.key for row in rates.rows("item", NOW, limit=2)] == ["a", "b"]


def test_an_ad_counts_for_itself_and_not_for_its_list() -> None:
    rates = Rates()
    ad = Place(
        "ad1", 0.1, "ad", None, "camping", True, 0.0, {"select_item": NOW}, 0.0, Terms("spring", 0.2, 0.1, 0.1, 0, 0)
    )
    rates.learn(example("s1", ad, place("a")))
    assert (counts(rates, "item", "ad1"), counts(rates, "placement", "home")) == ((1, 1, 0), (1, 0, 0))


def test_an_action_that_does_not_want_the_item_is_no_click() -> None:
    rates = Rates()
    rates.learn(example("s1", place("a", "not_interested"), place("b", "remove_from_cart")))
    assert counts(rates, "all", "all") == (2, 0, 0)


@settings(max_examples=50, deadline=None)
@given(order=st.permutations([0, 0, 1, 2, 2]))
def test_of_several_revisions_the_newest_counts_in_whatever_order_they_come(order: list[int]) -> None:
    versions = [
        example("s1", place("a"), place("b", seen=False)),
        example("s1", place("a", "select_item"), place("b"), revision=1, at=NOW - 5),
        example("s1", place("a", "purchase"), place("b"), revision=2, at=NOW - 9),
    ]
    rates = Rates()
    for number in order:
        rates.learn(versions[number])
    assert counts(rates, "item", "a") == pytest.approx((1, 1, 1), abs=1e-4)
    assert counts(rates, "item", "b") == pytest.approx((1, 0, 0), abs=1e-4)
    assert rates.lists == 1


def test_counts_decay_by_half_in_a_half_life_and_the_order_of_the_lists_does_not_matter() -> None:
    lists = [example(f"s{n}", place("a", "select_item"), at=NOW - n * DAY) for n in range(5)]
    expected = sum(0.5**n for n in range(5))
    for seed in range(3):
        rates = Rates(half_life_s=DAY)
        for each in random.Random(seed).sample(lists, len(lists)):
            rates.learn(each)
        assert counts(rates, "item", "a") == pytest.approx((expected, expected, 0))
        assert counts(rates, "item", "a", NOW + DAY) == pytest.approx((expected / 2, expected / 2, 0))


def test_a_thing_seen_seldom_is_thought_to_be_like_the_others_and_one_seen_often_like_itself() -> None:
    rates = Rates()
    for n in range(400):
        clicked = ("select_item",) if n % 10 == 0 else ()
        others = (place(f"other {number}", *clicked) for number in range(12))
        rates.learn(example(f"s{n}", place("often", *(("select_item",) if n % 2 else ())), *others))
    rates.learn(example("last", place("seldom", "select_item")))
    often, seldom = (rates.rows("item", NOW, key=key)[0].ctr for key in ("often", "seldom"))
    assert often.value == pytest.approx(0.49, abs=0.02)
    assert often.low < 0.5 < often.high < often.low + 0.1
    assert 0.15 < seldom.value < 0.6  # alone it would be 0.75
    assert seldom.high - seldom.low > 0.3


def test_with_few_parts_a_part_says_of_itself_what_the_whole_says_and_no_more() -> None:
    """Five looks, one click: the same 2 to 63 % for the only strategy as for everything."""
    rates = Rates()
    for n in range(5):
        rates.learn(example(f"s{n}", place("a", *(("select_item",) if n == 0 else ()))))
    (whole,), (part,) = rates.rows("all", NOW), rates.rows("strategy", NOW)
    assert part.ctr == whole.ctr
    assert (round(part.ctr.low, 3), round(part.ctr.high, 3)) == (0.023, 0.629)


def test_a_part_without_a_click_claims_nothing_about_purchases() -> None:
    rates = Rates()
    for n in range(256):
        rates.learn(example(f"none{n}", place("a"), placement="cart"))
        rates.learn(example(f"all{n}", place("b", "purchase"), placement="home"))
    (cart,) = rates.rows("placement", NOW, key="cart")
    assert cart.clicks == 0
    assert cart.cvr.low < 0.01
    assert cart.cvr.high > 0.99


def test_intervals_hold_the_true_rate_about_as_often_as_they_say() -> None:
    rng, inside = random.Random(1), 0
    for _ in range(400):
        truth = rng.betavariate(2, 18)
        hits = sum(rng.random() < truth for _ in range(60))
        rate = rate_of(hits, 60, Prior(2, 18))
        inside += rate.low <= truth <= rate.high
    assert 0.92 <= inside / 400 <= 0.98


def test_with_nothing_seen_the_prior_speaks() -> None:
    rate = rate_of(0, 0, JEFFREYS)
    assert rate.value == 0.5
    assert rate.low < 0.01
    assert rate.high > 0.99
    assert Rates().rows("item", NOW) == []


def test_keys_and_lists_that_are_remembered_are_bounded() -> None:
    rates = Rates(max_lists=100, max_keys=50)
    for n in range(500):
        rates.learn(example(f"s{n}", place("hit"), place(f"i{n}"), placement=f"p{n}"))
    assert len(rates.rows("item", NOW, limit=10**6)) <= 51
    assert len(rates.rows("placement", NOW, limit=10**6)) <= 51
    assert counts(rates, "item", "hit") == pytest.approx((500, 0, 0))


def test_a_snapshot_gives_the_same_rates_and_goes_on_without_counting_twice() -> None:
    rates = Rates()
    rates.offsets = {0: 7}
    for n in range(30):
        rates.learn(example(f"s{n}", place("a", "select_item"), place(f"i{n}")))
    again = Rates.from_bytes(rates.to_bytes())
    assert again.rows("item", NOW) == rates.rows("item", NOW)
    assert (again.offsets, again.lists, again.through) == ({0: 7}, 30, NOW)
    assert not again.learn(example("s3", place("a")))
    assert Rates.from_bytes(rates.to_bytes(), rewound=True).offsets == {}


def test_what_is_no_snapshot_is_refused() -> None:
    with pytest.raises(ModelError, match="no snapshot of rates"):
        Rates.from_bytes(b"nonsense")
