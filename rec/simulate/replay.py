"""a recorded stream → **full-information replay**. Policies play against what people really turned to next.

Before each event every policy makes a list for its shopper; the reward is 1 if the item they really turned to is on it.
The policy is told that and nothing else: an item that was not on the list teaches it nothing. (What the shopper did so
far is the context, and known.) The first part of the stream is learned from as it is, and the same for all.

Because the true item is known, so is what any policy would have earned, whatever was shown: the mean of its probability
to have that item on the list. A second pass logs what a policy with full support shows, and how likely each item was;
the off-policy estimates from this log alone stand beside that truth. Lists as sets (Swaminathan et al. 2017): a row is
an item, its propensity the probability to be anywhere on the list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from rec.catalog import Catalog, Item
from rec.counters import Counters
from rec.evaluation.off_policy import off_policy
from rec.evaluation.policy_log import PolicyLog
from rec.evaluation.prequential import NEVER, warm_events
from rec.events import Event
from rec.features import FEATURES
from rec.gate import GateLearner
from rec.lessons import Judgement, is_target, judgement
from rec.policy.bandit import Bandit, BanditRules, choose, propensities, rewarded
from rec.policy.chosen import segment_of
from rec.policy.explore import inclusion
from rec.policy.filters import ListRules
from rec.policy.strategy import Strategy, own_strategy
from rec.recommend import World
from rec.simulate.players import EPSILON
from rec.state import FoldRules, UserState, fold

N = 10
PLACEMENT = "home"
LOGGER_RANDOM = 0.5  # share of the logged lists that are any items at all: full support
ARMS = (
    Strategy(name="default", category_share=1.0),
    Strategy(name="follow", mix={"knn_last": 0.3, "rules_last": 0.3}, category_share=1.0),
    Strategy(name="explore", temperature=1.0, category_share=1.0),
)
SERVED = msgspec.structs.replace(own_strategy(feedback=True), category_share=1.0)  # what an installation has by itself
CHOICES: Mapping[str, Sequence[Strategy]] = {"adaptive": (SERVED,), "bandit": ARMS}  # others vary the first of ARMS
RULES = BanditRules(half_life_s=86_400.0, floor=0.05, prior_reward=0.3, prior_sd=0.5)
Chances = npt.NDArray[np.float64]  # [size]: of each row of the catalog to be on the list


class Played(NamedTuple):
    """What one policy earned in its own run."""

    reward: float
    lists: int
    mix: Mapping[str, Mapping[str, float]]  # segment → arm → probability, at the end; {} of what has no arms


class Replay:
    """One learner on a stream: the state of everybody, counters and gate."""

    def __init__(self, items: Mapping[str, Item], half_life_s: float = 2 * 86_400) -> None:
        lists = ListRules(purchase_block_s=0.0, fatigue_s=0.0)
        self.world = World(Catalog(), Counters(half_life_s), FoldRules(max_late_s=NEVER), lists)
        self._items, self._gate, self._states = items, GateLearner(), dict[str, UserState]()

    def copied(self) -> Replay:
        """Another that has learned the same; the two go ways of their own from here on."""
        other, counters = Replay(self._items), self.world.counters
        other.world.counters = Counters.from_bytes(counters.to_bytes(), counters.half_life_s)
        other.world.catalog.upsert(list(self.world.catalog.view().items))
        other._gate.load(self._gate.state())
        other._states = dict(self._states)
        return other

    def before(self, event: Event) -> tuple[UserState | None, Judgement | None]:
        """What is known of the shopper, and the candidates; None if the items are new to everybody."""
        state = self._states.get(event.subject)
        found = judgement(event, state, self.world, self._gate.gate(), None) if is_target(event) else None
        return state, found

    def after(self, event: Event, found: Judgement | None, *, told: bool) -> None:
        """The context moves on; where the outcome was `told`, it is learned from."""
        world = self.world
        known, _ = fold(self._states.get(event.subject), event, world.catalog.facets, epoch="e", rules=world.rules)
        if known is not None:
            self._states[event.subject] = known
        new = [self._items[item.item_id] for item in event.items if item.item_id not in world.catalog]
        if new:
            world.catalog.upsert(new)
        if told:
            if found is not None and found.places:
                self._gate.learn(found.features, found.bucket, found.places)
            world.counters.learn(event)


def chances_of(strategy: Strategy, found: Judgement, size: int) -> Chances:
    """[size]: how likely a strategy's list of N has each item: the head of the ranking, and a draw from it."""
    judged = found.judged
    logits = np.log(np.maximum(judged.scores.astype(np.float64), 1e-12))
    if strategy.mix:
        logits = logits + found.features @ np.array([strategy.mix.get(name, 0.0) for name in FEATURES])
    order = np.argsort(-logits, kind="stable")
    out = np.zeros(size)
    if strategy.temperature <= 0:
        out[judged.pool.rows[order[:N]]] = 1.0
        return out
    head = order[: int(np.ceil(N * strategy.explore_depth))]
    out[judged.pool.rows[head]] = inclusion(logits[head] / strategy.temperature, N)
    return out


def anything(size: int) -> Chances:
    """Every item alike."""
    return np.full(size, min(1.0, N / size))


def epsilon_greedy(greedy: Chances) -> Chances:
    """Each place of the greedy list is given to an item that is not on it, with probability EPSILON."""
    size, listed = len(greedy), float(greedy.sum())
    out: Chances = np.full(size, EPSILON * listed / max(1.0, size - listed))
    out[greedy > 0] = 1 - EPSILON
    return out


def mixed(found: Judgement, shares: Mapping[str, float], size: int) -> Chances:
    """A list by one of the ARMS, chosen with these probabilities."""
    out = np.zeros(size)
    for arm in ARMS:
        out += shares[arm.name] * chances_of(arm, found, size)
    return out


