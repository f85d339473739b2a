"""stored strategies + experiments + bandit → **the strategy of a list**. Who decides, in this order:

    1  a running experiment that this subject is in, at this placement (the oldest one, if there are several)
    2  the bandit, among the strategies that are offered to it, by segment and placement
    3  nobody: the installation's own strategy (REC_STRATEGY)

Pure: `now` and `rng` are arguments. What is stored is checked as it comes in (`put_…` of rec.ports.Strategies), so a
strategy that an experiment names exists for as long as the experiment does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import NamedTuple

import msgspec

from rec.errors import BadInput, NotFound
from rec.policy.bandit import Bandit, BanditRules, chances, choose
from rec.policy.experiments import Arm, Experiment, assigned
from rec.policy.strategy import Strategy
from rec.state import UserState

MAX_NAMED = 200  # strategies, and experiments, that are stored
NEW, KNOWN = 3, 15  # different items in a history from which on a shopper is known, and a regular


class Offer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A stored strategy. `bandit`: it may be chosen by the bandit; otherwise only by name."""

    strategy: Strategy
    bandit: bool = False


class Stored(NamedTuple):
    """All that is stored, as of a revision. Experiments in the order in which they were first put."""

    revision: int
    offers: tuple[Offer, ...] = ()
    experiments: tuple[Experiment, ...] = ()

    @property
    def offered(self) -> tuple[Strategy, ...]:
        """Those that the bandit may choose."""
        return tuple(offer.strategy for offer in self.offers if offer.bandit)

    def strategy(self, name: str) -> Strategy | None:
        """By name."""
        return next((offer.strategy for offer in self.offers if offer.strategy.name == name), None)


NOTHING = Stored(0)


class Assignment(NamedTuple):
    """The strategy of a list, and who chose it. `chance`: how probable this choice was."""

    strategy: Strategy
    experiment: str | None = None
    arm: str | None = None
    chance: float | None = None


def strategy_for(
    stored: Stored,
    bandit: Bandit,
    subject: str,
    placement: str,
    state: UserState | None,
    *,
    now: float,
    rng: Random,
    rules: BanditRules,
) -> Assignment | None:
    """The strategy of a subject's list; None: the installation's own."""
    found = enrolled(stored.experiments, subject, placement)
    if found is not None:
        experiment, arm = found
        strategy = stored.strategy(arm.strategy)
        if strategy is not None:
            enrolled_share = math.fsum(each.share for each in experiment.arms)
            return Assignment(strategy, experiment.name, arm.name, arm.share / enrolled_share)
    offered = {strategy.name: strategy for strategy in stored.offered}
    if len(offered) < 2:
        return None
    group = (segment_of(state), placement)
    name = choose(bandit, group, list(offered), now=now, rng=rng, rules=rules)
    return Assignment(offered[name], chance=chances(bandit, group, list(offered), now=now, rules=rules)[name])


def enrolled(experiments: Sequence[Experiment], subject: str, placement: str) -> tuple[Experiment, Arm] | None:
    """The first experiment that the subject is in, and their arm."""
    for experiment in experiments:
        if (arm := assigned(experiment, subject, placement)) is not None:
            return experiment, arm
    return None


def segment_of(state: UserState | None) -> str:
    """How much is known of the shopper: strategies that suit regulars may not suit newcomers."""
    known = 0 if state is None else len({touch.item_id for touch in state.history})
    return "new" if known < NEW else "known" if known < KNOWN else "regular"


# ---------------------------------------------------------------- what may be stored
def checked_offer(there: Sequence[Offer], offer: Offer, rules: BanditRules) -> None:
    """Raises BadInput where there would be too many, or the bandit could not give one more its floor of traffic.

    What makes it no worse is taken: where the floor was raised over what is stored, it is the way back.
    """
    known = {each.strategy.name: each for each in there}
    before, name = known.get(offer.strategy.name), offer.strategy.name
    if before is None and len(known) >= MAX_NAMED:
        raise BadInput(
            f"There are {MAX_NAMED} strategies already. Drop one first: rec strategies drop NAME.", field="name"
        )
    offered = sum(each.bandit for each in {**known, name: offer}.values())
    one_more = offer.bandit and not (before is not None and before.bandit)
    if one_more and offered * rules.floor > 1:
        raise BadInput(
            f"{offered} strategies with {rules.floor:g} of the traffic each are more than all of it. "
            "Lower REC_BANDIT_FLOOR, or offer fewer to the bandit.",
            field="bandit",
        )


def checked_experiment(experiment: Experiment, offers: Sequence[Offer]) -> None:
    """Raises BadInput for an arm whose strategy is not stored."""
    known = [offer.strategy.name for offer in offers]
    for arm in experiment.arms:
        if arm.strategy not in known:
            raise BadInput(
                f"Arm {arm.name!r} names the strategy {arm.strategy!r}, which is not stored. "
                f"Stored are: {', '.join(known) or 'none'}. Put it first: rec strategies put.",
                field="arms",
            )


def checked_drop(name: str, stored: Stored) -> None:
    """Raises NotFound for a strategy that is not stored, BadInput for one that an experiment needs."""
    if stored.strategy(name) is None:
        raise NotFound(f"There is no strategy {name!r}. Those there are: rec strategies list.", field="name")
    for experiment in stored.experiments:
        if name in {arm.strategy for arm in experiment.arms}:
            raise BadInput(
                f"The experiment {experiment.name!r} needs {name!r}. Drop that first: rec experiments drop "
                f"{experiment.name}.",
                field="name",
            )
