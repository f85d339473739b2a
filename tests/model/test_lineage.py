"""The lineage: test before lesson, the same records give the same weights, contenders change nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest
from msgspec.structs import replace

from rec.catalog import Item
from rec.contest import CANDIDATE, UNTAUGHT
from rec.errors import ModelError
from rec.examples import Gone, Pace, Rewarded, Tick, encode_lesson, is_learned
from rec.model.lineage import Lineage
from rec.model.served import brain_of
from rec.model.texts import Texts
from tests.agents.school import DIM, ITEMS, TEACHING, walks

_RANDOM = np.random.default_rng(1).normal(size=(len(ITEMS), DIM))
_UNIT = (_RANDOM / np.linalg.norm(_RANDOM, axis=1, keepdims=True)).astype(np.float32)
VECTORS = {item.item_id: vector for item, vector in zip(ITEMS, _UNIT, strict=True)}
WALKS = [encode_lesson(example) for example in walks(5, 120)]
AT = [example.event.at for example in walks(5, 120)]


def lineage() -> Lineage:
    made = Lineage(TEACHING)
    made.know(ITEMS, VECTORS)
    return made


def state(one: Lineage) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in one.state()[0].items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_what_it_has_seen_it_ranks_higher_and_that_is_measured_before_it_learns() -> None:
    one = lineage()
    first, *_, last = one.take(WALKS, 120).rounds
    assert set(first.loss) == {CANDIDATE, UNTAUGHT}
    assert last.mrr[CANDIDATE] > last.mrr[UNTAUGHT]
    assert last.loss[CANDIDATE] < first.loss[CANDIDATE]


def test_a_network_that_says_no_numbers_is_the_worst_of_all_and_teaches_the_gate_nothing() -> None:
    one = lineage()
    one.take(WALKS[:40], 40)
    one.contend("v1", *one.version())
    for weight in one._learner.network.parameters():
        weight.data.fill_(np.nan)
    gate = state(one)["gate.weights"]
    found = one.take(WALKS[40:80], 80)
    assert all(np.isfinite(each.loss[CANDIDATE]) for each in found.rounds)
    assert all(each.loss[CANDIDATE] > each.loss["v1"] for each in found.rounds)
    assert all(each.hits[CANDIDATE] == 0 for each in found.rounds)
    assert np.isfinite(state(one)["gate.weights"]).all()
    assert np.array_equal(state(one)["gate.weights"], gate)
    assert found.skipped == 5


def test_what_somebody_is_not_interested_in_is_no_target_for_the_gate() -> None:
    one, other = lineage(), lineage()
    disliked = [
        encode_lesson(replace(example, event=replace(example.event, event="not_interested")))
        for example in walks(5, 120)
    ]
    found = one.take(disliked, 120)
    assert all(each.examples == 0 for each in found.rounds)
    gate, untaught = (each.state()[0]["gate.weights"] for each in (one, other))
    assert np.array_equal(gate, untaught)


def test_however_the_records_are_handed_over_the_weights_are_the_same() -> None:
    at_once, bit_by_bit = lineage(), lineage()
    at_once.take(WALKS, 120)
    for number, record in enumerate(WALKS):
        bit_by_bit.take([record], number + 1)
    assert same(state(at_once), state(bit_by_bit))


def test_scoring_other_versions_beside_it_changes_nothing() -> None:
    alone, watched = lineage(), lineage()
    alone.take(WALKS[:40], 40)
    watched.take(WALKS[:40], 40)
    watched.contend("v1", *watched.version())
    alone.take(WALKS[40:], 120)
    found = watched.take(WALKS[40:], 120)
    assert same(state(alone), state(watched))
    assert "v1" in found.rounds[-1].loss


def test_a_version_says_what_the_lineage_said_when_it_was_made() -> None:
    one = lineage()
    one.take(WALKS, 120)
    arrays, meta = one.version()
    _, served = brain_of("v1", arrays, json.loads(json.dumps(meta)), Texts(str(meta["encoder"])))
    view = one._world.catalog.view()
    example = walks(5, 30, seed=3)[-1]
    (said,) = served.log_probabilities(view, [example.state], [example.event.at])
    (learned,) = one._learner.log_probabilities(view, [example.state], [example.event.at])
    assert said is not None
    assert learned is not None
    np.testing.assert_allclose(said, learned, rtol=1e-4, atol=1e-4)


def test_a_version_says_of_each_item_what_the_networks_heads_say() -> None:
    one = lineage()
    one.take(WALKS, 120)
    arrays, meta = one.version()
    _, served = brain_of("v1", arrays, json.loads(json.dumps(meta)), Texts(str(meta["encoder"])))
    view, example = one._world.catalog.view(), walks(5, 30, seed=3)[-1]
    rows = np.arange(view.size)
    (said,), (learned,) = (each.hear(view, [example.state], [example.event.at]) for each in (served, one._learner))
    assert said is not None
    assert learned is not None
    mine, theirs = said.chances(rows), learned.chances(rows)
    assert mine is not None
    assert theirs is not None
    np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-5)
    assert mine.shape == (len(ITEMS), 4)
    assert mine[:, 0].min() > mine[:, 1:].max()  # all that was ever done was looking


def test_from_a_gone_record_on_a_deleted_item_is_nobody_and_a_replay_comes_to_the_same() -> None:
    def taught(*, restarted: bool) -> Lineage:
        one = lineage()
        one.take(WALKS[:60], 60)
        assert one.know([], {}, ["i3", "nobody"]) == ["i3"]
        if restarted:
            arrays, meta = one.state()
            one = Lineage.resumed(
                TEACHING, {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(meta))
            )
            left = [item for item in ITEMS if item.item_id != "i3"]
            assert one.know(left, VECTORS, ["i3", "nobody"]) == ["i3"]  # it says so again
        one.take([encode_lesson(Gone(("i3",)))], 61)
        assert "i3" not in dict(one.version()[1]["slots"])
        one.take(WALKS[60:], 121)
        return one

    once, again = taught(restarted=False), taught(restarted=True)
    for name, array in once.version()[0].items():
        # The catalog of the one has a hole where the item was: sums over all items are rounded otherwise.
        tolerance = 1e-7 if name == "gate" else 0.0
        np.testing.assert_allclose(array, again.version()[0][name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_a_version_and_a_checkpoint_hold_what_the_network_makes_of_images() -> None:
    shape = replace(TEACHING.training.shape, image_dim=3)
    teaching = replace(TEACHING, training=replace(TEACHING.training, shape=shape))
    items = [replace(item, image_vector=[1.0, float(n % 5), -1.0]) for n, item in enumerate(ITEMS[:-1])]
    one = Lineage(teaching)
    one.know([*items, ITEMS[-1]], VECTORS)
    one.take(WALKS[:60], 60)
    arrays, meta = one.version()
    _, served = brain_of("v1", arrays, json.loads(json.dumps(meta)), Texts(str(meta["encoder"])))
    view, example = one._world.catalog.view(), walks(5, 30, seed=3)[-1]
    (said,), (learned,) = (
        each.log_probabilities(view, [example.state], [example.event.at]) for each in (served, one._learner)
    )
    assert said is not None
    assert learned is not None
    np.testing.assert_allclose(said, learned, rtol=1e-4, atol=1e-4)
    checkpoint, more = one.state()
    resumed = Lineage.resumed(
        teaching, {name: a.copy() for name, a in checkpoint.items()}, json.loads(json.dumps(more))
    )
    resumed.know([*items, ITEMS[-1]], VECTORS)
    one.take(WALKS[60:], 120)
    resumed.take(WALKS[60:], 120)
    assert same(state(one), state(resumed))
    with pytest.raises(ModelError, match="taught otherwise"):
        Lineage.resumed(TEACHING, checkpoint, more)


def test_it_goes_on_from_its_state_as_if_nothing_had_been() -> None:
    whole = lineage()
    whole.take(WALKS[:50], 50)
    arrays, meta = whole.state()
    arrays = {name: array.copy() for name, array in arrays.items()}
    resumed = Lineage.resumed(TEACHING, arrays, json.loads(json.dumps(meta)))
    resumed.know(list(reversed(ITEMS)), VECTORS)  # in whatever order the catalog comes after a restart
    whole.take(WALKS[50:], 120)
    resumed.take(WALKS[50:], 120)
    assert same(state(whole), state(resumed))


def test_a_state_says_through_when_it_has_heard_of_anybody_though_nothing_is_learned_yet() -> None:
    """Whoever is to be left out is not in a state that heard nothing since they came."""
    one = lineage()
    one.take(WALKS[:11], 11)  # three of them wait for their batch to fill
    assert one.learned_through < one.heard_through == AT[10]
    one.take([encode_lesson(Pace(0.0)), *WALKS[11:20]], 21)  # these are counted alone
    assert one.told([]).heard_through == one.heard_through == AT[19]
    late = Rewarded("s1", "u1", 1, AT[19] + 5, 3, (("i1", 1.0, 0.5),))
    one.take([encode_lesson(late)], 22)
    arrays, meta = one.state()
    assert meta["heard_through"] == AT[19] + 5
    resumed = Lineage.resumed(TEACHING, arrays, json.loads(json.dumps(meta)))
    assert resumed.heard_through == AT[19] + 5


def test_a_state_that_was_taught_in_another_way_is_refused() -> None:
    arrays, meta = lineage().state()
    with pytest.raises(ModelError, match="taught otherwise"):
        Lineage.resumed(TEACHING, arrays, {**meta, "teaching": {"half_life_s": 1.0}})
    with pytest.raises(ModelError, match="other features"):
        Lineage.resumed(TEACHING, arrays, {**meta, "features": ["popular"]})


def test_a_batch_ends_when_it_is_full_or_at_a_tick() -> None:
    one = lineage()
    assert one.take(WALKS[:11], 11).waiting == 3
    assert one.take([encode_lesson(Tick())], 12)[2:7:3] == (11, 0)
    assert one.take([encode_lesson(Tick())], 13).rounds == []


def test_what_is_no_lesson_and_what_was_learned_already_is_passed_over() -> None:
    one = lineage()
    one.take([b"nonsense", *WALKS[:8], *WALKS[:8]], 17)
    assert (one.learned, one.offset) == (8, 17)


def test_of_what_is_left_out_the_counters_still_learn() -> None:
    one = lineage()
    one.take([encode_lesson(Pace(0.2)), *WALKS, encode_lesson(Tick())], 122)
    assert 5 <= one.learned <= 50
    assert one._world.counters.counted == 120


def test_what_is_left_out_tells_the_test_of_what_came_before_it_nothing_and_a_restart_changes_nothing() -> None:
    later = walks(5, 120)[40:]
    learned = [encode_lesson(e) for e in later if is_learned(e.event.event_id, 0.5)][:3]
    left_out = [encode_lesson(e) for e in later if not is_learned(e.event.event_id, 0.5)]
    tick = encode_lesson(Tick())
    one, other, resumed = lineage(), lineage(), lineage()
    for each in (one, other, resumed):
        each.take([*WALKS[:40], encode_lesson(Pace(0.5))], 41)
    (scored,) = one.take([*learned, *left_out, tick], 100).rounds
    (expected,) = other.take([*learned, tick, *left_out], 100).rounds
    assert scored == expected
    assert resumed.take([*learned, *left_out[:9]], 53).waiting == 3
    arrays, meta = resumed.state()
    resumed = Lineage.resumed(
        TEACHING, {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(meta))
    )
    resumed.know(ITEMS, VECTORS)
    assert resumed.take([*left_out[9:], tick], 100).rounds == [scored]
    assert same(state(one), state(other))
    assert same(state(one), state(resumed))


def test_what_is_paid_for_is_nothing_that_a_network_knows() -> None:
    one = lineage()
    advert = Item(item_id="ad-1", title="Tents that stand up", kind="ad", url="/x")
    one.know([advert], {"ad-1": VECTORS["i1"]})
    assert one._world.catalog.get("ad-1") is None
    assert one._learner.vocabulary.row_of.get("ad-1") is None
    assert one.know([], {}, ["ad-1"]) == []
