"""logged feedback → **what another policy would have earned**. Off-policy evaluation, with intervals, or a refusal.

    w = target / propensity                                            how much more often the target would do this
    IPS     mean(w r)                                                  Horvitz & Thompson 1952
    SNIPS   sum(w r) / sum(w)                                          Swaminathan & Joachims 2015
    DR      mean(sum_a target(a) q(a) + w (r - q(logged action)))      Dudík, Langford & Li 2011

A row is an item at a place of a list, and the value is the reward of such a row, position by position as in the Open
Bandit Pipeline (Saito, Aihara, Matsutani & Narita 2021, "Open Bandit Dataset and Pipeline"): what stands at other
places of the same list is taken to change nothing (the item-position model of Li, Kim & Zitouni 2015). Intervals are a
bootstrap over clusters, which keeps the rows of a slate together. Pure.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from rec.errors import BadInput
from rec.evaluation.policy_log import Codes, Numbers, PolicyLog

DRAWS = 1_000
FOLDS = 5
BLOCKS = 20_000  # more clusters than that are drawn in blocks of several
SHARE = 0.95

# Below these a sample carries no conclusion; what an interval says there is too good to be true.
LEAST_REWARDED = 30.0  # rewards, counted by the weight they carry
LEAST_ESS = 100.0
MOST_OF_ONE = 0.05  # of all weight on one row
MOST_UNSEEN = 0.02  # of the target's probability on what was never logged at that position
MOST_CAPPED = 0.1  # of all weight taken away by the cap
MEAN_WEIGHT_Z = 4.0  # standard errors that the mean weight may be away from 1, its expectation


class Estimate(NamedTuple):
    """A value, reward a row, and its interval."""

    value: float
    low: float
    high: float


class OffPolicy(NamedTuple):
    """What a log says of a target policy. `max_weight` is before the cap, `ess` and the estimates after it."""

    rows: int
    logged: Estimate  # what the policy that made the log earned
    ips: Estimate
    snips: Estimate
    dr: Estimate
    gain: Estimate  # DR less what was logged, by the same draws
    ess: float  # effective sample size, (sum w)² / sum w²: Kong 1992
    max_weight: float
    mean_weight: float  # 1 in expectation, if the propensities are right
    unseen: float  # of the target's probability on actions never logged at a position; 0 where it is not known whole
    rewarded: float  # the same of the rewards: how many of equal weight would say as much
    model: str  # what the reward model of DR knows
    cap: float | None
    capped: int  # rows whose weight the cap changed
    conclusive: bool
    verdict: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: estimates as objects with value, low and high."""
        return {
            name: value._asdict() if isinstance(value, Estimate) else value for name, value in self._asdict().items()
        }


def off_policy(
    log: PolicyLog, rng: np.random.Generator, *, cap: float | None = None, draws: int = DRAWS, share: float = SHARE
) -> OffPolicy:
    """Estimate the value of the target policy from what another policy logged.

    `cap` bounds the weights (Ionides 2008): less variance, and a bias towards the policy that made the log. Raises
    BadInput for a cap of 0 or less, or a log without rows.
    """
    if cap is not None and not cap > 0:
        raise BadInput(f"{cap:g} caps every weight away. Give a number above 0.", field="--cap")
    if not len(log.reward):
        raise BadInput("There are no rows to evaluate a policy on.", field="LOG")
    raw = log.target / log.propensity
    weight = np.minimum(raw, cap) if cap is not None else raw
    predicted, expected = reward_model(log, rng)
    columns = np.stack(
        [np.ones(len(raw)), log.reward, weight, weight * log.reward, expected + weight * (log.reward - predicted)], 1
    )
    point = _estimates(columns.sum(axis=0)[None])[0]
    drawn = _estimates(_totals(columns, log.cluster, draws, rng))
    low, high = np.nanquantile(drawn, [(1 - share) / 2, (1 + share) / 2], axis=0)
    logged, ips, snips, dr, gain = (Estimate(*map(float, one)) for one in zip(point, low, high, strict=True))
    found = OffPolicy(
        rows=len(raw),
        logged=logged,
        ips=ips,
        snips=snips,
        dr=dr,
        gain=gain,
        ess=_effective(weight),
        max_weight=float(raw.max()),
        mean_weight=float(raw.mean()),
        unseen=_unseen(log),
        rewarded=_effective(weight * log.reward),
        model="position" if log.policy is None and log.menus is None else "action and position",
        cap=cap,
        capped=int((raw > weight).sum()),
        conclusive=False,
        verdict="",
    )
    doubts = _doubts(found, weight, raw)
    return found._replace(conclusive=not doubts, verdict=_verdict(found, doubts))


