"""What a placement shows is one value: kinds, what it follows, its reward; and what is not configured is as ever."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from rec.catalog import Item
from rec.config import load_settings
from rec.dwell import Reward
from rec.errors import BadInput, ConfigError
from rec.explain import barriers
from rec.recommend import World, plan, recommend
from rec.scenes import BUILT_IN, EVERYTHING, Scene, Scenes, scenes_of
from rec.search.permission import permission
from rec.slates import Slate, encode_slate
from rec.value import Worth
from tests.unit.shop import CATEGORIES, NOW, after, ask, event, item, shop, vector

HISTORY = [event("view_item", "camping-1", at=NOW - 50), event("add_to_cart", "camping-2", at=NOW - 40)]


def listed(of: World, placement: str, *, n: int = 12, learned: bool = True, **more: Any) -> Slate:
    state = after(HISTORY, of) if learned else None
    return recommend(ask(state, placement=placement, n=n, **more), of, now=NOW, rng=random.Random(4))


def with_content(scenes: Scenes | None = None) -> World:
    """The shop with two articles and a video for each department, and a recipe, which is a kind of its own."""
    of = shop()
    content = [
        item(f"{category}-{100 + n}", kind="video" if n == 2 else "article", attributes={"length_s": 90})
        for category in CATEGORIES
        for n in range(3)
    ]
    of.catalog.upsert([*content, item("kitchen-200", kind="recipe")])
    of.catalog.set_vectors({each.item_id: vector(each.item_id) for each in content})
    if scenes is not None:
        of.scenes = scenes
    return of


def kinds(of: World, slate: Slate) -> set[str]:
    found = [of.catalog.get(place.item_id) for place in slate.items]
    return {each.kind for each in found if each is not None}


# ---------------------------------------------------------------- as ever
@pytest.mark.parametrize(
    ("placement", "more"), [("home", {}), ("item", {"item_id": "music-3"}), ("cart", {}), ("pdp", {})]
)
def test_lists_of_a_catalog_of_products_are_the_same_to_the_bit_with_the_built_in_placements(
    placement: str, more: dict[str, Any]
) -> None:
    before, now = shop(), shop()
    now.scenes = Scenes(BUILT_IN)
    assert before.scenes is EVERYTHING
    assert encode_slate(listed(before, placement, **more)) == encode_slate(listed(now, placement, **more))


def test_the_cart_follows_what_lies_in_it_and_no_other_placement_does() -> None:
    of = shop()
    of.scenes = Scenes(scenes_of({"basket": {"follows": "cart"}, "cart": {"follows": "page"}}))
    state = after(HISTORY, of)
    anchors = {
        name: [anchor.action for anchor in plan(ask(state, placement=name), of.shelf(NOW), of, NOW).anchors]
        for name in ("basket", "cart", "home")
    }
    assert anchors == {
        "basket": ["add_to_cart"],
        "cart": ["add_to_cart", "view_item"],
        "home": ["add_to_cart", "view_item"],
    }


# ---------------------------------------------------------------- kinds
def test_home_shows_no_articles_and_the_feed_nothing_else() -> None:
    of = with_content(Scenes(BUILT_IN))
    assert kinds(of, listed(of, "home", n=90)) == {"product", "recipe"}
    feed = listed(of, "feed")
    assert kinds(of, feed) == {"article", "video"}
    assert len(feed.items) == 12


def test_a_feed_follows_what_the_shopper_did_with_products_too() -> None:
    of = with_content(Scenes(BUILT_IN))
    assert {place.item_id.split("-")[0] for place in listed(of, "feed", n=3).items} == {"camping"}


def test_a_placement_of_ones_own_mixes_kinds_as_it_says() -> None:
    of = with_content(Scenes(scenes_of({"magazine": {"kinds": ["recipe", "video"]}, "all": {"kinds": None}})))
    assert kinds(of, listed(of, "magazine")) == {"recipe", "video"}
    assert kinds(of, listed(of, "all", n=95)) == {"product", "recipe", "article", "video"}
    assert kinds(of, listed(of, "nobody-named-it", n=95)) == {"product", "recipe"}


def test_a_search_finds_products_unless_its_placement_says_otherwise() -> None:
    of = with_content(Scenes(BUILT_IN))
    row = of.catalog.view().row("camping-100")
    assert not permission(of.catalog.view(), None, of, NOW).allowed[row]
    of.scenes = Scenes(scenes_of({"search": {"kinds": ["product", "article"]}}))
    assert permission(of.catalog.view(), None, of, NOW).allowed[row]


def test_what_was_read_is_not_in_the_feed_again_but_comes_back_where_a_placement_keeps_it() -> None:
    of = with_content(Scenes(scenes_of({"again": {"kinds": ["article"], "seen": "keep"}})))
    state = after([event("dwell", "camping-100", at=NOW - 9, value=40.0)], of)

    def ids(placement: str) -> set[str]:
        slate = recommend(ask(state, placement=placement, n=20), of, now=NOW, rng=random.Random(1))
        return {place.item_id for place in slate.items}

    assert "camping-100" not in ids("feed")
    assert "camping-100" in ids("again")


def test_why_an_article_is_not_on_a_list_of_products_is_its_kind() -> None:
    of = with_content(Scenes(BUILT_IN))
    shelf = of.shelf(NOW)
    planned = plan(ask(None), shelf, of, NOW)
    kept_off = {name: mask for name, mask in barriers(planned, shelf, of, NOW)}
    assert kept_off["kind"].sum() == 12


# ---------------------------------------------------------------- reward
def test_the_reward_of_a_placement_is_the_settings_worth_but_for_what_it_says() -> None:
    scenes = Scenes(scenes_of({"home": {"reward": {"purchase": 9}}}), worth=Worth(click=3.0))
    assert scenes.reward("home") == Reward(click=3.0, purchase=9.0)
    assert scenes.reward("item") == scenes.reward("anything") == Reward(click=3.0)
    assert scenes.reward("feed") == Reward(0.2, 0.0, 0.0, -4.0, dwell=1.0, completion=2.0)
    assert scenes.worth("item", None) is None
    assert scenes.worth("home", Worth()) == Worth(click=3.0, purchase=9.0)
    assert scenes.worth("item", Worth(7.0)) == Worth(7.0)


# ---------------------------------------------------------------- settings
@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"feed": {"kind": ["article"]}}, "feed: Object contains unknown field `kind`"),
        ({"feed": {"kinds": []}}, "feed: Expected `array` of length >= 1"),
        ({"home": {"kinds": ["ad"]}}, "home: kinds: an ad stands at a sponsored place alone"),
        ({"home": {"sponsored": [4, 1]}}, "home: sponsored: name each place once, the first one first"),
        ({"home": {"sponsored": [200]}}, "home: Expected `int` <= 199"),
        ({"home": {"follows": "me"}}, "home: Invalid enum value 'me'"),
        ({"home": {"reward": {"clicks": 1}}}, "home: reward: there is no 'clicks'. Known are: click, cart"),
        ({"home": ["product"]}, "home: is no object. Give fields"),
        ({"a b": {}}, "'a b' is no name of a placement"),
        ({"search": {"sponsored": [0]}}, "search: sponsored means nothing for what was asked for"),
    ],
)
def test_a_placement_that_makes_no_sense_is_refused_by_field_and_remedy(values: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput) as caught:
        scenes_of(values)
    assert says in caught.value.message


def test_settings_name_the_variable_and_sponsored_places_need_feedback() -> None:
    with pytest.raises(ConfigError, match="REC_PLACEMENTS: feed: .*kinds"):
        Scenes.from_settings(load_settings(placements={"feed": {"kinds": 3}}))
    with pytest.raises(ConfigError, match="REC_PLACEMENTS: sponsored places need REC_FEEDBACK=true"):
        Scenes.from_settings(load_settings(placements={"home": {"sponsored": [2]}}))
    settings = load_settings(placements={"home": {"sponsored": [2]}}, feedback=True)
    assert settings.sells_ads
    assert Scenes.from_settings(settings).of("home") == Scene(sponsored=(2,))
    assert not Scenes.from_settings(load_settings()).sells


def test_an_item_of_a_kind_that_comes_later_is_known_by_it() -> None:
    of = with_content(Scenes(BUILT_IN))
    recipe = of.catalog.get("kitchen-200")
    assert recipe is not None
    of.catalog.upsert([msgspec.structs.replace(recipe, kind="article"), Item(item_id="n", title="N", kind="podcast")])
    shown = of.scenes.keep(of.catalog.view().listed.copy(), of.catalog.view(), "home")
    assert not shown[of.catalog.view().row("kitchen-200")]
    assert shown[of.catalog.view().row("n")]
