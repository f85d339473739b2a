"""Who chooses the strategy of a list: the experiment, else the bandit, else nobody."""

from __future__ import annotations

from random import Random

from rec.policy.bandit import Bandit, BanditRules, rewarded
from rec.policy.chosen import NOTHING, Assignment, Offer, Stored, segment_of, strategy_for
from rec.policy.experiments import Arm, Experiment
from rec.policy.strategy import Strategy
from rec.state import Touch, UserState

RULES = BanditRules(floor=0.1, half_life_s=1e9)
USERS = [f"u{at}" for at in range(400)]


def split(*strategies: str, share: float = 0.5, name: str = "x", running: bool = True) -> Experiment:
    arms = tuple(Arm(name=f"{at}-{each}", strategy=each, share=share) for at, each in enumerate(strategies))
    return Experiment(name=name, arms=arms, placements=("home",), running=running)


def stored(*experiments: Experiment, bandit: bool = False) -> Stored:
    return Stored(1, tuple(Offer(Strategy(name=name), bandit) for name in "ab"), experiments)


def chosen(of: Stored, placement: str = "home", bandit: Bandit | None = None) -> list[Assignment | None]:
    rng = Random(1)
    return [
        strategy_for(of, bandit or Bandit(), user, placement, None, now=0.0, rng=rng, rules=RULES) for user in USERS
    ]


def names(of: list[Assignment | None]) -> list[str | None]:
    return [None if one is None else one.strategy.name for one in of]


def test_nothing_stored_leaves_the_choice_to_the_installation() -> None:
    assert set(names(chosen(NOTHING))) == {None}
    assert set(names(chosen(stored()))) == {None}  # stored, but nobody asks for them


def test_an_experiment_decides_for_its_subjects_and_placement_alone() -> None:
    found = chosen(stored(split("a", "b", share=0.25)))
    assert {"a", "b", None} == set(names(found))
    in_it = [one for one in found if one is not None]
    assert {(one.experiment, one.arm, one.strategy.name) for one in in_it} == {("x", "0-a", "a"), ("x", "1-b", "b")}
    assert set(names(chosen(stored(split("a", "b")), "cart"))) == {None}
    assert set(names(chosen(stored(split("a", "b", running=False))))) == {None}


def test_of_two_experiments_the_older_one_has_the_subject() -> None:
    first, second = split("a", "a", name="first"), split("b", "b", name="second")
    assert set(names(chosen(stored(first, second)))) == {"a"}


def test_the_bandit_chooses_where_no_experiment_does() -> None:
    bandit = Bandit()
    for at in range(300):
        bandit = rewarded(bandit, ("new", "home"), "b", float(at % 2), now=0.0, rules=RULES)
    found = names(chosen(stored(bandit=True), bandit=bandit))
    assert found.count("b") > 0.8 * len(USERS)
    assert found.count("a") > 0.05 * len(USERS)  # its floor
    with_experiment = names(chosen(stored(split("a", "a"), bandit=True), bandit=bandit))
    assert set(with_experiment) == {"a"}


def test_one_strategy_alone_is_no_choice() -> None:
    alone = Stored(1, (Offer(Strategy(name="a"), True), Offer(Strategy(name="b"))))
    assert set(names(chosen(alone))) == {None}


def test_segments_go_by_how_much_is_known() -> None:
    def known(items: int) -> UserState:
        touches = (Touch(float(at), f"i{at % items}", "view_item") for at in range(2 * items))
        return UserState(epoch="e", history=tuple(touches))

    assert segment_of(None) == "new"
    assert [segment_of(known(items)) for items in (1, 2, 3, 14, 15)] == ["new", "new", "known", "known", "regular"]