def reward_model(log: PolicyLog, rng: np.random.Generator, folds: int = FOLDS) -> tuple[Numbers, Numbers]:
    """([n] reward expected of the logged action, [n] reward expected of the target policy), by cross-fitting.

    Each cluster is predicted by what the other folds say (Chernozhukov et al. 2018), else DR would trust its own noise.
    Where only the target's probability of the logged action is known, the model knows the position alone: then both
    are the same, and DR is IPS with that as its control variate.
    """
    predicted, expected = np.zeros(len(log.reward)), np.zeros(len(log.reward))
    fold = rng.permutation(int(log.cluster.max()) + 1)[log.cluster] % folds
    for at in range(folds):
        mine = fold == at
        others = ~mine if (~mine).any() else mine
        by_position, by_action = _fitted(log, others)
        if log.menus is not None:
            predicted[mine] = by_position[log.position[mine]] + by_action[log.action[mine]]
            added = np.bincount(
                log.menus.row, weights=log.menus.chance * by_action[log.menus.action], minlength=len(log.reward)
            )
            expected[mine] = by_position[log.position[mine]] + added[mine]
            continue
        if log.policy is None:
            predicted[mine] = expected[mine] = by_position[log.position[mine]]
            continue
        table = by_position[:, None] + by_action[None, :]
        predicted[mine] = table[log.position[mine], log.action[mine]]
        expected[mine] = (log.policy * table).sum(axis=1)[log.position[mine]]
    return predicted, expected


def _fitted(log: PolicyLog, rows: np.ndarray) -> tuple[Numbers, Numbers]:
    """Mean reward of each position, and what each action adds to it, shrunk by how far actions differ at all.

    The shrinkage is empirical Bayes with a variance between actions found by moments (Efron & Morris 1975).
    """
    position, action, reward = log.position[rows], log.action[rows], log.reward[rows]
    positions = int(log.position.max()) + 1
    actions = log.policy.shape[1] if log.policy is not None else int(log.action.max()) + 1
    if log.menus is not None:
        actions = log.menus.actions
    mean = float(reward.mean())
    at = np.bincount(position, minlength=positions)
    by_position = (np.bincount(position, weights=reward, minlength=positions) + mean) / (at + 1)
    rest = reward - by_position[position]
    count = np.bincount(action, minlength=actions)
    effect = np.bincount(action, weights=rest, minlength=actions) / np.maximum(count, 1)
    within = float(((rest - effect[action]) ** 2).mean())
    between = float((count * effect**2).sum() / count.sum()) - within * int((count > 0).sum()) / int(count.sum())
    if between <= 0:
        return by_position, np.zeros(actions)
    return by_position, effect * count / (count + within / between)


