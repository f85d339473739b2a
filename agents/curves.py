"""scores → **curves**. What TensorBoard draws of a lineage: `tensorboard --logdir <data_dir>/curves`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rec.examples import Taken


class Curves:
    """Writes event files. The step is the number of examples learned from. A context manager; blocks on the disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    def __enter__(self) -> Curves:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), flush_secs=5)
        return self

    def __exit__(self, *exc: object) -> None:
        self._writer.close()

    def took(self, taken: Taken, now: float) -> None:
        """One call's worth of batches."""
        if not taken.rounds:
            return
        step, examples = taken.learned, max(1, sum(one.examples for one in taken.rounds))
        self._add("train/loss", taken.loss, step)
        self._add("train/share", taken.share, step)
        self._add("train/behind_s", max(0.0, now - taken.learned_through), step)
        for name in {name for one in taken.rounds for name in one.loss}:
            # versions come and go: one curve for all that are live would need their names, so each has its own
            kind = name if name in ("candidate", "gate-0") else f"version/{name}"
            self._add(f"nll/{kind}", sum(one.loss.get(name, 0.0) for one in taken.rounds) / examples, step)
            self._add(f"mrr/{kind}", sum(one.mrr.get(name, 0.0) for one in taken.rounds) / examples, step)

    def _add(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)
