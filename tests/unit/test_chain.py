"""The chain: laws of a list whatever the strategy and the rules, and what each step is for."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rec.catalog import Item
from rec.config import load_settings
from rec.errors import BadInput, ConfigError
from rec.events import instant
from rec.gate import Gate
from rec.policy.calibrate import calibrate
from rec.policy.cold import NEWS, promising
from rec.policy.diversity import dpp, mmr
from rec.policy.fairness import share_out
from rec.policy.filters import ListRules
from rec.policy.rules import Rule, Rulebook, rule_of
from rec.policy.strategy import Strategy, own_strategy, strategy_of
from rec.recommend import Brain, World, recommend
from rec.slates import Slate
from rec.state import UserState
from tests.unit.shop import NOW, after, ask, event, shop, vector

KINDS = ("camping", "kitchen", "music", "garden")


def crowded(**more: Any) -> World:
    """A shop with some traffic, ranked by the gate."""
    world = shop(each=12, **more)
    world.brain = Brain(Gate.prior())
    rng = random.Random(4)
    for n in range(200):
        world.counters.learn(
            event("view_item", f"{rng.choice(KINDS)}-{rng.randrange(8)}", user_id=f"c{n % 25}", at=NOW - 900 + n)
        )
    return world


def shopper(world: World, *items: str) -> UserState:
    state = after([event("view_item", item, at=NOW - 60 + n) for n, item in enumerate(items)], world, learn=False)
    assert state is not None
    return state


def listed(
    world: World, strategy: Strategy | None = None, rules: tuple[Rule, ...] = (), seed: int = 1, **more: Any
) -> Slate:
    world.rulebook = Rulebook(rules)
    asked = ask(more.pop("state", None) or shopper(world, "camping-1", "camping-2", "music-1"), **more)
    return recommend(asked._replace(strategy=strategy), world, now=NOW, rng=random.Random(seed))


def ids(slate: Slate) -> list[str]:
    return [place.item_id for place in slate.items]


def rule(effect: str, condition: str, **more: Any) -> Rule:
    return rule_of({"rule_id": more.pop("id", effect), "effect": effect, "condition": condition, **more})


# ---------------------------------------------------------------- laws
strategies_ = st.builds(
    Strategy,
    name=st.just("any"),
    mix=st.dictionaries(st.sampled_from(["popular", "content", "own"]), st.floats(-2, 2), max_size=2),
    calibration=st.sampled_from([0.0, 0.5, 1.0]),
    diversity=st.sampled_from(["off", "mmr", "dpp"]),
    diversity_depth=st.integers(1, 60),
    theta=st.sampled_from([0.0, 0.3, 0.7, 1.0]),
    fairness=st.sampled_from([0.0, 2.0]),
    fairness_by=st.sampled_from(["brand", "seller"]),
    category_share=st.sampled_from([0.3, 0.7, 1.0]),
    cold_place=st.none() | st.integers(0, 12),
    temperature=st.sampled_from([0.0, 0.1, 1.0]),
    explore_depth=st.sampled_from([1.0, 1.5, 3.0]),
)
conditions = st.sampled_from(
    [
        'category = "camping"',
        'item_id = "music-3"',
        'item_id in ("garden-1", "kitchen-5")',
        'title contains "1"',
        'brand = "none"',
    ]
)
rules_ = st.lists(
    st.tuples(st.sampled_from(["boost", "bury", "pin", "exclude"]), conditions, st.integers(0, 12), st.integers(0, 3)),
    max_size=5,
)


def as_rules(drawn: list[tuple[str, str, int, int]]) -> tuple[Rule, ...]:
    return tuple(
        rule(effect, condition, id=f"r{n}", priority=priority, **({"place": place} if effect == "pin" else {}))
        for n, (effect, condition, place, priority) in enumerate(drawn)
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(strategies_, rules_, st.integers(1, 60), st.integers(0, 5), st.sampled_from(["home", "item", "cart"]))
def test_whatever_the_strategy_and_the_rules_the_laws_of_a_list_hold(
    strategy: Strategy, drawn: list[tuple[str, str, int, int]], n: int, seed: int, placement: str
) -> None:
    rules, world = as_rules(drawn), WORLD
    more = {"item_id": "music-5"} if placement == "item" else {}
    slate = listed(world, strategy, rules, seed, n=n, placement=placement, state=STATE, **more)
    view = world.catalog.view()
    orders = world.rulebook.orders(view, placement, NOW)
    shut = {view.ids[row] for row in np.flatnonzero(orders.excluded).tolist()} if orders.excluded is not None else set()
    eligible = {view.ids[row] for row in np.flatnonzero(view.listed).tolist()} - shut - {"kitchen-0", *more.values()}
    found = ids(slate)
    assert len(found) == len(set(found)) == min(n, len(eligible))
    assert set(found) <= eligible
    assert all(0 < place.propensity <= 1 and 0 <= place.score <= 1 for place in slate.items)
    if strategy.temperature == 0:
        assert all(place.propensity == 1 for place in slate.items)
    taken: set[str] = set()
    places: set[int] = set()
    for each in sorted((r for r in rules if r.effect == "pin"), key=lambda r: (-r.priority, r.rule_id)):
        may = {i for i in eligible if i in meant(world, each)} - taken
        place = each.place or 0
        while place in places:
            place += 1
        if may and place < n:
            pinned = [i for i, item in enumerate(slate.items) if f"pin:{each.rule_id}" in item.reason.policy]
            assert len(pinned) == 1
            assert pinned[0] == place or place >= len(found)
            taken.add(found[pinned[0]])
            places.add(place)


def meant(world: World, each: Rule) -> set[str]:
    from rec.policy.columns import Columns
    from rec.policy.expression import parse

    columns, view = Columns(), world.catalog.view()
    columns.follow(view)
    return {view.ids[row] for row in np.flatnonzero(columns.mask(parse(each.condition))).tolist()}


def test_the_same_seed_gives_the_same_list() -> None:
    warm = Strategy(temperature=1.0, cold_place=3)
    assert listed(WORLD, warm, seed=3) == listed(WORLD, warm, seed=3)
    assert ids(listed(WORLD, warm, seed=3)) != ids(listed(WORLD, warm, seed=4))


def test_a_shoppers_draw_stays_and_who_has_not_acted_yet_gets_everybodys() -> None:
    steady = Strategy(temperature=1.0, steady_s=1_800)
    assert ids(listed(WORLD, steady, seed=3)) == ids(listed(WORLD, steady, seed=4))
    assert ids(listed(WORLD, steady, user="u2")) != ids(listed(WORLD, steady, user="u3"))
    new = UserState(epoch="e")
    assert ids(listed(WORLD, steady, state=new, user="u2")) == ids(listed(WORLD, steady, state=new, user="u3"))


def test_what_is_logged_is_how_often_an_item_is_on_the_list_with_every_step_on() -> None:
    strategy = Strategy(
        temperature=1.0,
        diversity="mmr",
        calibration=0.3,
        fairness=1.0,
        cold_place=4,
        category_share=0.6,
        cold_support=2,
    )
    rules = (rule("pin", 'item_id = "garden-7"', place=2), rule("boost", 'category = "music"'))
    times, counts, logged = 400, Counter[str](), dict[str, float]()
    for seed in range(times):
        for place in listed(WORLD, strategy, rules, seed, n=8, state=STATE).items:
            counts[place.item_id] += 1
            assert logged.setdefault(place.item_id, place.propensity) == pytest.approx(place.propensity)
    for item_id, chance in logged.items():
        assert counts[item_id] / times == pytest.approx(chance, abs=5 * (chance * (1 - chance) / times) ** 0.5 + 0.002)
    assert sum(logged.values()) == pytest.approx(8, abs=0.1)


# ---------------------------------------------------------------- rules
def test_what_is_excluded_is_gone_and_what_is_pinned_stands_there_and_says_so() -> None:
    before = ids(listed(WORLD, n=6))
    slate = listed(
        WORLD, None, (rule("exclude", f'item_id = "{before[0]}"'), rule("pin", 'item_id = "garden-9"', place=3)), n=6
    )
    assert before[0] not in ids(slate)
    pinned = slate.items[3]
    assert (pinned.item_id, pinned.source, pinned.reason.kind) == ("garden-9", "rule", "pinned")
    assert pinned.reason.policy == ("pin:pin",)
    assert pinned.propensity == 1.0


def test_what_is_boosted_moves_up_even_where_nothing_else_speaks_for_it_and_what_is_buried_down() -> None:
    def places(rules: tuple[Rule, ...]) -> list[int]:
        kinds = [place.item["category"] for place in listed(WORLD, Strategy(category_share=1), rules, n=40).items]
        return [at for at, kind in enumerate(kinds) if kind == "garden"]

    plain = places(())
    assert np.mean(places((rule("boost", 'category = "garden"', factor=50),))) < np.mean(plain)
    assert np.mean(places((rule("bury", 'category = "garden"', factor=50),))) > np.mean(plain)
    top = listed(WORLD, None, (rule("boost", 'item_id = "garden-11"', factor=1e6),)).items[0]
    assert (top.item_id, top.reason.policy) == ("garden-11", ("boost:boost",))


def test_a_rule_holds_in_its_placements_and_in_its_time() -> None:
    here, soon = instant(NOW), instant(NOW) + timedelta(hours=1)
    cases: list[tuple[dict[str, Any], bool]] = [
        ({"placements": ["home"]}, True),
        ({"placements": ["cart"]}, False),
        ({"starts_at": here.isoformat()}, True),
        ({"starts_at": soon.isoformat()}, False),
        ({"ends_at": here.isoformat()}, False),
        ({"ends_at": soon.isoformat()}, True),
        ({"enabled": False}, False),
    ]
    for fields, holds in cases:
        slate = listed(WORLD, None, (rule("pin", 'item_id = "garden-9"', **fields),))
        assert (ids(slate)[0] == "garden-9") is holds, fields


def test_of_two_pins_for_a_place_the_one_with_the_priority_has_it() -> None:
    pins = (rule("pin", 'item_id = "garden-1"', id="a"), rule("pin", 'item_id = "garden-2"', id="b", priority=5))
    assert ids(listed(WORLD, None, pins))[:2] == ["garden-2", "garden-1"]


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"effect": "lift"}, "effect"),
        ({"effect": "exclude", "place": 3}, "place"),
        ({"effect": "pin", "factor": 3}, "factor"),
        ({"starts_at": "2026-02-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"}, "ends_at"),
        ({"starts_at": "2026-02-01T00:00:00"}, "starts_at"),
        ({"condition": "pric < 5"}, "position 1"),
        ({"colour": 1}, "colour"),
        ({"rule_id": ".."}, "rule_id"),
        ({"factor": 0.5}, "factor"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_name(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput, match=named):
        rule_of({"rule_id": "r", "effect": "boost", "condition": "in_stock", **fields})


# ---------------------------------------------------------------- the other steps
def test_a_flagged_item_is_on_no_list() -> None:
    world = crowded()
    top = ids(listed(world))[0]
    item = world.catalog.get(top)
    assert item is not None
    world.catalog.upsert([msgspec.structs.replace(item, flagged=True)])
    assert top not in ids(listed(world, n=60))


def test_an_item_is_for_those_old_enough_and_in_the_right_place() -> None:
    world = crowded()
    world.catalog.upsert([
        Item(item_id="wine", title="Wine", attributes={"min_age": 18}),
        Item(item_id="local", title="Local", attributes={"regions": ["DE", "AT"]}),
    ])  # fmt: skip

    def seen(**context: Any) -> set[str]:
        state = after([event("view_item", "music-1", context=context)], world, learn=False)
        return {"wine", "local"} & set(ids(listed(world, state=state, n=60)))

    assert seen() == set()
    assert seen(age=17) == set()
    assert seen(age=18) == {"wine"}
    assert seen(region="DE") == {"local"}
    assert seen(age=40, region="AT") == {"wine", "local"}
    assert seen(age=40, region="FR") == {"wine"}


def test_what_is_bought_again_and_again_comes_back_when_it_is_due() -> None:
    world = crowded()
    world.catalog.upsert(
        [Item(item_id="coffee", title="Coffee", category="kitchen", attributes={"repurchase_days": 10})]
    )

    def there(days: float) -> Any:
        state = after([event("purchase", "coffee", at=NOW - days * 86_400)], world, learn=False)
        return next((place for place in listed(world, state=state, n=60).items if place.item_id == "coffee"), None)

    assert there(5) is None
    due = there(9)
    assert due is not None
    assert due.reason.policy == ("due_again",)


def test_what_is_sensitive_enters_no_interest_and_no_reason() -> None:
    world = crowded()
    world.rules = world.rules._replace(sensitive=frozenset({"music"}))
    state = after([event("view_item", f"music-{n}", at=NOW - 50 + n) for n in range(4)], world, learn=False)
    assert state is not None
    assert "music" not in state.categories
    for place in listed(world, state=state, n=40).items:
        assert "music" not in (place.reason.value or "") + (place.reason.item_id or "")
        assert place.item["category"] != "music" or place.reason.kind == "for_you"


def test_mmr_and_dpp_trade_likeness_for_relevance_and_theta_one_changes_nothing() -> None:
    vectors = np.eye(4, dtype=np.float32)[[0, 0, 0, 1, 2]]
    logits = np.array([5.0, 4.9, 4.8, 4.0, 3.9], np.float32)
    for choose in (mmr, dpp):
        assert choose(logits, vectors, 3, 0.3).tolist() == [0, 3, 4]
        assert choose(logits, vectors, 5, 1.0).tolist() == [0, 1, 2, 3, 4]
        assert sorted(choose(logits, vectors, 5, 0.0).tolist()) == [0, 1, 2, 3, 4]


def test_the_greedy_dpp_finds_the_largest_determinant_at_each_step() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(12, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    logits, theta = rng.normal(size=12).astype(np.float32), 0.5
    span = logits.max() - logits.min()
    q = np.exp(theta / (2 * (1 - theta)) * (logits - logits.min()) / span)
    kernel = q[:, None] * (vectors @ vectors.T) * q
    chosen: list[int] = []
    for _ in range(5):
        chosen.append(
            max(set(range(12)) - set(chosen), key=lambda i: np.linalg.det(kernel[np.ix_([*chosen, i], [*chosen, i])]))
        )
    assert dpp(logits, vectors, 5, theta).tolist() == chosen


def test_calibration_gives_each_interest_its_share() -> None:
    categories = np.array([1] * 10 + [2] * 10, np.int32)
    logits = np.linspace(5, 1, 20).astype(np.float32)
    wanted = np.array([0.0, 0.7, 0.3])
    chosen = calibrate(logits, categories, wanted, 10, 0.99)
    assert Counter(categories[chosen].tolist()) == {1: 7, 2: 3}
    assert calibrate(logits, categories, wanted, 10, 0.0).tolist() == list(range(10))


def test_fairness_brings_exposure_nearer_to_merit() -> None:
    logits = np.concatenate([np.full(10, 1.0), np.full(10, 0.98)]).astype(np.float32)
    groups = np.array([1] * 10 + [2] * 10, np.int32)
    seen = 1 / np.log2(2 + np.arange(10))

    def exposure(strength: float) -> float:
        chosen = groups[share_out(logits, groups, 10, strength)]
        return float(seen[chosen == 2].sum() / seen.sum())

    assert exposure(0.0) == 0
    assert exposure(20.0) == pytest.approx(0.5, abs=0.1)


def test_one_place_and_no_more_goes_to_what_hardly_anybody_came_to() -> None:
    world = crowded()
    slate = listed(world, Strategy(cold_place=5, cold_support=1), n=10)
    cold = [place for place in slate.items if "cold_start" in place.reason.policy]
    assert [slate.items.index(place) for place in cold] == [5]
    assert not any("cold_start" in place.reason.policy for place in listed(world, Strategy(cold_place=10), n=10).items)


def with_newcomer() -> World:
    """One more product, known by its text alone."""
    world = crowded()
    world.catalog.upsert([Item(item_id="new-77", title="Something else for camping")])
    world.catalog.set_vectors({"new-77": vector("camping-77")})
    return world


@pytest.mark.parametrize("feedback", [False, True])
def test_a_new_product_is_tried_by_whom_its_text_fits_and_by_nobody_else(feedback: bool) -> None:
    world, by_itself = with_newcomer(), own_strategy(feedback=feedback)
    camper, musician = shopper(world, "camping-1", "camping-2"), shopper(world, "music-1", "music-2")
    slate = listed(world, by_itself, n=12, state=camper)
    assert [place.item_id for place in slate.items][11] == "new-77"
    assert "cold_start" in slate.items[11].reason.policy
    assert slate.items[11].source in ("content", "interest")
    assert "new-77" not in ids(listed(world, by_itself, n=12, state=musician))
    assert "new-77" not in ids(listed(world, by_itself, n=11, state=camper))  # shorter than its place


def test_what_a_rule_buries_is_not_what_is_tried() -> None:
    world, by_itself = with_newcomer(), own_strategy(feedback=False)
    rules = (rule("bury", 'item_id = "new-77"', factor=1_000.0),)
    camper = shopper(world, "camping-1", "camping-2")
    assert "new-77" not in ids(listed(world, by_itself, rules, n=12, state=camper))


def test_of_two_that_fit_alike_the_newer_is_tried_and_an_old_one_only_if_it_fits_better() -> None:
    alike, later = np.array([2.0, 2.0], np.float32), np.array([7, 3], np.int32)
    assert promising(alike, later, 2)[0].tolist() == [1, 0]
    better = np.array([2.0 + NEWS, 2.0], np.float32)
    assert promising(better, later, 2)[0].tolist() == [0, 1]
    assert promising(better, later, 1)[0].tolist() == [0]


def test_each_step_leaves_its_reason_where_it_moved_something() -> None:
    for strategy, step in [
        (Strategy(diversity="mmr", theta=0.2, category_share=1), "mmr"),
        (Strategy(diversity="dpp", theta=0.2, category_share=1), "dpp"),
        (Strategy(calibration=0.9, category_share=1), "calibration"),
        (Strategy(category_share=0.3), "spread"),
        (Strategy(temperature=2.0), "exploration"),
    ]:
        found = {name for place in listed(WORLD, strategy, n=10).items for name in place.reason.policy}
        assert found == {step}
    assert not any(place.reason.policy for place in listed(WORLD, Strategy(category_share=1)).items)


def test_a_steady_draw_is_the_same_in_a_worker_whose_catalog_came_in_another_order() -> None:
    one, other = crowded(), crowded()
    for likeness in ("music-2", "camping-1"):  # a new vector is a new row
        other.catalog.set_vectors({"camping-1": vector(likeness)})
    assert one.catalog.view().row("camping-1") != other.catalog.view().row("camping-1")
    steady = Strategy(temperature=1.0, steady_s=600)
    lists = [listed(world, steady, seed=seed) for seed, world in enumerate((one, other))]
    assert ids(lists[0]) == ids(lists[1])
    assert ids(lists[0]) != ids(listed(one, Strategy(temperature=1.0), seed=7))


# ---------------------------------------------------------------- strategies
def test_the_slate_names_its_strategy_and_an_ask_may_bring_one() -> None:
    assert listed(WORLD).strategy == "default"
    assert listed(WORLD, Strategy(name="bold")).strategy == "bold"


@pytest.mark.parametrize(
    "values",
    [
        {"mix": {"colour": 1}},
        {"mix": {"popular": 1e300}},
        {"mix": {"support": -1_001}},
        {"temperature": -1},
        {"temperature": 5e-324},
        {"temperature": 0.0009},
        {"warmth": 1},
        {"name": "a b"},
    ],
)
def test_a_strategy_that_makes_no_sense_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=next(iter(values)) if "warmth" not in values else "warmth"):
        strategy_of(values)


def test_settings_that_are_to_be_json_and_are_none_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REC_STRATEGY", "warm")
    with pytest.raises(ConfigError, match="REC_STRATEGY: not valid JSON"):
        load_settings()
    monkeypatch.setenv("REC_STRATEGY", '{"temperature": 0}')
    monkeypatch.setenv("REC_REPURCHASE_DAYS", '{"Coffee": 0}')
    with pytest.raises(ConfigError, match="REC_REPURCHASE_DAYS"):
        load_settings()
    monkeypatch.setenv("REC_REPURCHASE_DAYS", '{"Coffee": 30}')
    monkeypatch.setenv("REC_SENSITIVE_CATEGORIES", "Health, Faith")
    found = load_settings()
    assert (found.strategy, found.sensitive_categories) == ({"temperature": 0}, ("Health", "Faith"))
    assert ListRules.from_settings(found).repurchase_s == {"Coffee": 30 * 86_400}


def test_names_of_placements_that_no_rule_knows_do_not_fill_the_memory() -> None:
    book, view = Rulebook([rule("pin", "in_stock", placements=["home"])]), WORLD.catalog.view()
    assert [len(book.orders(view, f"p{n}", NOW).pins) for n in range(50)] == [0] * 50
    assert len(book.orders(view, "home", NOW).pins) == 1
    assert len(book._orders) == 2


def test_the_strategy_comes_from_the_settings() -> None:
    assert Strategy.from_settings(load_settings(strategy={"temperature": 0.5})).temperature == 0.5
    assert Strategy.from_settings(load_settings(strategy={"temperature": 0}, feedback=True)).temperature == 0


def test_lists_are_drawn_by_themselves_only_where_somebody_learns_from_it() -> None:
    assert Strategy.from_settings(load_settings(feedback=False)).temperature == 0
    assert Strategy.from_settings(load_settings(feedback=True)).temperature == 0.1
    assert Strategy.from_settings(load_settings(feedback=True, strategy={})).temperature == 0


def test_a_strategy_in_the_settings_that_makes_no_sense_is_named() -> None:
    with pytest.raises(ConfigError, match="REC_STRATEGY"):
        Strategy.from_settings(load_settings(strategy={"heat": 1}))


WORLD = crowded()
STATE = after(
    [
        event("view_item", "camping-1", at=NOW - 60),
        event("view_item", "music-1", at=NOW - 50),
        event("purchase", "kitchen-0", at=NOW - 40),
    ],
    WORLD,
    learn=False,
)