def _totals(columns: Numbers, cluster: Codes, draws: int, rng: np.random.Generator) -> Numbers:
    """[draws, columns]: the sums over clusters drawn with replacement."""
    clusters = int(cluster.max()) + 1
    if clusters > BLOCKS:
        cluster = rng.permutation(clusters)[cluster] % BLOCKS
        clusters = BLOCKS
    sums = np.stack([np.bincount(cluster, weights=column, minlength=clusters) for column in columns.T], axis=1)
    step = max(1, 4_000_000 // clusters)
    parts = []
    for start in range(0, draws, step):
        rows = min(step, draws - start)
        times = np.stack([np.bincount(rng.integers(0, clusters, clusters), minlength=clusters) for _ in range(rows)])
        parts.append(times.astype(float) @ sums)
    return np.concatenate(parts)


def _estimates(totals: Numbers) -> Numbers:
    """[draws, 5]: logged, IPS, SNIPS, DR, DR less logged, from the sums of the columns."""
    rows, reward, weight, weighted, robust = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        snips = weighted / weight
    return np.stack([reward / rows, weighted / rows, snips, robust / rows, (robust - reward) / rows], axis=1)


def _effective(parts: Numbers) -> float:
    """How many equal parts vary as much as these: (sum |x|)² / sum x²; 0 of nothing."""
    squares = float((parts**2).sum())
    return float(np.abs(parts).sum()) ** 2 / squares if squares else 0.0


def _unseen(log: PolicyLog) -> float:
    if log.menus is not None:
        return float(log.menus.unseen.mean())
    if log.policy is None:
        return 0.0
    shown = np.zeros(log.policy.shape, bool)
    shown[log.position, log.action] = True
    mass = (log.policy * ~shown).sum(axis=1)
    return float(mass[log.position].mean())


def _doubts(found: OffPolicy, weight: Numbers, raw: Numbers) -> list[str]:
    """Why the sample cannot carry a conclusion; empty if it can."""
    doubts = []
    if found.rewarded < LEAST_REWARDED:
        doubts.append(f"the rewards are worth {found.rewarded:.0f} by their weights (at least {LEAST_REWARDED:.0f})")
    if found.ess < LEAST_ESS:
        doubts.append(f"the effective sample is {found.ess:.0f} rows (at least {LEAST_ESS:.0f})")
    total = float(weight.sum())
    if total and (most := float(weight.max()) / total) > MOST_OF_ONE:
        doubts.append(f"one row carries {most:.0%} of the weight (at most {MOST_OF_ONE:.0%})")
    if found.unseen > MOST_UNSEEN:
        doubts.append(
            f"{found.unseen:.1%} of the target's choices were never logged at their position "
            f"(at most {MOST_UNSEEN:.0%})"
        )
    if (taken := 1 - total / float(raw.sum()) if raw.any() else 0.0) > MOST_CAPPED:
        doubts.append(f"the cap takes {taken:.0%} of the weight away (at most {MOST_CAPPED:.0%})")
    error = float(raw.std()) / np.sqrt(len(raw))
    if abs(found.mean_weight - 1) > max(MEAN_WEIGHT_Z * error, 1e-6 if error else 0.01):
        doubts.append(
            f"the weights average {found.mean_weight:.2f} instead of 1: the propensities are not those of the policy "
            "that made the log, or it could not choose what the target does"
        )
    if not doubts and (found.snips.high < found.dr.low or found.dr.high < found.snips.low):
        doubts.append("SNIPS and DR contradict each other")
    return doubts


def _verdict(found: OffPolicy, doubts: list[str]) -> str:
    capped = ""
    if found.cap is not None and found.capped:
        capped = f" Weights are capped at {found.cap:g} ({found.capped:,} rows): biased towards the log's policy."
    if doubts:
        return f"No conclusion: {'; '.join(doubts)}.{capped}"
    if found.gain.low > 0:
        what = "The target policy earns more than the one that made the log"
    elif found.gain.high < 0:
        what = "The target policy earns less than the one that made the log"
    else:
        what = "No difference between the target policy and the one that made the log is to be seen in this sample"
    return f"{what} (DR {found.gain.value:+.5f} a row, {found.gain.low:+.5f} to {found.gain.high:+.5f}).{capped}"
