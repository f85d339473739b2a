"""Simulated shoppers: the same under the same seed, with interests that show in what they do, drift and jump."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import islice
from random import Random

from rec.demo.shoppers import PAGE, Shopper, crowd, demo_history, simulate
from rec.demo.tastes import Shop, Taste
from rec.demo.world import demo_catalog
from rec.events import ACTIONS, Attribution, Event, decode_event, encode_event

CATALOG = demo_catalog()
SHOP = Shop(CATALOG)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
CATEGORY = {item.item_id: item.category for item in CATALOG}


def events(count: int, seed: int = 1, shoppers: int = 20) -> list[Event]:
    return list(islice(simulate(CATALOG, shoppers, seed=seed, now=NOON.timestamp()), count))


def test_the_same_seed_gives_the_same_events_and_another_seed_others() -> None:
    assert events(400) == events(400)
    assert events(400) != events(400, seed=2)


def test_events_come_in_the_order_of_time_with_ids_of_their_own() -> None:
    made = events(1_000)
    times = [event.client_ts for event in made if event.client_ts is not None]
    assert times == sorted(times)
    assert len(times) == len({event.event_id for event in made}) == 1_000
    assert times[0] > NOON


def test_every_event_obeys_the_wire_form() -> None:
    for event in events(1_000):
        assert decode_event(encode_event(event)) == event
        assert event.event in ACTIONS
        assert bool(event.items) == ACTIONS[event.event].needs_items
        assert all(item.item_id in SHOP.items for item in event.items)


def test_a_click_is_followed_by_a_view_and_a_purchase_names_what_was_in_the_cart() -> None:
    visits: dict[str | None, list[Event]] = {}
    for event in events(6_000, shoppers=30):
        visits.setdefault(event.session_id, []).append(event)
    purchases = 0
    for visit in visits.values():
        cart: list[str] = []
        for event, following in zip(visit, [*visit[1:], None], strict=True):
            ids = [item.item_id for item in event.items]
            if event.event == "select_item" and following is not None:
                assert following.event == "view_item"
                assert [item.item_id for item in following.items] == ids
            if event.event == "add_to_cart":
                cart += ids
            elif event.event == "remove_from_cart":
                cart.remove(ids[0])
            elif event.event == "purchase":
                purchases += 1
                assert set(ids) == set(cart)
                assert event.value == round(sum(SHOP.items[item_id].price or 0 for item_id in ids), 2)
                assert event.transaction_id
                assert event.currency == "EUR"
    assert purchases > 20


def test_gaps_within_a_visit_are_exponential() -> None:
    made = [event for event in events(8_000, shoppers=1)]
    gaps = [
        (b.client_ts - a.client_ts).total_seconds()
        for a, b in zip(made, made[1:], strict=False)
        if a.session_id == b.session_id and a.client_ts and b.client_ts
    ]
    mean = sum(gaps) / len(gaps)
    assert 18 < mean < 22  # THINK_S
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert 0.9 < deviation / mean < 1.1  # the mark of an exponential distribution


def test_what_shoppers_click_follows_their_hidden_interests() -> None:
    shopper = Shopper("u", SHOP, Random(5))
    hits = clicks = 0
    for _ in range(1_500):
        event = shopper.act(0.0)
        top = sorted(shopper.taste.interests, key=shopper.taste.interests.__getitem__)[-2:]
        if event.event == "select_item":
            clicks += 1
            hits += CATEGORY[event.items[0].item_id] in top
    assert hits / clicks > 0.75


def test_interests_drift_and_sometimes_jump() -> None:
    rng = Random(3)
    taste = Taste(SHOP, rng)
    before = dict(taste.interests)
    jumps = [taste.drift(rng) for _ in range(300)]
    assert taste.interests != before
    assert math.isclose(sum(taste.interests.values()), 1.0)
    assert all(weight > 0 for weight in taste.interests.values())
    assert 5 < sum(jumps) < 40


def test_a_jump_puts_something_new_first() -> None:
    rng = Random(4)
    taste = Taste(SHOP, rng)
    changes = 0
    for _ in range(400):
        main = taste.main
        if taste.drift(rng) and taste.main != main:
            changes += 1
    assert changes > 10


def test_a_shopper_who_is_shown_a_list_acts_on_it_and_names_it() -> None:
    shopper = Shopper("u", SHOP, Random(6))
    liked = [item.item_id for item in CATALOG if item.category == shopper.taste.main and item.in_stock][:30]
    shopper.show(["unknown-item", *liked], Attribution("slate-1", 4))
    made = [shopper.act(0.0) for _ in range(600)]
    lists = [event for event in made if event.event == "view_item_list" and event.attribution]
    clicks = [event for event in made if event.event == "select_item" and event.attribution]
    assert lists
    assert clicks
    for event in lists:
        assert [item.item_id for item in event.items] == liked[:PAGE]
        assert [item.index for item in event.items] == list(range(PAGE))
    for event in clicks:
        assert event.attribution == Attribution("slate-1", 4)
        assert event.items[0].item_id == liked[event.items[0].index or 0]


def test_what_stands_further_up_is_clicked_more_often() -> None:
    people = crowd(SHOP, 40, seed=2)
    places: Counter[int] = Counter()
    for shopper in people:
        liked = [item.item_id for item in CATALOG if item.category == shopper.taste.main and item.in_stock]
        for turn in range(60):
            shopper.show(Random(turn).sample(liked, PAGE), Attribution("s", turn))
            event = shopper.act(0.0)
            if event.event == "select_item" and event.attribution is not None:
                places[event.items[0].index or 0] += 1
    assert places[0] > 2 * places[6] > 0


def test_a_list_of_unknown_products_is_not_seen() -> None:
    shopper = Shopper("u", SHOP, Random(6))
    shopper.show(["gone-1", "gone-2"], Attribution("slate-1", 4))
    assert all(shopper.act(0.0).attribution is None for _ in range(100))


# ------------------------------------------------------------------ history
def test_the_past_is_complete_ends_when_it_should_and_spans_days() -> None:
    history = demo_history(CATALOG, seed=7, until=NOON)
    assert len(history) == 6_000
    assert history[-1].event_ts == NOON
    times = [event.event_ts for event in history if event.event_ts is not None]
    assert times == sorted(times)
    assert timedelta(days=2) < times[-1] - times[0] < timedelta(days=7)
    assert all(event.received_ts == event.event_ts == event.client_ts for event in history)
    assert len({event.event_id for event in history}) == 6_000
    assert len({event.user_id for event in history}) > 250


def test_the_past_is_the_same_for_the_same_seed_and_moment() -> None:
    one = demo_history(CATALOG, seed=7, until=NOON, events=500, shoppers=50)
    assert one == demo_history(CATALOG, seed=7, until=NOON, events=500, shoppers=50)
    later = demo_history(CATALOG, seed=7, until=NOON + timedelta(days=1), events=500, shoppers=50)
    assert {event.event_id for event in one}.isdisjoint(event.event_id for event in later)


def test_the_past_holds_every_kind_of_action_and_a_long_tail_of_products() -> None:
    history = demo_history(CATALOG, seed=7, until=NOON)
    kinds = Counter(event.event for event in history)
    assert {"view_item_list", "select_item", "view_item", "add_to_cart", "purchase", "search"} <= set(kinds)
    assert kinds["view_item"] > kinds["add_to_cart"] > kinds["purchase"] > 50
    viewed = Counter(event.items[0].item_id for event in history if event.event == "view_item")
    counts = sorted(viewed.values(), reverse=True)
    assert len(viewed) > 400
    assert sum(counts[: len(counts) // 10]) > 0.2 * sum(counts)
