"""targets → **columns**. What was tested, as arrays: one row a target, one rank for each seed. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rec.evaluation.metrics import Ranks, gains
from rec.evaluation.prequential import Target


@dataclass(frozen=True)
class Tested:
    """n targets, in the order of the stream, tested S times."""

    ranks: Ranks  # [S, n] by the model
    lines: Mapping[str, Ranks]  # [n] by each baseline
    subjects: npt.NDArray[np.int64]  # [n] numbers of the shoppers, from 0
    at: npt.NDArray[np.float64]  # [n] seconds since 1970
    known: npt.NDArray[np.int64]  # [n] different items in the shopper's history
    support: npt.NDArray[np.int64]  # [n] events of the item before
    repeat: npt.NDArray[np.bool_]  # [n]

    def __len__(self) -> int:
        return len(self.at)

    def earned(self) -> Ranks:
        """[n, metrics] what each target earns, the mean over the seeds."""
        return np.stack([each.mean(axis=0) for each in gains(self.ranks).values()], axis=1)


def tested_of(runs: Sequence[Sequence[Target]]) -> Tested:
    """Runs over the same stream by the same rules, one a seed, side by side."""
    first = runs[0]
    names = list(first[0].lines) if first else []
    subjects = np.unique([one.subject for one in first], return_inverse=True)[1] if first else np.zeros(0, np.int64)
    return Tested(
        np.array([[one.rank for one in run] for run in runs], float),
        {name: np.array([one.lines[name] for one in first]) for name in names},
        subjects.astype(np.int64),
        np.array([one.at for one in first]),
        np.array([one.known for one in first], np.int64),
        np.array([one.support for one in first], np.int64),
        np.array([one.repeat for one in first], bool),
    )
