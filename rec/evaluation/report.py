"""tested targets → **report**. The numbers of a run as one value: for JSON, tables and plots. Pure.

report      of the model: beside its lines, by slice and by window, each with its interval
beside      of another run over the same targets (frozen, late, a part left out): its numbers, and the paired
            difference from the one it is compared with
curve       of the lags: from learning at once to never
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rec.evaluation.intervals import Interval, Mask, bootstrap, difference, named
from rec.evaluation.metrics import METRICS, Ranks, means
from rec.evaluation.prequential import Target
from rec.evaluation.slices import SLICES
from rec.evaluation.tested import Tested, tested_of
from rec.evaluation.windows import WINDOWS, windows

Runs = Mapping[int, Sequence[Target]]  # the same targets by seed


def report(runs: Runs, seed: int, count: int = WINDOWS) -> dict[str, Any]:
    """`scored`, `model`, `intervals`, `baselines`, `slices`, `windows`; of several seeds the mean.

    `seed` is the bootstrap's; `count` is how many windows the scored part is cut into.
    """
    tested = tested_of(list(runs.values()))
    whole = np.ones(len(tested), bool)
    slices = {name: belongs(tested) for name, belongs in SLICES.items()}
    parts = windows(len(tested), count)
    earned = tested.earned()
    rng = np.random.default_rng(seed)
    found = bootstrap(earned, tested.subjects, [whole, *slices.values(), *parts], rng)
    of_slices, of_windows = found[1 : 1 + len(slices)], found[1 + len(slices) :]
    return {
        "scored": len(tested),
        "model": means(tested.ranks),
        "intervals": named(found[0]),
        "baselines": {name: means(ranks) for name, ranks in tested.lines.items()},
        "slices": {
            name: _part(tested, mask, between) for (name, mask), between in zip(slices.items(), of_slices, strict=True)
        },
        "windows": [
            {"from": float(tested.at[mask][0]), "to": float(tested.at[mask][-1]), **_part(tested, mask, between)}
            for mask, between in zip(parts, of_windows, strict=True)
        ],
    }


def _part(tested: Tested, mask: Mask, between: Sequence[Interval] | None) -> dict[str, Any]:
    """The model's numbers on a part, those of the lines, and the line with the best hit rate there."""
    if not mask.any():
        return {"scored": 0}
    lines = {name: means(ranks[mask]) for name, ranks in tested.lines.items()}
    part = {
        "scored": int(mask.sum()),
        "shoppers": len(np.unique(tested.subjects[mask])),
        **means(tested.ranks[:, mask]),
        "intervals": named(between),
        "baselines": lines,
    }
    best = max(lines, key=lambda name: lines[name]["hr@10"], default=None)
    return part if best is None else {**part, "best_baseline": best, "best_baseline_hr@10": lines[best]["hr@10"]}


def beside(runs: Runs, other: Runs, seed: int) -> dict[str, Any]:
    """The means of `runs`, their `intervals`, and the paired `difference` from `other` with its interval."""
    tested, reference = tested_of(list(runs.values())), tested_of(list(other.values()))
    ours, theirs = tested.earned(), reference.earned()
    (found,) = bootstrap(ours, tested.subjects, [np.ones(len(tested), bool)], np.random.default_rng(seed))
    between = difference(ours, theirs, tested.subjects, np.random.default_rng(seed))
    return {**means(tested.ranks), "intervals": named(found), "difference": _differences(ours, theirs, between)}


def _differences(ours: Ranks, theirs: Ranks, between: Mapping[str, Interval]) -> dict[str, Any]:
    if not len(ours):
        return {}
    mean = (ours - theirs).mean(axis=0)
    return {
        name: {"mean": round(float(mean[at]), 5), "low": between[name][0], "high": between[name][1]}
        for at, name in enumerate(METRICS)
    }


def curve(at_once: Runs, late: Mapping[float, Runs], frozen: Runs | None, seed: int) -> list[dict[str, Any]]:
    """Points from learning at once to never (`lag_s` null), each beside the first: what being late costs."""
    points: list[tuple[float | None, Runs]] = [(0.0, at_once), *sorted((lag, r) for lag, r in late.items() if lag > 0)]
    if frozen is not None:
        points.append((None, frozen))
    return [{"lag_s": lag, **beside(runs, at_once, seed)} for lag, runs in points]


def ablation(parts: Mapping[str, Runs], seed: int) -> list[dict[str, Any]]:
    """What each part adds: every row beside the one before it. The first row is the fixed mix, if its ranks are there:
    nothing in it is learned but counts."""
    rows: list[dict[str, Any]] = []
    before: Runs | None = None
    first = next(iter(parts.values()))
    if all(one.lines for run in first.values() for one in run[:1]):
        before = {each: [one._replace(rank=one.lines["mix"]) for one in run] for each, run in first.items()}
        rows.append({"part": "fixed mix", **_without_difference(beside(before, before, seed))})
    for name, runs in parts.items():
        measured = beside(runs, before or runs, seed)
        rows.append({"part": name, **(measured if before else _without_difference(measured))})
        before = runs
    return rows


def _without_difference(measured: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in measured.items() if name != "difference"}


def by_seed(runs: Runs) -> dict[str, dict[str, float]]:
    """Each seed's means."""
    return {str(seed): means([one.rank for one in run]) for seed, run in runs.items()}


def spread(runs: Runs) -> dict[str, float]:
    """The standard deviation of each metric from seed to seed; {} for one seed, of which it cannot be told."""
    each = [means([one.rank for one in run]) for run in runs.values()]
    if len(each) < 2 or not each[0]:
        return {}
    return {name: round(float(np.std([one[name] for one in each], ddof=1)), 5) for name in METRICS}


def lag_name(lag_s: float | None) -> str:
    """How late, short.

    >>> [lag_name(lag) for lag in (0, 60, 5_400, 3_600, 86_400, None)]
    ['at once', '1 min', '90 min', '1 h', '1 d', 'never']
    """
    if lag_s is None:
        return "never"
    if lag_s == 0:
        return "at once"
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if lag_s % size == 0:
            return f"{lag_s / size:g} {unit}"
    return f"{lag_s:g} s"
