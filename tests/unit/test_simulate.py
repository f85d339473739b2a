"""The closed loop: seeded, honest about what it measures, and able to tell a good recommender from a bad one."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from agents.strategies import Strategies
from rec.config import load_settings
from rec.demo.world import demo_catalog
from rec.events import Event
from rec.feedback import FeedbackExample
from rec.policy.bandit import BanditRules
from rec.policy.strategy import Strategy
from rec.recommend import Ask, World, recommend
from rec.simulate.closed import Adapted, Loop, Run, Setting
from rec.simulate.market import LOOKS, Market, Person
from rec.simulate.players import EPSILON, PLAYERS, EpsilonGreedy, Greedy, RandomPlayer
from rec.simulate.report import figures, quantile
from rec.simulate.teachers import Gated, Trained
from rec.slates import Cause
from rec.state import Outcome, UserState
from rec.store.memory.exchange import MemoryExchange
from rec.store.memory_db import MemoryDatabase

SMALL = Setting(shoppers=20, events=150, items=400, past=300)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(demo_catalog(size=400))


@pytest.fixture(scope="module")
def runs() -> dict[str, Run]:
    return {name: Loop(SMALL, make(), seed=1).run() for name, make in PLAYERS.items()}


def test_the_same_seed_gives_the_same_run_and_another_seed_another(runs: dict[str, Run]) -> None:
    for name in ("adaptive", "bandit"):
        assert Loop(SMALL, PLAYERS[name](), seed=1).run() == runs[name]
        assert Loop(SMALL, PLAYERS[name](), seed=2).run() != runs[name]


def test_the_adaptive_strategy_makes_the_lists_that_a_worker_makes_with_feedback_and_nothing_stored() -> None:
    loop = Loop(SMALL, PLAYERS["adaptive"](), seed=1)
    loop.run()
    world, now = loop._world, loop._began + 86_400.0
    chooser = Strategies(
        database=MemoryDatabase(),
        exchange=MemoryExchange(),
        rules=BanditRules.from_settings(load_settings()),
        rng=Random(),
    )
    settings = load_settings(feedback=True)
    for who, state in loop._states.items():
        ask = Ask(f"u{who}", "home", 20, None, Cause("request"), state)
        chosen = chooser.choose(ask.user_id, ask.placement, state, now)
        assert chosen is None
        world.strategy = Strategy.from_settings(settings)
        served = recommend(ask, world, now=now, rng=Random(who))
        listed = PLAYERS["adaptive"]().listed(ask, world, now=now, rng=Random(who))
        assert listed.item_ids == [item.item_id for item in served.items]
        assert listed.slate is not None
        assert [item.propensity for item in listed.slate.items] == [item.propensity for item in served.items]
        assert min(item.propensity for item in served.items) < 1


def test_lists_from_the_code_that_serves_earn_more_than_any_items(runs: dict[str, Run]) -> None:
    for name in ("adaptive", "bandit", "greedy", "epsilon_greedy"):
        assert runs[name].reward > 1.5 * runs["random"].reward
        assert runs[name].regret < runs["random"].regret


def test_all_play_on_the_same_lives(runs: dict[str, Run]) -> None:
    assert len({len(run.jumps) for run in runs.values()}) == 1
    assert {run.lists for run in runs.values()} == {SMALL.events}


def test_what_a_list_is_worth_is_what_it_earns_on_average(market: Market) -> None:
    rows = np.arange(0, len(market.ids), 20)
    person = Person(market, "mean")
    rows = rows[np.argsort([-person.worth(np.array([row])) for row in rows])]
    expected = person.worth(rows)
    earned = [sum(done.reward for done in _fresh(market, at).look(rows)) for at in range(3_000)]
    assert np.mean(earned) == pytest.approx(expected, rel=0.1)
    assert expected <= person.best()


def _fresh(market: Market, at: int) -> Person:
    """The same person with other dice."""
    person = Person(market, "mean")
    person._rng = Random(at)
    return person


def test_further_down_the_list_less_is_clicked(market: Market) -> None:
    person = Person(market, "bias")
    best = int(np.argmax([person.worth(np.array([row])) for row in range(len(market.ids))]))
    other = int(np.argmin([person.worth(np.array([row])) for row in range(len(market.ids))]))
    places = [person.worth(np.array([other] * at + [best])) for at in range(LOOKS)]
    assert places == sorted(places, reverse=True)
    assert person.worth(np.array([other] * LOOKS + [best])) == person.worth(np.array([other] * LOOKS))  # nobody looks


def test_what_is_shown_again_and_again_tires(market: Market) -> None:
    person, rows = Person(market, "tired"), np.arange(LOOKS)
    first = person.worth(rows)
    person._rng.random = lambda: 1.0  # type: ignore[method-assign]  # they click on nothing
    person.look(rows)
    assert person.worth(rows) < first


def test_interests_jump_alike_whatever_is_shown(market: Market) -> None:
    shown, alone = Person(market, "life"), Person(market, "life")
    jumps = []
    for _ in range(60):
        shown.look(np.arange(LOOKS))
        shown.browse()
        jumps.append(shown.visit())
        assert alone.visit() == jumps[-1]
        assert alone.main == shown.main
    assert 4 <= sum(jumps) <= 22  # 0.2 a visit


def test_jumps_that_are_not_seen_to_their_end_count_for_as_long_as_they_were_seen() -> None:
    seen = [Adapted(2, True)] * 5 + [Adapted(6, True)] * 5
    assert (quantile(seen, 0.5), quantile(seen, 0.9)) == (2, 6)
    assert quantile([*seen, *[Adapted(1, False)] * 40], 0.9) == 6
    assert quantile([Adapted(3, False)], 0.5) is None
    assert quantile([], 0.5) is None


def test_figures_are_means_over_seeds_and_all_their_jumps() -> None:
    one = Run(10.0, 4.0, 5, 9, (Adapted(1, True),), 0.25)
    two = Run(20.0, 8.0, 5, 9, (Adapted(3, True), Adapted(1, False)), 0.75)
    assert figures([one, two]) == {"reward": 15.0, "regret": 6.0, "adapt_events_p50": 3, "adapt_events_p90": 3,
                                   "jumps": 3, "followed": 2, "exposure_gap": 0.5}  # fmt: skip


def test_epsilon_greedy_gives_a_share_of_the_places_away_and_repeats_nothing() -> None:
    loop = Loop(SMALL, Greedy(), seed=3)
    ask = Ask("nobody", "home", 20, None, Cause("request"), None)
    now, changed = loop._began, 0
    for at in range(60):
        greedy = Greedy().listed(ask, loop._world, now=now, rng=Random(at)).item_ids
        mixed = EpsilonGreedy().listed(ask, loop._world, now=now, rng=Random(at)).item_ids
        assert len(set(mixed)) == 20
        changed += sum(a != b for a, b in zip(greedy, mixed, strict=True))
    assert changed / (60 * 20) == pytest.approx(EPSILON, abs=0.04)
    any_items = RandomPlayer().listed(ask, loop._world, now=now, rng=Random(1)).item_ids
    assert len(set(any_items)) == 20


def test_lists_are_joined_with_what_became_of_them_and_told_when_their_window_is_over() -> None:
    told: list[tuple[float, FeedbackExample]] = []  # with the time of the first event after it

    class Listener(Gated):
        waiting: tuple[FeedbackExample, ...] = ()

        def feedback(self, example: FeedbackExample, world: World) -> None:
            self.waiting = (*self.waiting, example)

        def event(self, event: Event, before: UserState | None, outcome: Outcome, world: World) -> None:
            told.extend((event.at, example) for example in self.waiting)
            self.waiting = ()
            super().event(event, before, outcome, world)

    loop = Loop(SMALL._replace(events=400), PLAYERS["adaptive"](), seed=1)
    loop._teacher = Listener()
    run = loop.run()
    assert 0 < len(told) <= run.lists
    assert all(at >= example.at + 1_800 for at, example in told)
    assert 0 < sum(example.reward for _, example in told) <= run.reward
    assert all(place.seen == (at < LOOKS) for _, example in told for at, place in enumerate(example.places))


def test_the_trainers_network_plays_too_and_learns_of_rewards_if_they_have_a_weight() -> None:
    """What lists earned is heard half an hour later: it moves the lists of later visits."""
    small = SMALL._replace(shoppers=8, events=160, past=140)
    loops = [Loop(small._replace(network=True, rewards=weight), PLAYERS["adaptive"](), seed=1) for weight in (0.0, 1.0)]
    plain, rewarded = (loop.run() for loop in loops)
    for loop in loops:
        assert isinstance(loop._teacher, Trained)
        assert loop._world.brain is not None
        assert loop._world.brain.network is not None
    assert plain.lists == rewarded.lists
    assert plain != rewarded
