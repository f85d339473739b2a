"""How far something long is: a bar on a terminal, else a line every few seconds. On stderr, drawn when updated."""

from __future__ import annotations

import sys
import time
from typing import Self

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

LINE_EVERY_S = 5.0
_DRAW_EVERY_S = 0.1


class ProgressLine:
    """`with ProgressLine("importing", "rows") as line: line.update(1_200, 0.4)`. A share of None: nobody knows."""

    def __init__(self, what: str, units: str) -> None:
        self._what, self._units = what, units
        self._started = self._shown = time.monotonic()
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.fields[count]:,} " + units),
                TextColumn("{task.fields[rate]:,.0f}/s"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
                auto_refresh=False,  # no thread of its own
            )
            self._task = self._bar.add_task(what, total=1.0, count=0, rate=0.0)

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, count: int, share: float | None) -> None:
        """`count` are done, `share` (0 to 1) of the whole."""
        now = time.monotonic()
        if now - self._shown < (_DRAW_EVERY_S if self._bar else LINE_EVERY_S):
            return
        self._shown = now
        if self._bar is not None:
            rate = count / max(now - self._started, 1e-9)
            total = None if share is None else 1.0
            self._bar.update(self._task, total=total, completed=share or 0.0, count=count, rate=rate, refresh=True)
        else:
            part = "" if share is None else f" ({share:.0%})"
            click.echo(f"{self._what}: {count:,} {self._units}{part}", err=True)
