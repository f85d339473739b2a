"""Test, then learn: nothing is known before it is tested, late when it is to be late, and never when frozen."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest

from rec.catalog import View
from rec.evaluation.baselines import NAMES
from rec.evaluation.intervals import intervals
from rec.evaluation.metrics import MISS, means, rank_of
from rec.evaluation.prequential import BLOCK, Prequential, Rules, Target
from rec.evaluation.report import report
from rec.evaluation.stream import Action, Stream, stream_of
from rec.model.learner import Learner
from rec.model.teaching import Shape, Training
from rec.model.vocabulary import price_features
from rec.state import UserState
from rec.value import Heard

DAY = 86_400.0


def cycles(shoppers: int, length: int, items: int = 30, seed: int = 1) -> list[Action]:
    """Shoppers who walk along the same circle of items, each from a place of their own."""
    rng, actions = random.Random(seed), []
    for s in range(shoppers):
        start, at = rng.randrange(items), 1_700_000_000 + rng.random() * 10 * DAY
        actions += [Action(at + 60 * n, f"s{s}", f"i{(start + n) % items}", "view_item") for n in range(length)]
    return actions


def targets_of(stream: Stream, rules: Rules) -> list[Target]:
    return list(Prequential(stream.items, rules).run(stream.events))


def hit_rate(found: list[Target]) -> float:
    return means([one.rank for one in found])["hr@10"]


def test_what_follows_what_is_learned_and_then_found() -> None:
    stream = stream_of(cycles(120, 8))
    later = [one for one in targets_of(stream, Rules()) if one.known]
    assert hit_rate(later) > 0.9


def test_noise_is_hit_as_often_as_chance_says() -> None:
    """Were anything known before it is tested, this is where it would show."""
    rng, items = random.Random(2), 100
    noise = [Action(1.7e9 + 5 * n, f"s{n}", f"i{rng.randrange(items)}", "view_item") for n in range(1_500)]
    assert hit_rate(targets_of(stream_of(noise), Rules())) == pytest.approx(10 / items, abs=0.035)


def test_an_order_is_tested_before_any_of_it_is_known() -> None:
    """Pairs that are always bought together, but never again by the same or after each other."""
    rng = random.Random(4)
    rows = [
        Action(1.7e9 + 100 * n, f"s{n}", f"{kind}{pair}", "purchase", basket=f"b{n}")
        for n, pair in enumerate(rng.randrange(50) for _ in range(400))
        for kind in "ij"
    ]
    together = targets_of(stream_of(rows), Rules())
    apart = targets_of(stream_of(row._replace(basket=None) for row in rows), Rules())
    assert hit_rate(apart) > hit_rate(together) + 0.2
    assert len(together) == len(apart)


def test_an_item_nobody_has_seen_is_a_miss() -> None:
    rows = [Action(1.7e9 + n, f"s{n}", f"i{n}", "view_item") for n in range(50)]
    found = targets_of(stream_of(rows), Rules())
    assert {one.rank for one in found} == {MISS}
    assert {one.support for one in found} == {0}


def test_the_first_share_of_the_stream_is_only_learned_from() -> None:
    stream = stream_of(cycles(50, 8))
    assert len(targets_of(stream, Rules(warmup=0.25))) == 300
    assert len(targets_of(stream, Rules(warmup=0.25, every=4))) == 75


def test_what_is_learned_late_or_not_at_all_is_worth_less() -> None:
    """Another circle of the same items half way: who does not learn goes on with the old one."""
    first, second = cycles(80, 8), cycles(80, 8, seed=3)
    other = [
        a._replace(at=a.at + 30 * DAY, item_id=f"i{7 * int(a.item_id[1:]) % 30}", user=f"t{a.user}") for a in second
    ]
    stream = stream_of([*first, *other])
    rules = Rules(warmup=0.5)
    fresh, late, frozen = (
        hit_rate(targets_of(stream, rules._replace(**more))) for more in ({}, {"lag_s": 5 * DAY}, {"frozen": True})
    )
    assert fresh > late > frozen


class Told(Learner):
    """A network that remembers what it was told of which item, and how much of the stream was over by then."""

    def __init__(self, training: Training) -> None:
        super().__init__(training)
        self.read: list[dict[str, list[float]]] = []  # at each block that it reads: item → text and price it has

    def hear(self, view: View, users: Sequence[UserState | None], now: Sequence[float]) -> list[Heard | None]:
        items = self.vocabulary.items()
        known = {i: [*items.text[r].tolist(), *items.price[r].tolist()] for i, r in self.vocabulary.row_of.items()}
        self.read.append(known)
        return super().hear(view, users, now)


@pytest.mark.parametrize("more", [{}, {"frozen": True}, {"lag_s": DAY}])
def test_the_network_reads_text_and_price_of_an_item_from_its_first_event_on_and_not_before(
    more: dict[str, float],
) -> None:
    rows = [Action(1.7e9 + 5 * n, f"s{n}", f"i{n // 2}", "view_item", price=float(n // 2)) for n in range(3 * BLOCK)]
    stream = stream_of(rows)
    vectors = {item_id: np.eye(4, dtype=np.float32)[int(item_id[1:]) % 4] for item_id in stream.items}
    network = Told(Training(shape=Shape(dim=8, layers=1, heads=1, steps=4, ids=64, text_dim=4), batch=32))
    rules = Rules()._replace(**more)  # type: ignore[arg-type]
    assert list(Prequential(stream.items, rules, network=network, vectors=vectors).run(stream.events))
    for block, known in enumerate(network.read, 1):  # there is nothing to read in the first one
        assert set(known) == {f"i{n}" for n in range(block * BLOCK // 2)}
        for item_id, said in known.items():
            expected = [*vectors[item_id].tolist(), *price_features(stream.items[item_id].price)]
            assert said == pytest.approx(expected, abs=1e-5)


def test_seen_items_are_no_candidates_where_they_are_excluded() -> None:
    rows = [Action(1.7e9 + 60 * n, "s", f"i{n % 5}", "view_item") for n in range(40)]
    found = targets_of(stream_of(rows), Rules(seen_excluded=True))
    assert {one.rank for one in found} == {MISS}


def test_lines_are_beside_every_target() -> None:
    found = targets_of(stream_of(cycles(60, 8)), Rules())
    assert all(set(one.lines) == set(NAMES) for one in found)
    rules = means([one.lines["rules"] for one in found if one.known])
    popular = means([one.lines["popularity"] for one in found if one.known])
    assert rules["hr@10"] > popular["hr@10"]


def test_the_same_stream_gives_the_same_numbers() -> None:
    stream = stream_of(cycles(40, 8))
    assert targets_of(stream, Rules()) == targets_of(stream, Rules())


class TestMetrics:
    def test_ties_get_the_middle_of_the_places_they_share(self) -> None:
        assert rank_of(np.zeros(5), 3) == 2.0
        assert rank_of(np.array([1.0, 3.0, 2.0]), 2) == 1.0

    def test_intervals_hold_the_mean_and_are_wider_where_a_few_shoppers_make_it(self) -> None:
        rng = np.random.default_rng(1)
        ranks = np.where(rng.random(2_000) < 0.3, 0.0, MISS)
        many = intervals(ranks, np.arange(2_000), np.random.default_rng(2))["hr@10"]
        ranks_of_few = np.repeat(np.where(rng.random(20) < 0.3, 0.0, MISS), 100)
        few = intervals(ranks_of_few, np.repeat(np.arange(20), 100), np.random.default_rng(2))["hr@10"]
        assert many[0] < ranks.__eq__(0).mean() < many[1]
        assert few[1] - few[0] > 3 * (many[1] - many[0])

    def test_a_report_of_nothing_is_empty_and_not_an_error(self) -> None:
        assert report({0: []}, 0)["model"] == {}


class TestReport:
    def test_slices_add_up_and_name_the_best_line(self) -> None:
        body = report({0: targets_of(stream_of(cycles(60, 8)), Rules())}, 0)
        slices = body["slices"]
        parts = ("first action of a shopper", "shopper with 1 to 4 items", "shopper with 5 items or more")
        assert sum(slices[name]["scored"] for name in parts) == body["scored"]
        assert slices["shopper with 1 to 4 items"]["best_baseline"] in NAMES
        assert sum(window["hr@10"] for window in body["windows"]) / len(body["windows"]) == pytest.approx(
            body["model"]["hr@10"], abs=0.02
        )
