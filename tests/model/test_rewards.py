"""What lists earned moves the policy: through the trainer's own step, capped, and not at all without a weight."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from rec.examples import Gone, Rewarded, Tick, encode_lesson
from rec.feedback import FeedbackExample, Place
from rec.model.lineage import Lineage
from rec.model.loss import drawn_share, estimated_logits
from rec.model.rewards import Rewards
from rec.model.teaching import Teaching
from rec.rewarded import rewarded_of
from rec.state import Touch, UserState
from tests.agents.school import BEGIN, ITEMS, TEACHING, walks
from tests.model.test_lineage import VECTORS, same, state

WALKS = [encode_lesson(example) for example in walks(5, 120)]
HISTORY = UserState(epoch="", history=(Touch(BEGIN, "i1", "view_item"), Touch(BEGIN + 9, "i2", "view_item")))
ROWS = {item.item_id: at for at, item in enumerate(ITEMS, 1)}


def taught(weight: float, *, full_until: int = 20_000, cap: float = 10.0) -> Teaching:
    return replace(TEACHING, training=replace(TEACHING.training, policy=weight, policy_cap=cap, full_until=full_until))


def lineage(teaching: Teaching) -> Lineage:
    made = Lineage(teaching)
    made.know(ITEMS, VECTORS)
    return made


def earned(*places: tuple[str, float, float], slate: str = "s1", revision: int = 0) -> Rewarded:
    return Rewarded(slate, "u1", revision, BEGIN + 10, 5, places, HISTORY)


def told(teaching: Teaching, *lessons: Rewarded) -> Lineage:
    """A lineage that hears of these lists before it takes its steps."""
    one = lineage(teaching)
    one.take([*map(encode_lesson, lessons), *WALKS, encode_lesson(Tick())], 121 + len(lessons))
    return one


def likelihood(one: Lineage, *item_ids: str) -> list[float]:
    """log P of each as the next item, of the shopper who got the lists."""
    view = one._world.catalog.view()
    (said,) = one._learner.log_probabilities(view, [HISTORY], [BEGIN + 10])
    assert said is not None
    return [float(said[view.row(item_id)]) for item_id in item_ids]


@pytest.mark.parametrize("full_until", [20_000, 4])
def test_the_policy_moves_towards_what_lists_earned_with_and_away_from_what_was_disliked(full_until: int) -> None:
    """Also where the catalog is too large for a softmax over all of it (with these settings, five items are)."""
    lists = [earned(("i20", 4.0, 0.5), ("i9", -4.0, 0.5), slate=f"s{at}") for at in range(16)]
    without, moved = (likelihood(told(taught(w, full_until=full_until), *lists), "i20", "i9") for w in (0.0, 1.0))
    assert moved[0] > without[0] + 0.2
    assert moved[1] < without[1] - 0.2


def test_a_rarer_item_weighs_more_and_no_more_than_the_cap() -> None:
    """Weights are the chance to be listed now over the one logged: from 1/cap of it down all are alike, to the bit."""
    likely, unlikely, rarest = (told(taught(1.0, cap=2.0), earned(("i20", 1.0, p))) for p in (1.0, 1e-6, 1e-12))
    assert likelihood(unlikely, "i20") > likelihood(likely, "i20")
    weights = [
        {name: array for name, array in state(one).items() if "rewards." not in name} for one in (unlikely, rarest)
    ]
    assert same(*weights)


def test_without_a_weight_what_lists_earned_changes_nothing_to_the_bit() -> None:
    lists = [earned(("i20", 4.0, 0.5), slate=f"s{at}") for at in range(8)]
    assert same(state(told(taught(0.0))), state(told(taught(0.0), *lists)))
    assert not same(state(told(taught(1.0))), state(told(taught(1.0), *lists)))


def test_a_later_revision_takes_the_place_of_the_earlier_one_and_a_repeated_one_changes_nothing() -> None:
    first, second = earned(("i20", 1.0, 0.5)), earned(("i20", 5.0, 0.5), ("i3", 1.0, 0.9), revision=1)
    ring = Rewards(8, 4)
    for each in (first, first, second, first, second):
        ring.put(each, lambda item_id: ROWS.get(item_id, 0))
    drawn = ring.draw(8, np.random.default_rng(0))
    assert drawn is not None
    assert sorted(zip(drawn.items.tolist(), drawn.rewards.tolist(), strict=True)) == [(4, 1.0), (21, 5.0)]
    ring.put(earned(revision=2), lambda item_id: ROWS.get(item_id, 0))  # all of it was taken back
    assert ring.draw(8, np.random.default_rng(0)) is None


def test_the_ring_holds_the_newest_places_with_the_history_that_their_list_was_made_from() -> None:
    ring = Rewards(2, 4)
    for at in range(3):
        ring.put(earned((f"i{at}", 1.0, 0.5), slate=f"s{at}"), lambda item_id: ROWS.get(item_id, 0))
    drawn = ring.draw(8, np.random.default_rng(0))
    assert drawn is not None
    assert sorted(drawn.items.tolist()) == [ROWS["i1"], ROWS["i2"]]
    assert drawn.rows.tolist() == [[0, 0, ROWS["i1"], ROWS["i2"]]] * 2
    assert drawn.lengths.tolist() == [5, 5]


def test_it_goes_on_from_its_checkpoint_as_if_nothing_had_been_and_forgets_what_has_left_the_catalog() -> None:
    teaching = taught(1.0)
    lists = [encode_lesson(earned(("i20", 4.0, 0.5), ("i3", 1.0, 0.5), slate=f"s{at}")) for at in range(4)]
    one = lineage(teaching)
    one.take([*lists, *WALKS[:60]], 64)
    arrays, meta = one.state()
    other = Lineage.resumed(
        teaching, {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(meta))
    )
    other.know(ITEMS, VECTORS)
    for each in (one, other):
        each.know([], {}, ["i20"])
        each.take([encode_lesson(Gone(("i20",))), *WALKS[60:]], 125)
    assert same(state(one), state(other))
    assert one._learner._rewards is not None
    assert len(one._learner._rewards) == 4  # of i3 alone


def example(*places: tuple[float, float | None], revision: int = 0) -> FeedbackExample:
    rows = tuple(Place(f"i{at}", 0.5, "rules", p, "", True, reward, {}) for at, (reward, p) in enumerate(places))
    return FeedbackExample("s1", "u1", revision, "home", "default", "gate-0", BEGIN, BEGIN + 5, rows, HISTORY)


def test_of_a_list_the_places_count_that_earned_something_and_whose_propensity_is_known() -> None:
    found = rewarded_of(example((0.0, 0.5), (1.0, 0.25), (4.0, None), (-4.0, 1.0)))
    assert found is not None
    assert found.earned == (("i1", 1.0, 0.25), ("i3", -4.0, 1.0))
    assert (found.length, found.at) == (4, BEGIN)  # when it was made: its history is that of then
    assert found.state is not None
    assert found.state.history == HISTORY.history


def test_a_search_is_no_lesson_whatever_it_earned() -> None:
    search = replace(example((1.0, 1.0)), placement="search")
    assert rewarded_of(search) is None
    assert rewarded_of(replace(search, revision=1)) is None


def test_a_list_that_earned_nothing_is_no_lesson_but_one_whose_earnings_were_taken_back_is() -> None:
    assert rewarded_of(example((0.0, 0.5))) is None
    assert rewarded_of(example((0.0, 0.5), revision=1)) is not None


def test_the_softmax_over_some_drawn_items_estimates_that_over_all() -> None:
    """The mean over many draws of the sum over the others is that of all others."""
    torch.manual_seed(0)
    n, drawn = 12, 4
    u, v, own = torch.randn(1, 3), torch.randn(n, 3), torch.tensor([5])
    whole = (u @ v[1:].T).exp().sum() - (u @ v[5]).exp()
    sums: list[float] = []
    for _ in range(4_000):
        sampled = torch.randint(1, n, (drawn,)).unique()  # type: ignore[no-untyped-call]
        sums.append(float(estimated_logits(u, v, own, sampled, drawn_share(n, drawn))[:, 1:].exp().sum()))
    assert math.isclose(float(np.mean(sums)), float(whole), rel_tol=0.03)
