"""a new list, the one on the screen → **replace, swap the tail, or wait** → push. Learned from what lists earn. Pure.

    replace   the new list, as it was made
    tail      the first places stay as they are, the rest is that of the new list
    wait      all places stay for some seconds, then the new list comes

A list that changes under a thumb takes away what was about to be touched; one that stays is behind the shopper's
interest. Which is worse depends on how much would change, and on whether anybody looks: so a contextual bandit decides.

    belief      of each action: linear in the context, Bayesian, its noise learned with it (Bishop 2006, §3.3)
    forgetting  every sum is multiplied by 0.5 ** (dt / half-life), as in rec.policy.bandit
    choice      Thompson sampling (Agrawal & Goyal 2013): each with `floor` + (1 - 3 floor) P(its draw is the best). It
                is drawn by just these numbers, so the propensity that is logged is the one that was in force

The reward of a decision is what the lists that follow from it earn: of `wait` the one that stays and the one that comes
after it, together. Invariants: whoever waits does so once, the next list comes whole; what may not be listed any more
stays nowhere (rec.noted); revised rewards take the place of what was counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal, NamedTuple, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from rec.errors import BadInput
from rec.policy.bandit import BanditRules, fitting_floor
from rec.policy.best import chance_of_best
from rec.slates import SlateItem
from rec.state import UserState

Action = Literal["replace", "tail", "wait"]
ACTIONS: tuple[Action, ...] = get_args(Action)
FEATURES = ("always", "gone", "moved", "looking", "just_pushed", "strong", "no_item")
LOOKING_S, PUSHED_S = 30.0, 10.0  # a look, and a push, are e times less recent after so long
_STRONG = frozenset({"add_to_cart", "add_to_wishlist", "purchase"})
_SOLVED_S = 5.0  # what is forgotten in this time is not worth solving anew

Doubles = npt.NDArray[np.float64]


class Decision(msgspec.Struct, frozen=True, array_like=True):
    """How a list took the place of the one before it, how probable that was, and in which context [len(FEATURES)].

    `root`: the slate_id of the list that stayed, on the one that comes after it; empty: the decision is this list's.
    """

    action: Action
    propensity: float
    context: tuple[float, ...]
    root: str = ""


class OnScreen(NamedTuple):
    """The list that a shopper has before them. `at`: since when, seconds since 1970.

    `waited`: the decision to let it stay, if it stands there by one; then the next list comes whole.
    """

    items: tuple[SlateItem, ...]
    at: float
    slate_id: str = ""
    waited: Decision | None = None
    may_wait: bool = True


class Belief(msgspec.Struct, frozen=True, array_like=True):
    """Of one action: how many lists, Σ reward², Σ x·reward [d], Σ x·xᵀ [d·d], all decayed to `at`."""

    lists: float
    squares: float
    moment: tuple[float, ...]
    gram: tuple[float, ...]
    at: float


Beliefs = Mapping[str, Belief]  # action → belief
_NOTHING = Belief(0.0, 0.0, (0.0,) * len(FEATURES), (0.0,) * len(FEATURES) ** 2, 0.0)


class Solved(NamedTuple):
    """The beliefs, ready to be asked: of each action the weights [3, d] and their covariance [3, d, d], as of `at`."""

    weights: Doubles
    covariance: Doubles
    at: float

    def stale(self, now: float) -> bool:
        """Whether so much is forgotten meanwhile that it is worth solving anew."""
        return not 0 <= now - self.at < _SOLVED_S


def context_of(
    shown: Sequence[str], new: Sequence[str], keep: int, state: UserState | None, *, shown_at: float, now: float
) -> tuple[float, ...]:
    """What is known of a push before it: [len(FEATURES)], each in [0, 1].

    `gone`: of the first `keep` items shown, how many the new list has not in its first `keep`; `moved`: by how much of
    its length they would move on average, those that leave by all of it; `looking`: how recently one of the items shown
    was reported as seen, or acted on; `just_pushed`: how recently the list came; `strong`, `no_item`: whether the last
    action put something into a cart, and whether the event was about no item (a search, a dismissal).

    >>> context_of(["a", "b"], ["b", "a"], 2, None, shown_at=0.0, now=1e9)
    (1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0)
    """
    top, length = shown[:keep], max(1, len(new))
    place = {item_id: at for at, item_id in enumerate(new)}
    gone = sum(place.get(item_id, length) >= keep for item_id in top) / max(1, len(top))
    moved = sum(min(length, abs(place.get(item_id, at + length) - at)) for at, item_id in enumerate(top))
    looked, last = 0.0, ""
    if state is not None:
        looked = max((state.shown[item_id].at for item_id in shown if item_id in state.shown), default=0.0)
        if state.history:
            touch = state.history[-1]
            looked = max(looked, touch.at)
            last = touch.action if touch.at >= state.events_through else ""
    return (
        1.0,
        gone,
        moved / (length * max(1, len(top))),
        math.exp(-max(0.0, now - looked) / LOOKING_S),
        math.exp(-max(0.0, now - shown_at) / PUSHED_S),
        float(last in _STRONG),
        float(not last),
    )


def decide(
    solved: Solved, context: tuple[float, ...], actions: Sequence[Action], *, rng: Random, rules: BanditRules
) -> Decision:
    """One of the actions, drawn. Raises BadInput without any."""
    found = propensities(solved, context, actions, rules=rules)
    action = rng.choices(actions, [found[each] for each in actions])[0]
    return Decision(action, found[action], context)


def propensities(
    solved: Solved, context: Sequence[float], actions: Sequence[Action], *, rules: BanditRules
) -> dict[Action, float]:
    """How probable each action is in this context; they sum to 1. Raises BadInput without actions."""
    if not actions:
        raise BadInput("There is no action to choose from. Name at least one.", field="actions")
    x = np.array(context)
    at = [ACTIONS.index(each) for each in actions]
    means = solved.weights[at] @ x
    spreads = np.sqrt(np.einsum("d,ade,e->a", x, solved.covariance[at], x))
    best = chance_of_best(list(zip(means.tolist(), spreads.tolist(), strict=True)))
    floor = fitting_floor(len(actions), rules.floor)
    free = max(0.0, 1 - floor * len(actions))
    return {each: floor + free * share for each, share in zip(actions, best, strict=True)}


def taught(
    beliefs: Beliefs, decision: Decision, reward: float, *, now: float, rules: BanditRules, counted: float | None = None
) -> dict[str, Belief]:
    """The beliefs after the lists of a decision, first looked at at `now`, have earned `reward`.

    `counted`: what was counted for the same decision before. Raises BadInput for a reward that is no number, and for a
    context of another length.
    """
    if not math.isfinite(reward) or not math.isfinite(counted or 0.0):
        raise BadInput(f"A reward of {reward:g} is none. Give a finite number.", field="reward")
    if len(decision.context) != len(FEATURES):
        raise BadInput(f"A context has {len(FEATURES)} numbers, not {len(decision.context)}.", field="context")
    old = beliefs.get(decision.action, _NOTHING)
    kept = 0.5 ** (max(0.0, now - old.at) / rules.half_life_s) if old.at else 1.0
    late = 0.5 ** (max(0.0, old.at - now) / rules.half_life_s)  # decay commutes with addition
    x, new = np.array(decision.context), counted is None
    before = counted or 0.0
    belief = Belief(
        old.lists * kept + late * new,
        old.squares * kept + late * (reward**2 - before**2),
        tuple((np.array(old.moment) * kept + x * (late * (reward - before))).tolist()),
        tuple((np.array(old.gram) * kept + (np.outer(x, x) * (late * new)).ravel()).tolist()),
        max(old.at, now),
    )
    return {**beliefs, decision.action: belief}


def solve(beliefs: Beliefs, *, now: float, rules: BanditRules) -> Solved:
    """The posterior of each action's weights, as of `now`.

    The prior is that of `rules`: so many lists, that earned so much each whatever the context was.
    """
    d = len(FEATURES)
    weights, covariance = np.empty((len(ACTIONS), d)), np.empty((len(ACTIONS), d, d))
    prior = np.zeros(d)
    prior[0] = rules.prior_reward
    for at, action in enumerate(ACTIONS):
        belief = beliefs.get(action, _NOTHING)
        kept = 0.5 ** (max(0.0, now - belief.at) / rules.half_life_s) if belief.at else 1.0
        gram, moment = np.array(belief.gram).reshape(d, d) * kept, np.array(belief.moment) * kept
        inverse = np.linalg.inv(gram + rules.prior_lists * np.eye(d))
        mean = inverse @ (moment + rules.prior_lists * prior)
        rest = belief.squares * kept - 2 * mean @ moment + mean @ gram @ mean
        rest += rules.prior_lists * (rules.prior_sd**2 + ((mean - prior) ** 2).sum())
        noise = max(1e-12, float(rest)) / (rules.prior_lists + belief.lists * kept)
        weights[at], covariance[at] = mean, inverse * noise
    return Solved(weights, covariance, now)