def drawn(chances: Chances, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Rows of a list whose items are on it with these chances: systematic sampling (Madow 1949), exact."""
    shuffled = rng.permutation(len(chances))
    ends = np.cumsum(chances[shuffled])
    wanted = np.arange(round(float(ends[-1]))) + rng.random()
    at = np.searchsorted(ends, np.minimum(wanted, ends[-1] - 1e-9), side="right")
    rows: npt.NDArray[np.int64] = shuffled[np.unique(at)]
    return rows


def play(name: str, warm: Replay, events: Sequence[Event], *, seed: int) -> Played:
    """A policy's own run, from the same start."""
    learner, rng, dice = warm.copied(), np.random.default_rng(seed), Random(f"{seed}/arms")
    bandit, reward, lists, now = Bandit(), 0.0, 0, 0.0
    arms = CHOICES.get(name, ARMS[:1])
    names = [arm.name for arm in arms]
    for event in events:
        now = event.at
        state, found = learner.before(event)
        hit = False
        if is_target(event):
            lists += 1
        if found is not None:
            size, arm, group = learner.world.catalog.view().size, arms[0], (segment_of(state), PLACEMENT)
            if len(arms) > 1:
                chosen = choose(bandit, group, names, now=now, rng=dice, rules=RULES)
                arm = arms[names.index(chosen)]
            chances = anything(size) if name == "random" else chances_of(arm, found, size)
            if name == "epsilon_greedy":
                chances = epsilon_greedy(chances)
            hit = bool(np.isin(_true(learner, event), drawn(chances, rng)).any())
            if len(arms) > 1:
                bandit = rewarded(bandit, group, arm.name, float(hit), now=now, rules=RULES)
        reward += hit
        learner.after(event, found, told=hit)
    mix = {
        group[0]: propensities(bandit, group, names, now=now, rng=dice, rules=RULES) for group in sorted(bandit.arms)
    }
    return Played(reward, lists, mix)


def log_and_truth(
    warm: Replay, events: Sequence[Event], mix: Mapping[str, Mapping[str, float]], *, seed: int
) -> dict[str, dict[str, Any]]:
    """For each policy: its true reward a list on this log's path, and the estimates from the log alone."""
    learner, rng = warm.copied(), np.random.default_rng(seed)
    even = {arm.name: 1 / len(ARMS) for arm in ARMS}
    names = ("adaptive", "bandit", "greedy", "epsilon_greedy", "random")
    truth: dict[str, list[float]] = {name: [] for name in names}
    targets: dict[str, list[npt.NDArray[np.float64]]] = {name: [] for name in names}
    logged: list[tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int64]]] = []
    for event in events:
        state, found = learner.before(event)
        hit = False
        if found is not None:
            size = learner.world.catalog.view().size
            greedy = chances_of(ARMS[0], found, size)
            any_item = anything(size)
            logger = LOGGER_RANDOM * any_item + (1 - LOGGER_RANDOM) * chances_of(ARMS[2], found, size)
            rows, true = drawn(logger, rng), _true(learner, event)
            reward = np.isin(rows, true).astype(float)
            hit = bool(reward.any())
            logged.append((reward, logger[rows], np.full(len(rows), len(logged))))
            policies = {
                "adaptive": chances_of(SERVED, found, size),
                "bandit": mixed(found, mix.get(segment_of(state), even), size),
                "greedy": greedy,
                "epsilon_greedy": epsilon_greedy(greedy),
                "random": any_item,
            }
            for name, chances in policies.items():
                truth[name].append(float(chances[true].sum()))
                targets[name].append(chances[rows])
        learner.after(event, found, told=hit)
    rewards, chances, lists = (np.concatenate(parts) for parts in zip(*logged, strict=True))
    nothing = np.zeros(len(lists), np.int64)
    body: dict[str, dict[str, Any]] = {}
    for name in names:
        log = PolicyLog(nothing, nothing, lists, rewards, chances, np.concatenate(targets[name]))
        found_ = off_policy(log, np.random.default_rng(seed))
        a_list = len(lists) / len(logged)  # rows of a list: estimates are a row's, the truth is a list's
        snips = {key: value * a_list for key, value in found_.snips._asdict().items()}
        true_value = float(np.mean(truth[name]))
        body[name] = {
            "true": true_value,
            "snips": snips,
            "within": snips["low"] <= true_value <= snips["high"],
            "ess": found_.ess,
            "verdict": found_.verdict,
        }
    return body


def replay(
    names: Sequence[str],
    items: Mapping[str, Item],
    events: Sequence[Event],
    *,
    seed: int,
    limit: int,
    warmup: float = 0.2,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """The table of all policies, and beside it what the log of another one says of each."""
    warm, first = Replay(items), warm_events(events, warmup)
    tell("warming up")
    for event in events[:first]:
        warm.after(event, warm.before(event)[1], told=True)
    scored = events[first : first + limit]
    strategies: dict[str, Any] = {}
    mix: Mapping[str, Mapping[str, float]] = {}
    for name in names:
        tell(f"playing {name}")
        played = play(name, warm, scored, seed=seed)
        mix = played.mix or mix
        strategies[name] = {
            "reward": played.reward,
            "regret": played.lists - played.reward,
            "adapt_events_p50": None,
            "adapt_events_p90": None,
        }
    tell("logging")
    beside = log_and_truth(warm, scored, mix, seed=seed)
    return {"strategies": strategies, "lists": sum(map(is_target, scored)), "off_policy": {n: beside[n] for n in names}}


def _true(learner: Replay, event: Event) -> npt.NDArray[np.int64]:
    view = learner.world.catalog.view()
    return np.array(sorted({row for item in event.items if (row := view.row(item.item_id)) is not None}), np.int64)
