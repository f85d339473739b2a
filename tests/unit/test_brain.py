"""Lists by what was learned: the gate ranks, the network names candidates, and one version makes a whole batch."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec
import numpy as np

from rec.catalog import Floats, View
from rec.events import Consent, Event
from rec.features import FEATURES
from rec.gate import Gate
from rec.recommend import Brain, judge, recommend, recommend_many
from rec.state import UserState
from tests.unit.shop import NOW, after, ask, event, item, shop, vector


class Oracle:
    """A network that is sure of one item."""

    version = "oracle"

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        said = np.full(view.size, -9.0, np.float32)
        said[view.row_of[self.item_id]] = -0.01
        return [None if user is None else said for user in users]


def only(**weights: float) -> Gate:
    none = (0.0,) * len(FEATURES)
    return Gate((tuple(weights.get(name, 0.0) for name in FEATURES), *(none for _ in range(6))))


def views(*ids: str) -> list[Event]:
    return [event("view_item", item_id, at=NOW + n) for n, item_id in enumerate(ids)]


def test_the_slate_names_the_version_that_made_it() -> None:
    world = shop()
    state = after(views("camping-1"), world)
    assert recommend(ask(state), world, now=NOW, rng=random.Random(1)).model_version == "mix-1"
    world.brain = Brain(Gate.prior(), version="v7")
    assert recommend(ask(state), world, now=NOW, rng=random.Random(1)).model_version == "v7"
    beside = recommend(ask(state, placement="pdp", item_id="camping-2"), world, now=NOW, rng=random.Random(1))
    assert beside.model_version == "mix-1"  # the gate was learned from home lists


def test_what_the_network_expects_comes_first_and_says_so() -> None:
    world = shop()
    state = after(views("camping-1", "camping-2"), world)
    world.brain = Brain(only(sequence=1.0), Oracle("music-7"))
    first = recommend(ask(state), world, now=NOW, rng=random.Random(1)).items[0]
    assert (first.item_id, first.source, first.reason.kind) == ("music-7", "sequence", "next_step")


def test_without_a_state_the_network_is_not_asked_and_the_list_is_full() -> None:
    world = shop()
    after(views("camping-1", "camping-2"), world)
    world.brain = Brain(Gate.prior(), Oracle("music-7"))
    slate = recommend(ask(None), world, now=NOW, rng=random.Random(1))
    assert len(slate.items) == 20
    assert {item.source for item in slate.items} == {"popular"}


def test_the_gate_follows_a_shopper_from_the_first_event_on() -> None:
    world = shop()
    world.brain = Brain(Gate.prior())
    state = after(views("music-1", "music-2", "music-3"), world)
    slate = recommend(ask(state, n=10), world, now=NOW, rng=random.Random(1))
    assert sum(item.item_id.startswith("music") for item in slate.items) >= 5


def test_scores_are_shares_of_the_candidates() -> None:
    world = shop()
    state = after(views("music-1"), world)
    (judged,) = judge([ask(state)], world, Brain(Gate.prior()), NOW)
    assert judged.scores.min() >= 0
    np.testing.assert_allclose(judged.scores.sum(), 1.0, rtol=1e-5)
    assert judged.features is not None
    assert judged.features.shape == (len(judged.pool.rows), len(FEATURES))


def test_a_swap_in_the_middle_does_not_mix_versions() -> None:
    """One batch is of one version: it is read once."""
    world = shop()
    world.brain = Brain(Gate.prior(), version="old")
    slates = recommend_many([ask(user=f"u{n}") for n in range(3)], world, now=NOW, rng=random.Random(1))
    assert {slate.model_version for slate in slates} == {"old"}


class Crowd(Oracle):
    """A network that has an opinion of people it knows nothing of, too."""

    def log_probabilities(
        self, view: View, users: Sequence[UserState | None], now: Sequence[float]
    ) -> list[Floats | None]:
        said = np.full(view.size, -9.0, np.float32)
        said[view.row_of[self.item_id]] = -0.01
        return [said for _ in users]


def test_who_denied_and_who_is_new_get_what_is_popular_whatever_the_network_would_say() -> None:
    world = shop()
    after(views("camping-1", "camping-2", "music-3"), world)
    denial = event("view_item", "music-1", at=NOW + 9, consent=Consent(personalization_storage="denied"))
    denied = after([*views("music-1"), denial], world, learn=False)
    world.brain = Brain(Gate.prior(), Crowd("garden-7"), "v1")
    lists = [recommend(ask(state), world, now=NOW, rng=random.Random(1)).items for state in (denied, None)]
    assert [[item.item_id for item in made] for made in lists][0] == [item.item_id for item in lists[1]]
    assert {item.source for item in lists[0]} == {"popular"}


def test_a_product_that_nobody_has_touched_stands_among_the_popular_ones_where_it_fits() -> None:
    world = shop()
    for number in range(200):  # a shop that is well visited, and an untaught gate
        who = f"u{number}"
        for each in views(f"camping-{number % 20}", f"camping-{(number * 7 + 1) % 20}", f"music-{number % 20}"):
            world.counters.learn(msgspec.structs.replace(each, user_id=who, event_id=f"{who}/{each.event_id}"))
    state = after(views("camping-1", "camping-2", "camping-3"), world)
    new = item("camping-500")
    world.catalog.upsert([new])
    world.catalog.set_vectors({"camping-500": vector("camping-1")})
    world.brain = Brain.untaught()
    made = recommend(ask(state, n=30), world, now=NOW + 5, rng=random.Random(1)).items
    assert "camping-500" in [each.item_id for each in made]
