"""logged rewards → **what each arm earned** → `rec.policy.experiments.effects`. One number a subject.

A subject is exposed when they first look at a list that the experiment decided; to be assigned, or to have such a list
made, is none. Their number is the sum of what they earned within `Experiment.window_s` of that, and counts once that
time is over: until then nobody knows it, and to count it early would favour arms that earn soon. Which experiment and
arm decided a list is in the log of the feedback join; of other logs it is worked out, as when the list was made. Lists
made before the arms were what they are (`Experiment.since`) are nobody's, and left out. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from rec.policy.experiments import Experiment, Moments, assigned, effects, mean_within


class Earned(NamedTuple):
    """One list that a subject looked at, from `at` on, and what it earned.

    None where it is not known: `strategy`, which made it; `made`, when; `decided`, which experiment and as which of its
    arms ("" and "": none did).
    """

    subject: str
    at: float  # seconds since 1970
    reward: float
    placement: str = "home"
    strategy: str | None = None
    made: float | None = None  # seconds since 1970
    decided: tuple[str, str] | None = None


class Tally(NamedTuple):
    """What the subjects of each arm earned, in the order of the arms."""

    earned: tuple[Moments, ...]
    waiting: int  # subjects whose time is not over
    otherwise: int  # lists of subjects that their arm did not decide, or another strategy made: left out
    before: int  # lists of before it began: left out
    exposed: tuple[int, ...] = ()  # subjects of each arm who have looked, those who wait included


def tally(experiment: Experiment, rows: Iterable[Earned], since: float, now: float) -> Tally:
    """What is known at `now` of lists from `since` on; rows in any order.

    A stopped experiment is read as it was while it ran. Times in seconds since 1970.
    """
    running = msgspec.structs.replace(experiment, running=True)
    number = {arm.name: at for at, arm in enumerate(experiment.arms)}
    lists: dict[str, list[tuple[float, float]]] = {}
    arm_of: dict[str, int] = {}
    otherwise = before = 0
    for row in rows:
        if row.at < since or (row.made is not None and row.made < since):
            before += 1
            continue
        arm = assigned(running, row.subject, row.placement)
        if arm is None or row.at > now:
            continue
        theirs = row.decided is None or row.decided == (experiment.name, arm.name)
        if not theirs or (row.strategy is not None and row.strategy != arm.strategy):
            otherwise += 1
            continue
        arm_of[row.subject] = number[arm.name]
        lists.setdefault(row.subject, []).append((row.at, row.reward))
    earned, waiting = [Moments() for _ in experiment.arms], 0
    exposed = [0] * len(earned)
    for subject, mine in lists.items():
        exposed[arm_of[subject]] += 1
        end = min(mine)[0] + experiment.window_s
        if end > now:
            waiting += 1
            continue
        at = arm_of[subject]
        earned[at] = earned[at].plus(sum(reward for when, reward in mine if when <= end))
    return Tally(tuple(earned), waiting, otherwise, before, tuple(exposed))


def report(experiment: Experiment, found: Tally, since: float) -> dict[str, Any]:
    """For people and programs: each arm, and each beside the control. JSON has no infinity: null, while nothing can be
    said."""
    level = experiment.alpha / (len(experiment.arms) - 1)
    rows = zip(experiment.arms, found.earned, found.exposed, strict=True)
    arms = {arm.name: _arm(one, exposed, level, experiment.horizon) for arm, one, exposed in rows}
    beside = [_finite(effect._asdict()) for effect in effects(experiment, found.earned)]
    left_out = {"waiting": found.waiting, "otherwise": found.otherwise, "before": found.before}
    return {"arms": arms, **left_out, "since": since, "level": 1 - level, "effects": beside}


def _arm(one: Moments, exposed: int, alpha: float, horizon: int) -> dict[str, Any]:
    """One arm: how many subjects count, of how many exposed, and the mean of one with its interval."""
    low, high = mean_within(one, alpha, horizon)
    return _finite({"exposed": exposed, "subjects": one.subjects, "mean": one.mean, "low": low, "high": high})


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    return {name: None if value in (math.inf, -math.inf) else value for name, value in values.items()}
