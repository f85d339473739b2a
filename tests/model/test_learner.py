"""The learner: it learns what follows what, the same to the bit under a seed, and new items by their text."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from rec.catalog import Catalog, Item
from rec.events import Event
from rec.model.encode import ACTION_CODES, empty, gap_bucket, targets_of, write_history, write_left
from rec.model.learner import Learner
from rec.model.replay import Replay
from rec.model.teaching import Shape, Training
from rec.model.vocabulary import Vocabulary
from rec.state import UserState, fold
from rec.value import Worth, log_value
from tests.unit.shop import NOW, event

SHAPE = Shape(dim=16, layers=1, heads=2, steps=8, dropout=0.0, ids=64)
TRAINING = Training(shape=SHAPE, batch=32, new=8, rate=5e-3, warmup_steps=5, seed=4)


def lessons(count: int, cycle: tuple[str, ...], user: str = "u1") -> list[tuple[UserState | None, Event]]:
    """A shopper who goes through the same items again and again."""
    state: UserState | None = None
    out: list[tuple[UserState | None, Event]] = []
    for n in range(count):
        each = event("view_item", cycle[n % len(cycle)], at=NOW + 60 * n, user_id=user)
        out.append((state, each))
        state, _ = fold(state, each, lambda _: None, epoch="e")
    return out


def catalog(*ids: str) -> Catalog:
    made = Catalog()
    made.upsert(Item(item_id=item_id, title=item_id) for item_id in ids)
    return made


def probabilities(learner: Learner, state: UserState | None, *ids: str) -> dict[str, float]:
    (said,) = learner.log_probabilities(catalog(*ids).view(), [state], [NOW + 1e5])
    assert said is not None
    return dict(zip(ids, np.exp(said).tolist(), strict=True))


def test_it_learns_what_follows_what() -> None:
    learner, cycle = Learner(TRAINING), ("a", "b", "c", "d")
    taught = lessons(400, cycle)
    learner.learn(taught)
    state, next_one = taught[-1]
    said = probabilities(learner, state, *cycle)
    assert max(said, key=said.__getitem__) == next_one.items[0].item_id
    assert said[next_one.items[0].item_id] > 0.9


def test_a_step_whose_loss_is_no_number_is_not_made_and_the_next_one_is() -> None:
    learner, cycle = Learner(TRAINING), ("a", "b", "c", "d")
    taught = lessons(64, cycle)
    learner.learn(taught[:32])
    before = {name: weight.clone() for name, weight in learner.network.state_dict().items()}
    learner.training = msgspec.structs.replace(TRAINING, impressions=float("inf"))
    learner.learn(taught[32:48])
    assert all(torch.equal(before[name], weight) for name, weight in learner.network.state_dict().items())
    assert (learner.steps, learner.skipped) == (4, 2)
    assert np.isfinite(learner.loss)
    learner.training = TRAINING
    learner.learn(taught[48:])
    assert (learner.steps, learner.skipped) == (6, 2)
    assert all(bool(weight.isfinite().all()) for weight in learner.network.parameters())


def test_a_catalog_too_large_for_the_full_softmax_is_learned_from_batches() -> None:
    learner, cycle = Learner(msgspec.structs.replace(TRAINING, full_until=2)), ("a", "b", "c", "d")
    taught = lessons(600, cycle)
    learner.learn(taught)
    state, next_one = taught[-1]
    said = probabilities(learner, state, *cycle)
    assert max(said, key=said.__getitem__) == next_one.items[0].item_id


def test_what_nobody_turns_to_becomes_unlikely_though_it_is_in_no_batch() -> None:
    def left_for_strangers(negatives: int) -> float:
        learner = Learner(msgspec.structs.replace(TRAINING, full_until=2, negatives=negatives))
        learner.know([Item(item_id=f"dull{n}", title="dull", category="dull") for n in range(200)], {})
        taught = lessons(400, ("a", "b", "c", "d"))
        learner.learn(taught)
        return 1 - sum(probabilities(learner, taught[-1][0], "a", "b", "c", "d").values())

    assert left_for_strangers(64) < 0.3 * left_for_strangers(0)


def test_the_same_lessons_and_seed_give_the_same_weights_to_the_bit() -> None:
    def weights() -> dict[str, torch.Tensor]:
        learner = Learner(TRAINING)
        for start in range(0, 80, 20):
            learner.learn(lessons(80, ("a", "b", "c"))[start : start + 20])
        return learner.network.state_dict()

    once, again = weights(), weights()
    assert all(torch.equal(once[name], again[name]) for name in once)


def test_a_product_nobody_has_touched_is_likely_where_its_text_fits() -> None:
    """Tents are followed by stoves; a new stove is known by its text alone."""
    shape = Shape(dim=16, layers=1, heads=2, steps=8, dropout=0.0, ids=64, text_dim=2)
    learner = Learner(Training(shape=shape, batch=32, new=8, rate=5e-3, warmup_steps=5, admit_after=10**6))
    tents, stoves = [f"tent-{n}" for n in range(4)], [f"stove-{n}" for n in range(4)]
    ids = [*tents, *stoves, "new-stove", "new-tent"]
    vectors = {i: np.array([0, 1] if "stove" in i else [1, 0], np.float32) for i in ids}
    learner.know([Item(item_id=i, title=i) for i in vectors], vectors)
    cycle = tuple(i for pair in zip(tents, stoves, strict=True) for i in pair)
    taught = lessons(400, cycle)
    learner.learn(taught)
    after_a_tent = next(state for state, each in reversed(taught) if each.items[0].item_id.startswith("stove"))
    said = probabilities(learner, after_a_tent, "new-stove", "new-tent")
    assert said["new-stove"] > 5 * said["new-tent"]


def test_what_was_shown_and_left_alone_becomes_less_likely() -> None:
    """Everybody sees three things and takes the first; what is beside it was never seen with anything else."""

    def likely(impressions: float) -> dict[str, float]:
        learner = Learner(msgspec.structs.replace(TRAINING, impressions=impressions))
        learner.know([Item(item_id=i, title=i) for i in ("a", "passed", "unseen")], {})
        for start in ("passed", "unseen"):  # both have an id of their own
            learner.learn([(None, event("view_item", start, id=start))])
        for n in range(60):
            seen, _ = fold(None, event("view_item_list", "a", "passed", at=NOW + n), lambda _: None, epoch="e")
            learner.learn([(seen, event("view_item", "a", at=NOW + n + 1, id=f"a{n}"))])
        return probabilities(learner, None, "a", "passed", "unseen")

    without, with_them = likely(0.0), likely(1.0)
    assert without["passed"] == pytest.approx(without["unseen"], rel=0.2)
    assert with_them["passed"] < 0.5 * with_them["unseen"]


def test_what_is_left_alone_is_not_told_to_the_heads_which_would_count_it_twice() -> None:
    """Both are on every list; four of five take the first. The chance of the item says so; given that somebody acts on
    an item, a click is as likely for the one as for the other, and so worth times chance is as four to one."""
    learner = Learner(msgspec.structs.replace(TRAINING, heads=1.0))
    learner.know([Item(item_id=i, title=i) for i in ("often", "rarely")], {})
    for n in range(320):
        seen, _ = fold(None, event("view_item_list", "often", "rarely", at=NOW + n), lambda _: None, epoch="e")
        taken = "rarely" if n % 5 == 0 else "often"
        learner.learn([(seen, event("select_item", taken, at=NOW + n + 1, id=f"{n}"))])
    view = catalog("often", "rarely").view()
    (said,) = learner.hear(view, [None], [NOW + 1e5])
    assert said is not None
    chances = said.chances(np.arange(2))
    assert chances is not None
    assert chances[:, 0] == pytest.approx([0.97, 0.97], abs=0.04)
    worth = said.log_p + log_value(chances, Worth(click=1, cart=0, purchase=0, dislike=0))
    assert np.exp(worth[0] - worth[1]) == pytest.approx(4.0, rel=0.3)


def test_the_click_head_says_who_does_not_say_no() -> None:
    """Every other shopper who turns to the one says that they are not interested; nobody says so of the other."""
    learner = Learner(msgspec.structs.replace(TRAINING, heads=1.0))
    for n in range(640):
        name = "not_interested" if n % 4 == 0 else "select_item"
        learner.learn([(None, event(name, "mixed" if n % 2 == 0 else "liked", at=NOW + n, id=f"{n}"))])
    (said,) = learner.hear(catalog("mixed", "liked").view(), [None], [NOW + 1e5])
    assert said is not None
    chances = said.chances(np.arange(2))
    assert chances is not None
    assert chances[:, 0] == pytest.approx([0.5, 1.0], abs=0.2)
    assert chances[:, 0] + chances[:, 3] == pytest.approx([1.0, 1.0], abs=0.2)


def test_a_no_is_no_target_of_the_next_item() -> None:
    learner = Learner(TRAINING)
    learner.know([Item(item_id="neutral", title="neutral")], {})
    learner.learn(lessons(100, ("a", "b")))
    learner.learn([(None, event("not_interested", "bad", at=NOW + n, id=f"no-{n}")) for n in range(64)])
    said = probabilities(learner, None, "a", "b", "bad", "neutral")
    assert said["bad"] < 1.1 * said["neutral"]


@pytest.mark.parametrize("action", ["not_interested", "remove_from_cart"])
def test_a_no_or_a_way_back_out_of_the_cart_in_a_history_is_read_and_is_not_what_comes_next(action: str) -> None:
    """Everybody looks at a, then wants nothing of b, then looks at c."""
    learner = Learner(TRAINING)
    learner.know([Item(item_id=i, title=i) for i in ("a", "b", "c")], {})
    for n in range(60):
        state: UserState | None = None
        for at, (name, item_id) in enumerate((("view_item", "a"), (action, "b"))):
            each = event(name, item_id, at=NOW + 60 * at, id=f"{n}-{at}", user_id=f"u{n}")
            state, _ = fold(state, each, lambda _: None, epoch="e")
        learner.learn([(state, event("view_item", "c", at=NOW + 180, id=f"{n}-c", user_id=f"u{n}"))])
    after_a, _ = fold(None, event("view_item", "a"), lambda _: None, epoch="e")
    assert probabilities(learner, after_a, "a", "b", "c")["b"] < 0.2


def test_items_the_network_does_not_know_have_no_probability() -> None:
    learner = Learner(TRAINING)
    learner.learn(lessons(16, ("a", "b")))
    assert probabilities(learner, None, "a", "stranger")["stranger"] == 0.0


def test_an_id_that_changes_hands_begins_at_zero_again() -> None:
    shape = Shape(dim=16, layers=1, heads=2, steps=8, dropout=0.0, ids=2)
    learner = Learner(Training(shape=shape, batch=32, new=8, rate=5e-3))
    learner.learn(lessons(80, ("a", "b")))
    old = learner.network.items.id.weight.detach().clone()
    slot = int(learner.vocabulary.items().slot[learner.vocabulary.row("a")])
    learner.vocabulary.occurred(learner.vocabulary.row("b"), NOW)
    learner.vocabulary.occurred(learner.vocabulary.row("newcomer"), NOW)
    learner.forget_vacated()
    assert old[slot].abs().max() > 0
    assert learner.network.items.id.weight[slot].abs().max() == 0
    assert learner.optimizer.state[learner.network.items.id.weight]["exp_avg"][slot].abs().max() == 0


def test_an_id_expires_when_nobody_has_acted_on_the_item_for_long_and_a_row_that_no_catalog_has_goes() -> None:
    learner = Learner(msgspec.structs.replace(TRAINING, expire_s=86_400.0))
    learner.know([Item(item_id="sold", title="sold")], {})
    learner.learn([(None, event("view_item", i, at=NOW)) for i in ("sold", "stranger")])
    learner.learn(lessons(40, ("a", "b")))
    assert {"sold", "stranger"} <= set(learner.vocabulary.codes.slots)
    later = NOW + 2 * 86_400
    for n in range(2):  # the first says how late it is, before the second it is looked what has expired
        learner.learn([(None, event("view_item", "a", at=later + n, id=f"later{n}"))])
    assert set(learner.vocabulary.codes.slots) == {"a"}
    assert set(learner.vocabulary.row_of) == {"a", "sold"}
    said = probabilities(learner, None, "a", "sold", "stranger")
    assert said["stranger"] == 0.0
    assert said["a"] + said["sold"] == pytest.approx(1.0)


def test_made_up_items_take_no_id_from_a_product_and_only_so_many_of_them_are_remembered() -> None:
    shape = msgspec.structs.replace(SHAPE, ids=6)
    learner = Learner(msgspec.structs.replace(TRAINING, shape=shape, strangers=20))
    learner.know([Item(item_id=i, title=i) for i in ("a", "b", "c")], {})
    learner.learn(lessons(60, ("a", "b", "c")))
    for n in range(60):
        learner.learn([(None, event("view_item", f"made-up-{n}", at=NOW + 4_000 + n, id=f"m{n}"))])
        assert len(learner.vocabulary) <= 1 + 3 + 20 + 1
    assert {"a", "b", "c"} <= set(learner.vocabulary.codes.slots)
    assert "made-up-59" in learner.vocabulary.row_of
    taken = learner._replay.take(np.arange(len(learner._replay)))
    assert max(taken.rows.max(), taken.targets.max()) < len(learner.vocabulary)
    learner.learn(taught := lessons(200, ("a", "b", "c"), user="u2"))
    state, next_one = taught[-1]
    said = probabilities(learner, state, "a", "b", "c")
    assert max(said, key=said.__getitem__) == next_one.items[0].item_id


def test_what_leaves_the_catalog_leaves_histories_targets_and_the_softmax_and_the_rest_is_learned_on() -> None:
    learner, cycle = Learner(TRAINING), ("a", "b", "c", "d")
    learner.know([Item(item_id=i, title=i) for i in cycle], {})
    learner.learn(lessons(200, cycle))
    assert learner.not_sold(["c", "nobody"]) == ["c"]
    learner.leave(["c", "nobody"])
    assert learner.vocabulary.ids == ["", "a", "b", "d"]
    taken = learner._replay.take(np.arange(len(learner._replay)))
    assert taken.rows.max() == taken.targets.max() == 3
    assert not taken.wanted[taken.targets == 0].any()
    taught = lessons(400, ("a", "b", "d"), user="u2")
    learner.learn([(state, msgspec.structs.replace(each, event_id=f"2{each.event_id}")) for state, each in taught])
    state, next_one = taught[-1]
    said = probabilities(learner, state, *cycle)
    assert said["c"] == 0.0
    assert max(said, key=said.__getitem__) == next_one.items[0].item_id
    assert np.isfinite(learner.loss)


def test_what_comes_back_meanwhile_keeps_its_row_and_begins_at_zero() -> None:
    learner = Learner(TRAINING)
    learner.know([Item(item_id="a", title="a")], {})
    learner.learn(lessons(40, ("a", "b")))
    learner.not_sold(["a"])
    learner.know([Item(item_id="a", title="a again")], {})
    learner.leave(["a"])
    assert learner.vocabulary.row("a") == 1
    assert "a" not in learner.vocabulary.codes.slots
    learner.learn(lessons(3, ("a",), user="u3"))
    assert "a" in learner.vocabulary.codes.slots


def test_a_product_nobody_has_touched_is_likely_where_its_picture_fits() -> None:
    """Red things are followed by blue ones; the shop's own model says what is in a picture."""
    shape = msgspec.structs.replace(SHAPE, image_dim=2)
    learner = Learner(msgspec.structs.replace(TRAINING, shape=shape, admit_after=10**6))
    red, blue = [f"red{n}" for n in range(4)], [f"blue{n}" for n in range(4)]
    ids = [*red, *blue, "new-red", "new-blue", "no picture"]
    pictures = {i: [0.0, 3.0] if "blue" in i else [2.0, 0.0] for i in ids[:-1]}
    learner.know([Item(item_id=i, title=i, image_vector=pictures.get(i, "")) for i in ids], {})
    taught = lessons(400, tuple(i for pair in zip(red, blue, strict=True) for i in pair))
    learner.learn(taught)
    after_red = next(state for state, each in reversed(taught) if each.items[0].item_id.startswith("blue"))
    said = probabilities(learner, after_red, "new-blue", "new-red", "no picture")
    assert said["new-blue"] > 5 * said["new-red"]
    assert said["new-blue"] > 2 * said["no picture"]


