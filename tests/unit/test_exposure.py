"""Exposure over lists: counted from what was seen, taken back when revised, and owed to the next lists."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from rec.feedback import FeedbackExample, Place
from rec.policy.exposure import Exposures, Standings, exposure_of, unfairness
from rec.policy.fairness import share_out
from rec.rates import Rates

LOGITS = np.array([1.0, 0.98, 0.96, 0.94, 0.92, 0.9], np.float32)
BRANDS = ["A", "A", "A", "B", "B", "C"]
CODES = np.array([1, 1, 1, 2, 2, 3])


def a_list(slate_id: str, order: list[int], seen: int, revision: int = 0) -> FeedbackExample:
    places = tuple(
        Place(f"i{at}", 0.5, "knn", 1.0, "", place < seen, 0.0, {}, brand=BRANDS[at]) for place, at in enumerate(order)
    )
    merit = {"brand": {"A": 0.5, "B": 0.3, "C": 0.2}}
    return FeedbackExample(slate_id, "u", revision, "home", "s", "m", 1.0, 2.0, places, merit=merit)


def test_what_was_seen_counts_by_its_place_and_a_revision_takes_the_earlier_one_back() -> None:
    rates = Rates()
    rates.learn(a_list("s", [0, 3, 5], seen=1))
    assert rates.exposures.standings("brand", 2.0).shares == {"A": 1.0, "B": 0.0, "C": 0.0}
    rates.learn(a_list("s", [0, 3, 5], seen=3, revision=1))
    once = Rates()
    once.learn(a_list("s", [0, 3, 5], seen=3))
    for found in (rates, Rates.from_bytes(rates.to_bytes())):
        standings, whole = found.exposures.standings("brand", 2.0), once.exposures.standings("brand", 2.0)
        assert standings.shares == pytest.approx(whole.shares)
        assert standings.merits == pytest.approx({"A": 0.5, "B": 0.3, "C": 0.2})
        assert standings.total == pytest.approx(sum(map(exposure_of, range(3))))


def test_who_is_searched_for_has_no_exposure_that_another_is_owed() -> None:
    rates = Rates()
    search = msgspec.structs.replace(a_list("s", [0, 3, 5], seen=3), placement="search", merit={})
    rates.learn(search)
    assert rates.exposures.standings("brand", 2.0).total == 0
    rates.learn(msgspec.structs.replace(search, revision=1))
    assert rates.exposures.standings("brand", 2.0).total == 0
    assert rates.rows("placement", 2.0, key="search")[0].seen == pytest.approx(3)


def test_a_snapshot_from_before_exposure_was_counted_is_read() -> None:
    raw = msgspec.msgpack.decode(Rates().to_bytes())
    assert Rates.from_bytes(msgspec.msgpack.encode(raw[:-1])).exposures.standings("brand", 1.0).total == 0


def test_targets_are_by_merit_equal_or_given() -> None:
    standings = Standings({"A": 0.8, "B": 0.2}, {"A": 0.6, "B": 0.4}, 1e6)
    assert standings.targets("merit", {}) == pytest.approx({"A": 0.6, "B": 0.4})
    assert standings.targets("equal", {}) == pytest.approx({"A": 0.5, "B": 0.5})
    assert standings.targets("merit", {"B": 0.25}) == pytest.approx({"A": 0.75, "B": 0.25})
    first, last = standings.beside("merit", {})
    assert (first.group, last.group) == ("B", "A")
    assert unfairness([first, last]) == pytest.approx(0.2)
    assert standings.errors("merit", {}) == pytest.approx({"A": -1.0, "B": 1.0}, abs=1e-3)


@pytest.mark.parametrize("target", ["merit", "equal"])
def test_over_many_lists_each_brand_comes_to_its_target_which_no_single_list_can_do(target: str) -> None:
    """One place is seen of each list: within a list nobody but the first can have anything."""
    gaps = {}
    for carry in (0.0, 2.0):
        seen = Exposures(1e9)
        for at in range(600):
            owed = seen.ledger(float(at)).owed("brand", BRANDS, target, {}) * carry  # type: ignore[arg-type]
            first = int(share_out(LOGITS, CODES, 1, 1.0, carried=owed)[0])
            seen.add([(0, BRANDS[first], "")], {"brand": {"A": 0.5, "B": 0.3, "C": 0.2}}, float(at))
        gaps[carry] = unfairness(seen.standings("brand", 600.0).beside(target, {}))  # type: ignore[arg-type]
    assert gaps[0.0] > 0.4
    assert gaps[2.0] < 0.1


def test_who_has_no_name_is_owed_nothing() -> None:
    seen = Exposures(1e9)
    seen.add([(0, "A", "S"), (1, "", "")], {}, 1.0)
    assert seen.ledger(1.0).owed("brand", ["", "A", "new"], "equal", {}).tolist()[0] == 0.0
    assert seen.standings("brand", 1.0).shares == {"A": 1.0}
    assert seen.standings("seller", 1.0).shares == {"S": 1.0}
