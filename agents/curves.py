"""scores → **curves**. What TensorBoard draws of a lineage: `tensorboard --logdir <data_dir>/curves`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from rec.contest import CANDIDATE, UNTAUGHT
from rec.examples import Taken


class Curves:
    """Writes event files; the step is the number of examples learned from. An async context manager.

    `took` blocks on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None

    async def __aenter__(self) -> Curves:
        await asyncio.to_thread(self._open)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self._writer.close)

    def _open(self) -> None:
        from tensorboardX import SummaryWriter

        self._writer = SummaryWriter(str(self._folder), flush_secs=5)

    def took(self, taken: Taken, live: str, now: float) -> None:
        """One call's worth of batches. Of the contenders those are drawn that are always there."""
        if not taken.rounds:
            return
        step = taken.learned
        self._add("train/loss", taken.loss, step)
        self._add("train/share", taken.share, step)
        self._add("train/behind_s", max(0.0, now - taken.learned_through), step)
        for curve, name in (("candidate", CANDIDATE), ("live", live), ("untaught", UNTAUGHT)):
            rounds = [one for one in taken.rounds if name in one.loss]
            if examples := sum(one.examples for one in rounds):
                self._add(f"nll/{curve}", sum(one.loss[name] for one in rounds) / examples, step)
                self._add(f"hit_rate_10/{curve}", sum(one.hits[name] for one in rounds) / examples, step)
                self._add(f"mrr_10/{curve}", sum(one.mrr[name] for one in rounds) / examples, step)

    def _add(self, name: str, value: float, step: int) -> None:
        self._writer.add_scalar(name, value, step)
