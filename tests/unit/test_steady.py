"""Lists by the same dice for a while, beside a decision that looks at the draw: what propensities mean then."""

from __future__ import annotations

import random
from collections import defaultdict

import msgspec
import numpy as np

from rec.noted import Learned, noted_many
from rec.policy.bandit import BanditRules
from rec.policy.refresh import ACTIONS, FEATURES, Belief, Decision, OnScreen, solve, taught
from rec.policy.strategy import Strategy
from rec.recommend import recommend
from tests.unit.shop import NOW, after, ask, event, shop

RULES = BanditRules(half_life_s=1e9, floor=0.1, prior_reward=0.5, prior_sd=1.0)
DRAWN = Strategy(temperature=0.5, steady_s=1_800, refresh="learned", keep_places=3)
USERS, N = 1_500, 8


def beliefs() -> dict[str, Belief]:
    """The more of the first places would go, the better the tail alone is swapped."""
    rng, found = random.Random(1), dict[str, Belief]()
    for at in range(400):
        gone, moved = rng.random(), rng.random()
        context = (1.0, gone, moved, 0.0, 1.0, 0.0, 0.0)
        assert len(context) == len(FEATURES)
        action = rng.choice(ACTIONS)
        mean = {"replace": 1.0 - moved, "tail": moved, "wait": 0.3}[action]
        found = taught(found, Decision(action, 1 / 3, context), mean, now=float(at), rules=RULES)
    return found


def test_weighed_by_the_decision_lists_by_steady_dice_are_as_often_as_their_propensities_say() -> None:
    of = shop()
    state = after([event("view_item", "camping-1", at=NOW - 50), event("view_item", "music-2", at=NOW - 40)], of)
    there = OnScreen(recommend(ask(state, n=N), of, now=NOW - 30, rng=random.Random(1)).items, NOW - 30)
    learned = Learned(solve(beliefs(), now=400.0, rules=RULES), RULES)
    asks = [ask(state, user=f"u{n}", n=N)._replace(strategy=DRAWN, on_screen=there) for n in range(USERS)]
    noted = noted_many(asks, of, now=NOW, rng=random.Random(2), learned=lambda _: learned)
    weights, said = defaultdict[str, list[float]](list), dict[str, float]()
    chances = []
    for one in noted:
        decision = one.note.decision
        assert decision is not None
        if decision.action != "tail":
            continue
        chances.append(decision.propensity)
        for place in one.slate.items:
            assert place.propensity is not None
            weights[place.item_id].append(1 / decision.propensity)
            said[place.item_id] = place.propensity
    assert np.std(chances) > 0.02  # the decision does look at what was drawn
    assert len(chances) > USERS / 10
    often = [item_id for item_id, propensity in said.items() if propensity > 0.1]
    assert len(often) > N
    for item_id in often:
        found, spread = sum(weights[item_id]) / USERS, np.sqrt(sum(w * w for w in weights[item_id])) / USERS
        assert abs(found - said[item_id]) < 4.5 * spread + 0.01, (item_id, found, said[item_id])


def test_while_the_dice_are_steady_a_list_that_keeps_its_first_places_comes_again_as_it_was() -> None:
    of = shop()
    seen = [event("view_item", "camping-1", at=NOW - 50), event("view_item", "music-2", at=NOW - 40)]
    first = recommend(ask(after(seen, of), n=N)._replace(strategy=DRAWN), of, now=NOW, rng=random.Random(1))
    there, state = OnScreen(first.items, NOW), after([*seen, event("view_item", "garden-3", at=NOW + 1)], of)
    strategy = msgspec.structs.replace(DRAWN, refresh="tail")
    asked = ask(state, n=N)._replace(strategy=strategy, on_screen=there)
    lists = []
    for seed, later in ((3, 2), (4, 3)):
        [one] = noted_many([asked], of, now=NOW + later, rng=random.Random(seed))
        lists.append([place.item_id for place in one.slate.items])
    assert lists[0] == lists[1]
    assert lists[0][:3] == [place.item_id for place in first.items[:3]]
    assert lists[0][3:] != [place.item_id for place in first.items[3:]]