def test_where_the_newest_action_is_hidden_the_gap_bridges_it() -> None:
    learner = Learner(msgspec.structs.replace(TRAINING, hide=1.0))
    state = lessons(3, ("a", "b"))[2][0]
    batch = empty(1, 4)
    write_history(batch, 0, state, NOW + 60 + 3600, lambda i: {"a": 1, "b": 2}.get(i, 0))
    hidden = learner._hidden(batch)
    assert hidden.rows[0].tolist() == [0, 0, 0, 1]
    assert hidden.gaps[0].tolist() == [0, 0, 0, gap_bucket(3660)]  # from the action that is left until the moment


class TestHistories:
    def test_the_newest_step_is_last_and_the_gap_runs_until_the_next(self) -> None:
        rows = {"a": 1, "b": 2}
        state = lessons(3, ("a", "b"))[2][0]
        batch = empty(1, 4)
        write_history(batch, 0, state, NOW + 60 + 3600, lambda i: rows.get(i, 0))
        assert batch.rows[0].tolist() == [0, 0, 1, 2]
        assert batch.gaps[0].tolist() == [0, 0, gap_bucket(60), gap_bucket(3600)]
        assert batch.actions[0, -1] == ACTION_CODES["view_item"]

    def test_unknown_items_are_left_out_without_a_hole(self) -> None:
        state = lessons(4, ("a", "gone", "b"))[3][0]
        batch = empty(1, 4)
        write_history(batch, 0, state, NOW, lambda i: {"a": 1, "b": 2}.get(i, 0))
        assert batch.rows[0].tolist() == [0, 0, 1, 2]

    def test_a_large_order_gives_a_few_targets(self) -> None:
        order = event("purchase", *(f"i{n}" for n in range(100)))
        found = list(targets_of(order, lambda i: int(i[1:]) + 1))
        assert 4 <= len(found) <= 8
        assert found[0][1] == [1.0, 0.0, 1.0, 0.0]  # acted on, bought

    def test_what_was_left_alone_is_written_beside_it(self) -> None:
        seen, _ = fold(None, event("view_item_list", "a", "b", "gone"), lambda _: None, epoch="e")
        batch = empty(2, 4)
        write_left(batch, 1, seen, event("view_item", "a", at=NOW + 5), lambda i: {"a": 1, "b": 2}.get(i, 0))
        assert batch.left[:, :2].tolist() == [[0, 0], [2, 0]]


