"""Sponsored places of real lists: marked, at their places, beside an organic list without any; who is left out."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from rec.ads.book import AdBook
from rec.ads.market import AdRules, Market
from rec.ads.terms import Terms
from rec.catalog import Item
from rec.events import Consent
from rec.feedback import FeedbackExample, Place
from rec.policy.rules import Rulebook, rule_of
from rec.recommend import World, recommend
from rec.scenes import Scenes, scenes_of
from rec.simulate.ads import Setting, days_of_ads
from rec.slates import Slate, decode_slate, encode_slate
from rec.state import UserState
from tests.unit.shop import NOW, after, ask, event, item, shop, vector

DAY = 86_400.0
VIEWED = [event("view_item", "camping-1", at=NOW - 50)]


def ad(item_id: str, bid: float = 0.5, **more: Any) -> Item:
    lead = more.pop("item", "camping-9")
    attributes = {"bid": bid, "daily_budget": 10, "item": lead} | more.pop("attributes", {})
    return item(item_id, kind="ad", attributes=attributes, **more)


def market(*ads: Item, sponsored: tuple[int, ...] = (1,), full: bool = True) -> tuple[World, Market]:
    """The shop with these ads. `full`: every campaign takes part in every auction."""
    of, sells = shop(), Market(AdRules(reserve=0.05))
    of.catalog.upsert(ads)
    of.catalog.set_vectors({each.item_id: vector(each.item_id) for each in ads})
    of.scenes = Scenes(scenes_of({"home": {"sponsored": sponsored}}))
    of.scenes.sell = sells.sell
    for _ in range(40 if full else 0):  # nothing was spent: half an hour later everybody takes part
        sells.pace(of.catalog.view(), NOW + 60)
    return of, sells


def listed(of: World, state: UserState | None = None, *, n: int = 8, at: float = NOW, **more: Any) -> Slate:
    return recommend(ask(state, n=n, **more), of, now=at, rng=random.Random(1))


def ads_of(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items if place.source == "ad"]


# ---------------------------------------------------------------- on the wire
def test_an_ad_is_marked_at_its_place_and_the_rest_is_the_organic_list_that_is_shorter_by_it() -> None:
    of, sells = market(ad("camping-900", 0.5), ad("music-901", 0.4, attributes={"campaign": "two"}), sponsored=(1, 4))
    slate = listed(of, after(VIEWED, of))
    assert [at for at, place in enumerate(slate.items) if place.source == "ad"] == [1, 4]
    assert len(slate.items) == 8
    first = decode_slate(encode_slate(slate)).items[1]
    assert (first.item_id, first.reason.kind, first.reason.item_id) == ("camping-900", "sponsored", "camping-9")
    assert (first.item["sponsored"], first.item["leads_to"], first.item["title"]) == (
        True,
        "camping-9",
        "The camping thing 900",
    )
    of.scenes.sell = None
    organic = [place.item_id for place in slate.items if place.source != "ad"]
    assert organic == [place.item_id for place in listed(of, after(VIEWED, of, learn=False), n=6).items]
    terms = sells.taken(slate.slate_id)
    assert {name: each.campaign for name, each in terms.items()} == {"camping-900": "camping-900", "music-901": "two"}
    assert sells.taken(slate.slate_id) == {}


def test_what_an_ad_does_not_say_of_itself_its_product_does() -> None:
    of, _ = market(ad("camping-900", item="camping-9", image_url="/own.svg"))
    product = of.catalog.get("camping-9")
    assert product is not None
    of.catalog.upsert([msgspec.structs.replace(product, price=12.0, currency="EUR", url="/p", image_url="/theirs.svg")])
    shown = listed(of).items[1].item
    assert (shown["price"], shown["url"], shown["image_url"]) == (12.0, "/p", "/own.svg")


def test_an_ad_is_on_no_organic_list_and_lists_without_sponsored_places_have_none() -> None:
    of, _ = market(ad("camping-900"))
    of.counters.learn(event("purchase", "camping-900", user_id="other"))
    for placement in ("cart", "item", "feed", "pdp"):
        assert ads_of(listed(of, placement=placement, n=90)) == []
        assert "camping-900" not in {place.item_id for place in listed(of, placement=placement, n=90).items}
    assert [place.item_id for place in listed(of, n=90).items].count("camping-900") == 1


def test_a_list_of_one_and_one_that_is_too_short_have_no_ad() -> None:
    of, _ = market(ad("camping-900"), sponsored=(3,))
    assert [ads_of(listed(of, n=n)) for n in (1, 3, 4)] == [[], [], ["camping-900"]]
    of, _ = market(ad("camping-900"), sponsored=(0,))
    assert [ads_of(listed(of, n=n)) for n in (1, 2)] == [[], ["camping-900"]]


# ---------------------------------------------------------------- who is left out
@pytest.mark.parametrize(
    "change",
    [
        {"ad": {"flagged": True}},
        {"ad": {"in_stock": False}},
        {"ad": {"attributes": {"bid": "nonsense", "daily_budget": 1, "item": "camping-9"}}},
        {"ad": {"attributes": {"bid": 0.01, "daily_budget": 1, "item": "camping-9"}}},
        {"ad": {"attributes": {"bid": 0.5, "daily_budget": 1, "item": "nothing"}}},
        {"ad": {"attributes": {"bid": 0.5, "daily_budget": 1, "item": "camping-9", "min_age": 18}}},
        {"product": {"flagged": True}},
        {"product": {"in_stock": False}},
        {"product": {"attributes": {"regions": "DE"}}},
    ],
)
def test_no_ad_that_may_not_be_shown_nor_one_whose_product_may_not(change: dict[str, Any]) -> None:
    of, sells = market(ad("camping-900"))
    assert ads_of(listed(of)) == ["camping-900"]
    which, fields = next(iter(change.items()))
    before = of.catalog.get("camping-900" if which == "ad" else "camping-9")
    assert before is not None
    of.catalog.upsert([msgspec.structs.replace(before, **fields)])
    sells.pace(of.catalog.view(), NOW)
    assert ads_of(listed(of)) == []


def test_a_rule_excludes_an_ad_and_the_product_of_an_ad() -> None:
    for condition in ('kind = "ad"', 'item_id = "camping-9"'):
        of, _ = market(ad("camping-900"))
        of.rulebook = Rulebook([rule_of({"rule_id": "r", "effect": "exclude", "condition": condition})], 1)
        assert ads_of(listed(of)) == []


@pytest.mark.parametrize(
    "did",
    [
        event("not_interested", "camping-900", at=NOW - 9),
        event("not_interested", "camping-9", at=NOW - 9),
        event("purchase", "camping-9", at=NOW - 9),
    ],
)
def test_not_what_the_shopper_does_not_want_nor_what_they_have_bought(did: Any) -> None:
    of, _ = market(ad("camping-900"))
    assert ads_of(listed(of, after([*VIEWED, did], of))) == []


def test_not_the_product_that_the_page_is_about() -> None:
    of, _ = market(ad("camping-900"))
    assert ads_of(listed(of, item_id="camping-9")) == []
    assert ads_of(listed(of, item_id="camping-8")) == ["camping-900"]


def test_an_ad_that_was_seen_often_enough_rests_until_its_window_is_over() -> None:
    of, _ = market(ad("camping-900", attributes={"frequency_cap": 2, "frequency_hours": 1}))
    of.rules = of.rules._replace(ads=True)
    seen = [event("view_item_list", "camping-900", at=NOW - at) for at in (1_800.0, 60.0)]
    assert ads_of(listed(of, after([*VIEWED, seen[0]], of))) == ["camping-900"]
    state = after([*VIEWED, *seen], of)
    assert ads_of(listed(of, state)) == []
    assert ads_of(listed(of, state, at=NOW + 1_900)) == ["camping-900"]


def test_a_campaign_whose_budget_is_spent_is_out_until_midnight_utc() -> None:
    of, sells = market(ad("camping-900", attributes={"daily_budget": 1.0}))
    book, terms = AdBook(), Terms("camping-900", 0.5, 0.02, 0.02, 0, 0)
    for n in range(2):
        assert ads_of(listed(of)) == ["camping-900"]
        place = Place("camping-900", 0.02, "ad", 1.0, "", True, 0.0, {"select_item": NOW}, 0.0, terms)
        book.learn(FeedbackExample(f"s{n}", "u", 0, "home", "d", "m", NOW, NOW, (place,)))
        sells.paid(book, NOW)
    assert ads_of(listed(of)) == []
    assert sells.spending(of.catalog.view(), NOW) == {"camping-900": (1.0, 1.0)}
    assert ads_of(listed(of, at=NOW - NOW % DAY + DAY + 1)) == ["camping-900"]


# ---------------------------------------------------------------- who gets which
def near_and_far() -> tuple[World, Market]:
    """Two ads alike but for what they are about, and a book that knows that nearness counts."""
    of, sells = market(ad("camping-900", 0.5), ad("music-901", 0.5, item="music-9"))
    book, rng = AdBook(), random.Random(1)
    for n in range(4_000):
        near = rng.choice((0, 7))
        clicked = rng.random() < (0.08 if near else 0.02)
        terms = Terms("x", 0.1, 0.05, 0.05, near, 0)
        actions = {"select_item": NOW} if clicked else {}
        place = Place(rng.choice(("camping-900", "music-901")), 0.02, "ad", 1.0, "", True, 0.0, actions, 0.0, terms)
        book.learn(FeedbackExample(f"s{n}", "u", 0, "home", "d", "m", NOW, NOW, (place,)))
    sells.believe(book, NOW)
    return of, sells


def test_the_ad_that_is_near_to_what_the_shopper_does_wins() -> None:
    for history in ("camping", "music"):
        of, _ = near_and_far()
        slate = listed(of, after([event("view_item", f"{history}-{n}", at=NOW - 50 + n) for n in (1, 2)], of))
        assert [each.split("-")[0] for each in ads_of(slate)] == [history]
        assert 0.02 < slate.items[1].score < 0.2


def test_without_consent_nothing_personal_goes_into_the_choice_of_an_ad() -> None:
    of, sells = near_and_far()
    state = after([event("view_item", "music-1", at=NOW - 50)], of)
    assert state is not None
    denied = msgspec.structs.replace(
        state, consent=False, ads={"camping-900": (NOW - 1,) * 20, "music-901": (NOW - 1,) * 20}
    )
    everybody, theirs = listed(of), listed(of, denied)
    assert ads_of(theirs) == ads_of(everybody) != []
    assert theirs.items[1].score == everybody.items[1].score
    assert [terms.near for terms in sells.taken(theirs.slate_id).values()] == [0]


def test_without_ad_personalization_ads_follow_the_page_alone_and_not_the_shopper() -> None:
    of, sells = near_and_far()
    viewed = event("view_item", "music-1", at=NOW - 50)
    said = msgspec.structs.replace(viewed, event_id="no", consent=Consent(ad_personalization="denied"))
    personal, state = after([viewed], of), after([viewed, said, event("purchase", "music-9", at=NOW - 10)], of)
    assert state is not None
    assert state.history  # of what they did the organic list is made as ever
    assert ads_of(listed(of, personal)) == ["music-901"]
    theirs, everybody = listed(of, state), listed(of)
    assert ads_of(theirs) == ads_of(everybody)
    assert theirs.items[1].score == everybody.items[1].score
    assert [terms.near for terms in sells.taken(theirs.slate_id).values()] == [0]
    for page in ("camping", "music"):
        assert ads_of(listed(of, state, item_id=f"{page}-2")) == [f"{page}-90{int(page == 'music')}"]
    hidden = after([viewed, said, event("not_interested", "music-901", at=NOW - 9)], of)
    assert ads_of(listed(of, hidden, item_id="music-2")) == ["camping-900"]  # what they said of it themselves holds


def test_without_ad_storage_no_cap_is_counted_and_what_caps_is_pace_and_budget() -> None:
    of, _ = market(ad("camping-900", attributes={"frequency_cap": 1}))
    of.rules = of.rules._replace(ads=True)
    seen = event("view_item_list", "camping-900", at=NOW - 9)
    assert ads_of(listed(of, after([*VIEWED, seen], of))) == []
    seen = msgspec.structs.replace(seen, consent=Consent(ad_storage="denied"))
    assert ads_of(listed(of, after([*VIEWED, seen], of))) == ["camping-900"]


def test_sensitive_categories_are_no_ground_for_an_ad() -> None:
    of, sells = near_and_far()
    of.rules = of.rules._replace(sensitive=frozenset({"music"}))
    slate = listed(of, after([event("view_item", "music-1", at=NOW - 50)], of))
    assert [terms.near for terms in sells.taken(slate.slate_id).values()] == [0]


def test_the_ads_of_a_shopper_stay_as_they_are_for_a_minute() -> None:
    of, _ = market(*(ad(f"camping-{900 + n}", item=f"music-{n}") for n in range(9)), full=False)
    minute = NOW - NOW % 60
    lists = {tuple(ads_of(listed(of, after(VIEWED, of, learn=False), at=minute + at))) for at in range(0, 60, 7)}
    assert len(lists) == 1
    assert len({tuple(ads_of(listed(of, at=minute + 60 * at))) for at in range(40)}) > 3


# ---------------------------------------------------------------- a day
def test_over_a_day_of_changing_traffic_budgets_are_spent_and_p_click_is_true() -> None:
    day = days_of_ads(Setting(lists=3_000, days=2, clicks=0.3, campaigns=4, wanted=100, shoppers=500), seed=1)
    assert day.off_budget < 0.02
    assert day.off_chance < 0.10
    assert day.over_cap == 0
