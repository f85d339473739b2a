"""scores → **curves**. What TensorBoard draws of a lineage: `tensorboard --logdir <data_dir>/curves`.

The events are written here and not by tensorboardX's SummaryWriter: its thread ends at the first error of the disk,
without a word, and whoever draws next waits for it for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rec.contest import CANDIDATE, UNTAUGHT, Round
from rec.examples import Taken

log = logging.getLogger(__name__)

EVERY_S = 10.0  # a point of each curve, of what came since the last
FILE_BYTES = 4 * 1024 * 1024  # then another file is begun, so that the oldest can go
MOST_BYTES = 64 * 1024 * 1024  # of all files: more than ten days


class Curves:
    """Writes event files; the step is the number of examples learned from. An async context manager.

    `took` blocks on the disk. What the disk does not take is not drawn, and said; the next call begins another file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: Any = None
        self._files = 0
        self._drawn = 0.0
        self._rounds: list[Round] = []  # not drawn yet
        self._losses: list[float] = []
        self._said = False  # that the disk takes nothing: once, for there is a call a second

    async def __aenter__(self) -> Curves:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await asyncio.to_thread(self._close)

    def took(self, taken: Taken, live: str, now: float) -> None:
        """One call's worth of batches. Of the contenders those are drawn that are always there."""
        if not taken.rounds:
            return
        self._rounds += taken.rounds
        self._losses.append(taken.loss)
        if abs(now - self._drawn) < EVERY_S:
            return
        whole = taken._replace(loss=sum(self._losses) / len(self._losses), rounds=self._rounds)
        self._rounds, self._losses = [], []
        try:
            self._draw(dict(_curves(whole, live, now)), taken.learned, now)
        except OSError as error:
            self._close()
            if not self._said:
                log.error("no curves for now: %s cannot be written: %s", self._folder, error.strerror or error)  # noqa: TRY400
            self._said = True
        else:
            self._said, self._drawn = False, now

    def _draw(self, curves: dict[str, float], step: int, now: float) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._make_room()
            self._files += 1  # in the name, for the time in it is in whole seconds
            self._writer = EventsWriter(str(self._folder / "events"), f".{self._files:06d}")
        for name, value in curves.items():
            self._writer.write_event(Event(wall_time=now, step=step, summary=scalar(name, value)))
        self._writer.flush()
        if Path(self._writer._file_name).stat().st_size >= FILE_BYTES:
            self._close()

    def _make_room(self) -> None:
        """The oldest files go. Their names begin with when they were begun."""
        size = FILE_BYTES
        for path in sorted(self._folder.glob("events.out.tfevents.*"), reverse=True):
            size += path.stat().st_size
            if size > MOST_BYTES:
                path.unlink()

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is None:
            return
        try:
            writer.close()
        except OSError:  # it was said; the file is still to be closed, and may say so again
            with contextlib.suppress(OSError):
                writer._py_recordio_writer.close()
            path = Path(writer._file_name)
            if path.stat().st_size == 0:  # nothing came of it: there is one at each call
                path.unlink()


def _curves(taken: Taken, live: str, now: float) -> Iterator[tuple[str, float]]:
    yield "train/loss", taken.loss
    yield "train/share", taken.share
    yield "train/behind_s", max(0.0, now - taken.learned_through)
    for curve, name in (("candidate", CANDIDATE), ("live", live), ("untaught", UNTAUGHT)):
        rounds = [one for one in taken.rounds if name in one.loss]
        if examples := sum(one.examples for one in rounds):
            yield f"nll/{curve}", sum(one.loss[name] for one in rounds) / examples
            yield f"hit_rate_10/{curve}", sum(one.hits[name] for one in rounds) / examples
            yield f"mrr_10/{curve}", sum(one.mrr[name] for one in rounds) / examples
