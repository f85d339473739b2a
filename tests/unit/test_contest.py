"""Which version may make the lists: not worse goes live, worse is held, a fallen one gives its place back."""

from __future__ import annotations

import numpy as np
import pytest

from rec.contest import CANDIDATE, LEAST_ROUNDS, UNTAUGHT, WINDOW, Contest, Ladder, Round

RNG = np.random.default_rng(0)


def rounds(count: int, noise: float = 0.2, **losses: float) -> list[Round]:
    """Batches of 32; each contender's mean loss, and a hardness of the batch that all share."""
    found = []
    for _ in range(count):
        hard = RNG.normal(0, 0.5)
        sums = {name: 32 * (loss + hard + RNG.normal(0, noise) / 32**0.5) for name, loss in losses.items()}
        found.append(Round(32, sums, dict.fromkeys(sums, 8.0), dict.fromkeys(sums, 4.0)))
    return found


def contest(*played: Round) -> Contest:
    made = Contest()
    for one in played:
        made.add(one)
    return made


def test_nothing_goes_live_before_it_was_compared() -> None:
    few = contest(*rounds(LEAST_ROUNDS - 1, candidate=1.0, live=5.0))
    assert few.decide("live", []).kind == "hold"
    assert contest().decide("live", [UNTAUGHT]).kind == "hold"


def test_a_candidate_that_is_not_worse_goes_live() -> None:
    assert contest(*rounds(16, candidate=4.0, live=4.5)).decide("live", []).kind == "promote"
    assert contest(*rounds(16, candidate=4.0, live=4.0, noise=0.0)).decide("live", []).kind == "promote"


def test_a_worse_candidate_is_held_and_the_reason_names_the_better_one() -> None:
    verdict = contest(*rounds(16, candidate=4.5, live=4.0)).decide("live", [])
    assert verdict.kind == "hold"
    assert "worse than live" in verdict.why


def test_a_candidate_better_than_the_live_one_is_held_while_an_anchor_is_clearly_better_still() -> None:
    played = rounds(16, **{CANDIDATE: 4.0, "live": 4.02, "old": 3.0})
    assert contest(*played).decide("live", ["old"]).kind == "roll_back"
    shortly = rounds(16, **{CANDIDATE: 4.0, "old": 3.0})
    verdict = contest(*rounds(4, **{CANDIDATE: 4.0, "live": 4.0}), *shortly).decide("live", ["old"])
    assert verdict.kind == "hold"


def test_a_live_version_that_an_anchor_beats_gives_its_place_to_the_best_of_them() -> None:
    played = rounds(16, **{CANDIDATE: 4.4, "live": 4.5, "old": 4.0, "older": 3.5, UNTAUGHT: 5.0})
    verdict = contest(*played).decide("live", ["old", "older", UNTAUGHT])
    assert (verdict.kind, verdict.to) == ("roll_back", "older")


def test_a_fallen_live_version_is_replaced_by_the_candidate_if_that_has_recovered() -> None:
    played = rounds(16, **{CANDIDATE: 3.4, "live": 4.5, "old": 4.0})
    assert contest(*played).decide("live", ["old"]).kind == "promote"


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("broken", [NAN, INF])
def test_a_candidate_whose_loss_is_no_number_does_not_go_live(broken: float) -> None:
    assert contest(*rounds(16, candidate=broken, live=9.0)).decide("live", []).kind == "hold"
    assert contest(*rounds(16, candidate=broken, live=broken)).decide("live", []).kind == "hold"


@pytest.mark.parametrize("broken", [NAN, INF])
def test_a_live_version_whose_loss_is_no_number_gives_its_place_to_one_that_says_something(broken: float) -> None:
    verdict = contest(*rounds(16, candidate=broken, live=broken, old=9.0)).decide("live", ["old"])
    assert (verdict.kind, verdict.to) == ("roll_back", "old")
    assert contest(*rounds(16, candidate=4.0, live=broken, old=9.0)).decide("live", ["old"]).kind == "promote"


@pytest.mark.parametrize("broken", [NAN, INF])
def test_nothing_goes_back_to_an_anchor_whose_loss_is_no_number(broken: float) -> None:
    assert contest(*rounds(16, candidate=9.0, live=4.0, old=broken)).decide("live", ["old"]).kind == "hold"
    assert (
        contest(*rounds(16, candidate=4.0, live=4.0, old=broken, noise=0.0)).decide("live", ["old"]).kind == "promote"
    )


def test_a_hard_batch_is_hard_for_all_and_hides_no_difference() -> None:
    played = [
        Round(32, {CANDIDATE: 32 * (hard + 0.05), "live": 32 * hard}, {}, {}) for hard in (1.0, 9.0, 2.0, 8.0, 1.0, 7.0)
    ]
    assert contest(*played).decide("live", []).kind == "hold"


def test_what_goes_live_takes_the_candidates_scores_along() -> None:
    played = contest(*rounds(16, candidate=4.0, live=4.5))
    played.crown("v1")
    assert played.scores("v1") == played.scores(CANDIDATE)
    assert played.decide("v1", ["live"]).kind == "promote"


def test_what_is_long_ago_counts_no_more() -> None:
    played = contest(*rounds(40, candidate=9.0, live=4.0), *rounds(WINDOW // 32, candidate=4.0, live=4.5))
    assert played.decide("live", []).kind == "promote"


def test_scores_are_means_over_the_examples() -> None:
    one = Round(2, {"a": 6.0}, {"a": 1.0}, {"a": 0.5})
    assert contest(one, Round(0, {"a": 1e9}, {}, {})).scores("a") == (3.0, 0.5, 0.25)
    assert contest(one).scores("b") is None


@pytest.mark.parametrize("step", [50, 700, 5_000])
def test_anchors_stay_far_apart_however_often_something_goes_live(step: int) -> None:
    ladder = Ladder()
    for count in range(0, 100_000, step):
        ladder.add(f"v{count}", count)
    newest, middle, oldest = (count for _, count in ladder.rungs)
    assert newest > 100_000 - 4_000 - 2 * step
    assert 1_000 <= newest - middle <= 36_000 + step
    assert oldest <= middle - 4_000
