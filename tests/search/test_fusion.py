"""The fusion of ranks, words and clicks; and clicks move it, by so much at most."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rec.counters import Counters
from rec.events import Event, EventItem, instant
from rec.search.clicks import PUBLIC, QueryClicks
from rec.search.fusion import FUSED, PRIOR, RECIPROCAL, SPAN, Fusion, FusionLearner, reciprocal
from rec.search.lessons import Lessons

NOW = 1_700_000_000.0


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


def test_reciprocal_ranks_alone_order_by_places_in_both_lists() -> None:
    features = np.zeros((4, len(FUSED)), np.float32)
    features[:, 0] = reciprocal([ints(2, 0, 1), ints(0, 3)], 4)
    features[:, 1] = [0.1, 0.2, 1.0, 0.9]  # what nobody has learned to read
    assert np.argsort(-Fusion(RECIPROCAL).score(features)).tolist() == np.argsort(-features[:, 0]).tolist()
    assert reciprocal([ints(2, 0, 1), ints(0, 3)], 4).argmax() == 0  # second and first beats first and nothing


def test_judgments_teach_what_reciprocal_ranks_do_not_say() -> None:
    rng, learner = np.random.default_rng(1), FusionLearner(Fusion(RECIPROCAL), rate=0.3, span=None)
    losses = []
    for _ in range(300):
        features = rng.random((20, len(FUSED))).astype(np.float32)
        losses.append(learner.learn(features, [int(features[:, 3].argmax())]))  # they choose what covers the query
    assert learner.fusion.weights[3] > 5
    assert np.mean(losses[-50:]) < np.mean(losses[:50]) / 2
    assert learner.fusion.learned == 300


def test_no_flood_of_clicks_moves_the_fusion_far() -> None:
    learner = FusionLearner(rate=100.0)
    features = np.eye(2, len(FUSED), dtype=np.float32)
    for _ in range(1_000):
        learner.learn(features, [1])
    assert all(abs(w - p) <= SPAN * p for w, p in zip(learner.fusion.weights, PRIOR, strict=True))
    assert FusionLearner(Fusion((99.0,) * len(FUSED))).fusion.weights == pytest.approx(np.array(PRIOR) * (1 + SPAN))


def shown(*, wanted: int = 5, size: int = 8) -> np.ndarray:
    """A list that the prior made, with a product at `wanted` that has less of the words and more of the vector."""
    features = np.zeros((size, len(FUSED)), np.float32)
    features[:, 3] = np.linspace(1.0, 0.5, size)
    features[wanted, 2] = 1.0
    return features


def test_a_shopper_teaches_once_a_query_and_day_and_a_few_times_a_day() -> None:
    lessons = Lessons()
    taught = [lessons.learn("u", q, shown(), [5], NOW) for q in ("tent", "Tent!", "lamp", "sofa", "chair", "pan")]
    assert taught == [True, False, True, True, False, False]
    assert lessons.learn("u", "tent", shown(), [5], NOW + 86_400)
    assert lessons.learn("v", "tent", shown(), [5], NOW)
    assert lessons.learned.learned == 5
    lessons.forget("u")
    assert lessons.learn("u", "tent", shown(), [5], NOW)


def test_a_click_says_nothing_of_what_is_below_it() -> None:
    one, other = Lessons(), Lessons()
    below = shown()
    below[6:] = np.random.default_rng(1).random((2, len(FUSED)))
    assert one.learn("u", "tent", shown(), [5], NOW)
    assert other.learn("u", "tent", below, [5], NOW)
    assert one.learned == other.learned
    assert not one.learn("v", "tent", shown(), [0], NOW)  # the first place: nothing was left alone
    assert one.learned.weights[2] > PRIOR[2]


def test_what_one_shopper_teaches_serves_nobody() -> None:
    lessons = Lessons()
    for day in range(400):
        for query in ("brackenrow tent", "tent", "lamp"):
            lessons.learn("u", query, shown(), [5], NOW + 86_400 * day)
    assert lessons.learned.learned == 1_200
    assert lessons.serving == Fusion()


def test_what_many_teach_serves_while_it_explains_their_clicks_better_than_the_prior() -> None:
    lessons = Lessons()
    for n in range(100):
        lessons.learn(f"u{n}", "tent", shown(wanted=3 + n % 4), [3 + n % 4], NOW)
    assert lessons.serving == lessons.learned != Fusion()
    for n in range(400):  # now they are content with the first place, although the second is near
        lessons.learn(f"w{n}", "tent", shown(wanted=1), [0], NOW)
    assert lessons.serving == Fusion()
    assert lessons.learned.learned == 100


def asked(name: str, user: str, term: str, *items: str, at: float = NOW) -> Event:
    return Event(
        event=name, event_id=f"{name}{user}{term}{items}{at}", user_id=user, search_term=term,
        items=tuple(map(EventItem, items)), event_ts=instant(at), received_ts=instant(at),
    )  # fmt: skip


def test_click_counts_are_by_query_fade_and_are_bounded() -> None:
    clicks = QueryClicks(max_queries=100, half_life_s=1_000)
    for n in range(10):
        clicks.learn(asked("select_item", f"u{n}", "Tent", "old"))
    early = clicks.of("tent", NOW)["old"]
    for n in range(10):
        clicks.learn(asked("select_item", f"v{n}", "tent", "new", at=NOW + 3_000))
    late = clicks.of("TENT ", NOW + 3_000)
    assert late["new"] > late["old"] < early
    for n in range(1_000):
        clicks.learn(asked("search", "u", f"query {n}"))
        clicks.learn(asked("select_item", "u", "tent", f"item {n}", at=NOW + 3_000))
    assert len(clicks) <= 100
    assert len(clicks.of("tent", NOW)) <= 50


def test_what_nobody_asks_for_any_more_fades_without_another_event() -> None:
    clicks = QueryClicks(half_life_s=1_000)
    for n in range(8):
        clicks.learn(asked("search", f"u{n}", "christmas tree"))
        clicks.learn(asked("select_item", f"u{n}", "christmas tree", "fir"))
    for n in range(3):
        clicks.learn(asked("search", f"u{n}", "chair", at=NOW + 3_000))
    early, late = clicks.popular(NOW), clicks.popular(NOW + 3_000)
    assert (early["christmas tree"], late["christmas tree"], late["chair"]) == (8, 1, 3)
    assert early["chair"] == 3  # of a moment that is still to come, nothing has faded
    assert clicks.of("christmas tree", NOW)["fir"] == pytest.approx(8 / 13)
    assert clicks.of("christmas tree", NOW + 3_000)["fir"] == pytest.approx(1 / 6)


def test_the_order_of_events_does_not_matter() -> None:
    events = [asked("select_item", f"u{n}", "tent", f"i{n % 3}", at=NOW + 500 * (n * 7 % 10)) for n in range(10)]
    one, other = QueryClicks(half_life_s=1_000), QueryClicks(half_life_s=1_000)
    for event in events:
        one.learn(event)
    for event in reversed(events):
        other.learn(event)
    assert one.of("tent", NOW).keys() == other.of("tent", NOW).keys()
    assert all(abs(one.of("tent", NOW)[i] - other.of("tent", NOW)[i]) < 1e-9 for i in one.of("tent", NOW))


def test_a_subject_has_one_vote_for_a_query_and_a_product_the_strongest_of_their_actions() -> None:
    clicks, others = QueryClicks(), QueryClicks()
    for n in range(100):
        clicks.learn(asked("purchase", "u", "tent", "a", at=NOW + n))
    others.learn(asked("dwell", "u", "tent", "a"))
    once = others.of("tent", NOW)["a"]
    others.learn(asked("purchase", "u", "tent", "a"))
    others.learn(asked("select_item", "u", "tent", "a"))
    assert once < others.of("tent", NOW)["a"] == pytest.approx(clicks.of("tent", NOW)["a"], rel=1e-2)
    others.learn(asked("select_item", "v", "tent", "a"))
    others.learn(asked("dwell", "u", "lamp", "a"))
    assert others.of("tent", NOW)["a"] > clicks.of("tent", NOW)["a"]
    assert others.of("lamp", NOW)["a"] == once


def test_votes_are_bounded_outlast_a_restart_and_go_with_the_erased() -> None:
    few = QueryClicks(max_votes=100)
    for n in range(1_000):
        few.learn(asked("select_item", f"u{n}", "tent", "a"))
    assert sum(map(len, few.votes())) <= 100
    counters = Counters()
    for user in ("u", "v"):
        counters.learn(asked("purchase", user, "tent", "a"))
    again = Counters.from_bytes(counters.to_bytes())
    again.learn(asked("purchase", "u", "tent", "a", at=NOW + 1))
    assert again.queries.of("tent", NOW)["a"] == pytest.approx(counters.queries.of("tent", NOW)["a"], rel=1e-2)
    again.forget("u")
    assert [len(marks) for marks in again.queries.votes()] == [0, 1]


def test_query_counts_go_on_after_a_restart_past_their_limits_as_without_one() -> None:
    whole, again = (QueryClicks(max_queries=8, max_votes=8) for _ in range(2))
    for n in (0, 1, 2, 3, 4, 5, 0):  # 1 to 3 are the older ones now
        whole.learn(asked("select_item", "u", f"tent {n}", "a"))
    again.restore(whole.to_parts(), whole.votes())
    for n in (6, 1, 2, 4):
        for each in (whole, again):
            each.learn(asked("select_item", "u", f"tent {n}", "a", at=NOW + n))
        assert [list(part) for part in again.to_parts()] == [list(part) for part in whole.to_parts()]
        assert again.votes() == whole.votes()


def test_a_snapshot_of_before_there_were_votes_is_read() -> None:
    counters = Counters()
    counters.learn(asked("select_item", "u", "tent", "a"))
    fields = msgspec.msgpack.decode(counters.to_bytes(), strict=False)
    older = Counters.from_bytes(msgspec.msgpack.encode(fields[:-1]))
    assert older.queries.of("tent", NOW) == counters.queries.of("tent", NOW)


def test_a_query_is_kept_in_clear_only_once_several_asked_for_it() -> None:
    counters = Counters()
    for n in range(PUBLIC - 1):
        counters.learn(asked("search", f"u{n}", "Jane Doe"))
    assert b"jane doe" not in counters.to_bytes()
    counters.learn(asked("search", "another", "Jane Doe"))
    assert counters.queries.popular(NOW).keys() == {"jane doe"}


def test_an_erased_subject_does_not_count_towards_making_a_query_public() -> None:
    counters = Counters()
    for n in range(PUBLIC - 1):
        counters.learn(asked("search", f"u{n}", "Jane Doe"))
    counters.forget("u0")
    counters.learn(asked("search", "another", "Jane Doe"))
    assert counters.queries.popular(NOW) == {}
    counters.learn(asked("search", "one more", "Jane Doe"))
    assert counters.queries.popular(NOW).keys() == {"jane doe"}


def test_clicks_outlast_a_restart() -> None:
    counters = Counters()
    for n in range(5):
        counters.learn(asked("select_item", f"u{n}", "tent", "a"))
        counters.learn(asked("search", f"u{n}", "tent"))
    again = Counters.from_bytes(counters.to_bytes())
    assert again.queries.of("tent", NOW) == counters.queries.of("tent", NOW)
    assert again.queries.popular(NOW) == counters.queries.popular(NOW)
