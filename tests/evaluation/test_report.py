"""Slices, windows, intervals and comparisons, each beside a slow and obvious reference."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rec.evaluation.intervals import bootstrap, difference, intervals
from rec.evaluation.metrics import METRICS, MISS, gains
from rec.evaluation.prequential import Prequential, Rules, Target
from rec.evaluation.report import ablation, by_seed, curve, report, spread
from rec.evaluation.stream import Action, Stream, stream_of


def random_stream(seed: int, rows: int = 600) -> Stream:
    """New shoppers and new items all along, some of the shoppers with long histories, many repeats."""
    rng = random.Random(seed)
    actions = []
    for n in range(rows):
        shopper = f"s{rng.randrange(4)}" if rng.random() < 0.5 else f"v{rng.randrange(10 + n // 4)}"
        actions.append(Action(1.7e9 + 60 * n, shopper, f"i{int(rng.random() ** 2 * (10 + n // 5))}", "view_item"))
    return stream_of(actions)


def targets(stream: Stream, **more: object) -> list[Target]:
    return list(Prequential(stream.items, Rules()._replace(**more)).run(stream.events))  # type: ignore[arg-type]


def hit(rank: float) -> float:
    return float(rank < 10)


class TestSlices:
    def test_each_slice_holds_what_a_walk_along_the_stream_puts_there(self) -> None:
        """The walk knows sets and counts alone: nothing of states, candidates or catalogs."""
        stream = random_stream(3)
        found = targets(stream)
        histories: dict[str, set[str]] = {}
        events_of: dict[str, int] = {}
        walked: dict[str, list[float]] = {}
        skip = len(stream.events) - len(found)
        for number, event in enumerate(stream.events):
            item_id = event.items[0].item_id
            mine, before = histories.setdefault(event.subject, set()), events_of.get(item_id, 0)
            if number >= skip:
                rank = found[number - skip].rank
                for name, belongs in {
                    "first action of a shopper": len(mine) == 0,
                    "shopper with 1 to 4 items": 1 <= len(mine) <= 4,
                    "shopper with 5 items or more": len(mine) >= 5,
                    "long history, 20 items or more": len(mine) >= 20,
                    "item never seen before": before == 0,
                    "cold item, at most 5 events": before <= 5,
                    "cold item, 1 to 5 events": 1 <= before <= 5,
                    "repeat of the shopper's own": item_id in mine,
                    "new to the shopper": item_id not in mine and before > 0,
                }.items():
                    walked.setdefault(name, []).extend([hit(rank)] if belongs else [])
            mine.add(item_id)
            events_of[item_id] = before + 1
        slices = report({0: found}, 0)["slices"]
        assert {name: part["scored"] for name, part in slices.items()} == {n: len(v) for n, v in walked.items()}
        assert all(walked.values()), "the stream has something of everything"
        for name, hits in walked.items():
            assert slices[name]["hr@10"] == pytest.approx(sum(hits) / len(hits), abs=1e-5), name

    def test_the_best_line_of_a_slice_is_the_one_with_most_hits_among_its_targets(self) -> None:
        found = targets(random_stream(4))
        part = report({0: found}, 0)["slices"]["repeat of the shopper's own"]
        mine = [one for one in found if one.repeat]
        rates = {name: sum(hit(one.lines[name]) for one in mine) / len(mine) for name in mine[0].lines}
        assert {name: line["hr@10"] for name, line in part["baselines"].items()} == pytest.approx(rates, abs=1e-5)
        assert rates[part["best_baseline"]] == max(rates.values())

    def test_a_known_shopper_who_turns_to_an_unknown_item_is_not_new(self) -> None:
        rows = [Action(1.7e9 + n, "s", f"i{n}", "view_item") for n in range(50)]
        found = targets(stream_of(rows))
        assert [one.known for one in found] == list(range(10, 50))

    def test_a_run_without_lines_has_none_anywhere_even_beside_items_nobody_knew(self) -> None:
        stream = random_stream(5)
        found = list(Prequential(stream.items, Rules(), lines=False).run(stream.events))
        assert report({0: found}, 0)["baselines"] == {}


class TestWindows:
    def test_windows_cut_the_targets_in_their_order_and_leave_none_out(self) -> None:
        found = targets(random_stream(6))
        parts = report({0: found}, 0, 7)["windows"]
        assert sum(part["scored"] for part in parts) == len(found)
        assert max(part["scored"] for part in parts) - min(part["scored"] for part in parts) <= 1
        start = 0
        for part in parts:
            mine = found[start : start + part["scored"]]
            assert (part["from"], part["to"]) == (mine[0].at, mine[-1].at)
            assert part["hr@10"] == pytest.approx(sum(hit(one.rank) for one in mine) / len(mine), abs=1e-5)
            start += part["scored"]

    def test_more_windows_than_targets_are_as_many_as_targets(self) -> None:
        found = targets(random_stream(7, rows=20))
        assert len(report({0: found}, 0, 100)["windows"]) == len(found)


class TestIntervals:
    def test_they_are_what_drawing_shoppers_one_by_one_gives(self) -> None:
        """The reference draws names, gathers their targets in lists, and sorts the means."""
        rng = np.random.default_rng(8)
        subjects = np.sort(rng.integers(0, 25, 300))
        subjects = np.unique(subjects, return_inverse=True)[1]
        ranks = rng.integers(0, 30, 300).astype(float)
        part = rng.random(300) < 0.3
        earned = np.stack(list(gains(ranks).values()), axis=1)
        (found,) = bootstrap(earned, subjects, [part], np.random.default_rng(1))
        assert found is not None
        slow = random.Random(9)
        mine = {s: [hit(r) for r, o, p in zip(ranks, subjects, part, strict=True) if o == s and p] for s in range(25)}
        drawn = ([h for s in slow.choices(range(25), k=25) for h in mine[s]] for _ in range(4_000))
        means = sorted(sum(hits) / len(hits) for hits in drawn if hits)
        assert found[0] == pytest.approx((means[100], means[3_899]), abs=0.02)

    def test_every_slice_and_window_has_one_that_holds_its_mean(self) -> None:
        body = report({0: targets(random_stream(10))}, 0)
        for part in [*body["slices"].values(), *body["windows"]]:
            for metric in METRICS:
                low, high = part["intervals"][metric]
                assert low <= part[metric] <= high

    def test_a_paired_difference_is_narrower_than_two_runs_apart(self) -> None:
        rng = np.random.default_rng(11)
        ranks = np.where(rng.random(500) < 0.4, 0.0, MISS)
        better = np.where(rng.random(500) < 0.03, 0.0, ranks)
        mine, theirs = (np.stack(list(gains(r).values()), axis=1) for r in (better, ranks))
        low, high = difference(mine, theirs, np.arange(500), np.random.default_rng(1))["hr@10"]
        alone = intervals(ranks, np.arange(500), np.random.default_rng(1))["hr@10"]
        assert 0 < low < high
        assert high - low < (alone[1] - alone[0]) / 2

    def test_of_nothing_there_are_none(self) -> None:
        assert intervals(np.zeros(0), np.zeros(0, np.int64), np.random.default_rng(0)) == {}


class TestComparisons:
    def test_seeds_are_averaged_and_how_far_they_are_apart_is_told(self) -> None:
        found = targets(random_stream(12))
        worse = [one._replace(rank=MISS) for one in found]
        runs = {0: found, 5: worse}
        one, both = report({0: found}, 0)["model"]["hr@10"], report(runs, 0)["model"]["hr@10"]
        assert both == pytest.approx(one / 2, abs=1e-5)
        assert by_seed(runs)["5"]["hr@10"] == 0.0
        assert spread(runs)["hr@10"] == pytest.approx(one / 2**0.5, abs=1e-5)
        assert spread({0: found}) == {}

    def test_the_lag_curve_goes_from_at_once_to_never_by_how_late(self) -> None:
        stream = random_stream(13)
        live, late, never = targets(stream), targets(stream, lag_s=3_600.0), targets(stream, frozen=True)
        points = curve({0: live}, {3_600.0: {0: late}, 0.0: {0: live}}, {0: never}, 0)
        assert [point["lag_s"] for point in points] == [0.0, 3_600.0, None]
        for point, run in zip(points, (live, late, never), strict=True):
            rate = sum(hit(one.rank) for one in run) / len(run)
            assert point["hr@10"] == pytest.approx(rate, abs=1e-5)
            assert point["difference"]["hr@10"]["mean"] == pytest.approx(rate - points[0]["hr@10"], abs=2e-5)

    def test_each_part_is_beside_the_one_before_it_and_the_first_beside_the_fixed_mix(self) -> None:
        found = targets(random_stream(14))
        perfect = [one._replace(rank=0.0) for one in found]
        mix, gate, network = ablation({"gate alone": {0: found}, "+ network": {0: perfect}}, 0)
        assert (mix["part"], "difference" in mix) == ("fixed mix", False)
        assert mix["hr@10"] == report({0: found}, 0)["baselines"]["mix"]["hr@10"]
        assert gate["difference"]["hr@10"]["mean"] == pytest.approx(gate["hr@10"] - mix["hr@10"], abs=2e-5)
        assert network["difference"]["hr@10"]["mean"] == pytest.approx(1 - gate["hr@10"], abs=2e-5)