class TestReplay:
    def test_it_keeps_the_newest(self) -> None:
        replay = Replay(4, 2)
        for n in range(1, 7):
            batch = empty(1, 2)
            batch.targets[0] = n
            replay.push(batch)
        assert len(replay) == 4
        assert replay.take(replay.newest(2)).targets.tolist() == [6, 5]
        assert sorted(replay.take(np.arange(4)).targets.tolist()) == [3, 4, 5, 6]

    def test_its_state_is_all_of_it(self) -> None:
        replay, other = Replay(4, 2), Replay(4, 2)
        for n in range(6):
            batch = empty(1, 2)
            batch.targets[0], batch.rows[0] = n, n
            replay.push(batch)
        other.load(replay.state())
        everything = np.arange(4)
        np.testing.assert_equal(tuple(replay.take(everything)), tuple(other.take(everything)))


class TestVocabulary:
    def test_an_item_gets_an_id_when_it_was_seen_often_enough(self) -> None:
        vocabulary = Vocabulary(SHAPE, admit_after=3)
        row = vocabulary.row("a")
        for _ in range(2):
            vocabulary.occurred(row, NOW)
        assert vocabulary.items().slot[row] == 0
        vocabulary.occurred(row, NOW)
        assert vocabulary.items().slot[row] > 0

    def test_the_longest_unseen_gives_its_id_away_when_there_are_no_more(self) -> None:
        vocabulary = Vocabulary(Shape(ids=2), admit_after=1)
        rows = [vocabulary.row(i) for i in "abc"]
        for row in rows:
            vocabulary.occurred(row, NOW)
        slots = vocabulary.items().slot[rows].tolist()
        assert slots[0] == 0
        assert sorted(slots[1:]) == [1, 2]
        assert vocabulary.vacated() == [slots[2]]
        assert vocabulary.vacated() == []

    @pytest.mark.parametrize("count", [1, 3000])
    def test_rows_follow_the_catalog(self, count: int) -> None:
        vocabulary = Vocabulary(SHAPE, admit_after=1)
        ids = [f"i{n}" for n in range(count)]
        for item_id in reversed(ids):
            vocabulary.row(item_id)
        assert [vocabulary.ids[row] for row in vocabulary.rows_of(catalog(*ids).view())] == ids
