"""sequences → **leave one out** → ranks. The other protocol: the last item of every sequence, the network alone.

The last item is the test, the one before it the validation, the rest is trained on; ranked against all items. Time is
cut differently for every user, so what others did later is known: good for comparing networks with published numbers,
not for saying what a shop would have got.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rec.errors import BadInput
from rec.evaluation.intervals import intervals
from rec.evaluation.metrics import means, rank_of
from rec.evaluation.stream import Stream
from rec.lessons import is_target
from rec.model.device import Hardware

SHORTEST = 3  # one to look at, one to validate, one to test
LEARNED_FROM = 4  # one more: the network learns what comes next, so it takes two
VIEWED_FROM = 6  # two that are left out, and more than three to make views of
RULE_STEPS = 10


def sequences_of(stream: Stream) -> dict[str, list[str]]:
    """User → items in time order."""
    found: dict[str, list[str]] = {}
    for event in stream.events:
        if is_target(event):
            found.setdefault(event.subject, []).extend(item.item_id for item in event.items)
    return found


def leave_one_out(
    sequences: Mapping[str, Sequence[str]],
    seed: int,
    progress: Callable[[int, float, float], None] = lambda *_: None,
    hardware: Hardware = Hardware(),
    contrast: float = 0.0,
    pretrain: int = 0,
    pretrained: Callable[[int, float], None] = lambda *_: None,
    *,
    seen_excluded: bool = False,
) -> dict[str, Any]:
    """Fit a network and rank the last items: `scored`, `model`, `intervals`, `baselines`.

    `seen_excluded`: a user's earlier items are on no list, as in what S3-Rec and RecBole have published.

    `contrast` is the weight of the contrastive term between two views of a history, `pretrain` how many epochs learn
    from it alone before the others begin. Raises BadInput if no sequence is long enough to learn from.
    """
    from rec.model.fit import Fit, fit, ranks_of_last

    longest = max(map(len, sequences.values()), default=0)
    if longest < LEARNED_FROM:
        raise BadInput(
            f"Nobody has {LEARNED_FROM} items or more (the most are {longest}): two to learn from, one to validate and "
            "one to test are needed. Give more events, or leave --leave-one-out away.",
            field="FILE",
        )
    if longest < VIEWED_FROM and (contrast or pretrain):
        raise BadInput(
            f"Nobody has {VIEWED_FROM} items or more (the most are {longest}), and a shorter history has no two views. "
            "Give longer ones, or leave --contrast and --pretrain away.",
            field="--contrast" if contrast else "--pretrain",
        )
    rows: dict[str, int] = {}
    whole = [
        [rows.setdefault(item_id, len(rows) + 1) for item_id in sequence]
        for sequence in sequences.values()
        if len(sequence) >= SHORTEST
    ]
    settings = Fit(seed=seed, contrast=contrast, pretrain=pretrain)
    fitted = fit(
        [sequence[:-1] for sequence in whole],
        len(rows),
        settings,
        progress,
        hardware,
        pretrained,
        seen_excluded=seen_excluded,
    )
    ranks = ranks_of_last(fitted.network, fitted.items, whole, seen_excluded=seen_excluded)
    lines = _lines(whole, len(rows), seen_excluded)
    return {
        "scored": len(ranks),
        "model": means(ranks),
        "intervals": intervals(ranks, np.arange(len(ranks)), np.random.default_rng(seed)),
        "baselines": {name: means(found) for name, found in lines.items()},
        "validation_ndcg@10": [round(value, 5) for value in fitted.validation],
    }


def _lines(whole: Sequence[Sequence[int]], count: int, seen_excluded: bool) -> dict[str, list[float]]:
    """Popularity, and the sequential rules of the item before (1/distance), learned from all but the tests."""
    popular = np.zeros(count + 1)
    rules: list[Counter[int]] = [Counter() for _ in range(count + 1)]
    for sequence in whole:
        known = sequence[:-1]
        for at, item in enumerate(known):
            popular[item] += 1
            for distance, earlier in enumerate(reversed(known[max(0, at - RULE_STEPS) : at]), 1):
                if earlier != item:
                    rules[earlier][item] += 1 / distance  # type: ignore[assignment]
    found: dict[str, list[float]] = {"popularity": [], "rules": []}
    tiny = popular / (popular.sum() + 1) * 1e-3  # decides between items that no rule tells apart
    for sequence in whole:
        target, last = sequence[-1] - 1, sequence[-2]
        scores = tiny.copy()
        for item, weight in rules[last].items():
            scores[item] += weight
        gone = [item for item in sequence[:-1] if item != sequence[-1]] if seen_excluded else []
        for name, said in (("popularity", popular), ("rules", scores)):
            listed = said.copy()
            listed[gone] = -np.inf
            found[name].append(rank_of(listed[1:], target))
    return found
