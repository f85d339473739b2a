"""What our processes write to standard error: one line a record, and no flood when a neighbour is away.

While a broker cannot be reached, Kafka's client says the same for every partition, request and retry. Of records of
these libraries that differ in numbers alone, one every few seconds passes, and says how many were left out before it.
"""

from __future__ import annotations

import logging
import re
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

log = logging.getLogger("rec")

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
CHATTY = ("aiokafka", "faust", "mode")  # loggers, with those below them
EVERY_S = 5.0
_MOST = 1_000  # kinds of records that are remembered
_NUMBERS = re.compile(r"\d+")


class _Kind(NamedTuple):
    """What makes two records the same."""

    logger: str
    level: int
    text: str


class Sparing(logging.Filter):
    """For a handler. Lets a record of these loggers through if its like has not passed for `every_s`.

    What was left out after the last one that passed is told with the next one of its kind, if there is one.
    """

    def __init__(
        self, loggers: Sequence[str] = CHATTY, every_s: float = EVERY_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._loggers, self._every_s, self._clock = frozenset(loggers), every_s, clock
        self._kinds: dict[_Kind, tuple[float, int]] = {}  # → when one passed last, how many were left out since

    def filter(self, record: logging.LogRecord) -> bool:
        """Under the logging module's own locks or not: a count may be off by one between threads, no more."""
        if record.name.partition(".")[0] not in self._loggers:
            return True
        now = self._clock()
        kind = _Kind(record.name, record.levelno, _NUMBERS.sub("#", _text(record)))
        passed, left_out = self._kinds.get(kind, (-self._every_s + now, 0))
        if now - passed < self._every_s:
            self._kinds[kind] = passed, left_out + 1
            return False
        if left_out:
            record.msg, record.args = f"{record.getMessage()} ({left_out} more like this were left out)", ()
        if len(self._kinds) >= _MOST:
            self._kinds = {kind: last for kind, last in self._kinds.items() if now - last[0] < self._every_s}
        if len(self._kinds) < _MOST:
            self._kinds[kind] = now, 0
        return True


def _text(record: logging.LogRecord) -> str:
    """What it says, and of what kind the error is that came with it; the template where its values do not fit it."""
    try:
        said = record.getMessage()
    except (TypeError, ValueError):
        said = str(record.msg)
    return f"{said} {record.exc_info[0]}" if record.exc_info else said


def begin(quiet: Sequence[str] = ()) -> None:
    """Set up the logging of a process; `quiet` loggers say no more than warnings."""
    logging.basicConfig(level="INFO", format=FORMAT)
    for name in quiet:
        logging.getLogger(name).setLevel("WARNING")
    sparing = Sparing()
    for handler in logging.getLogger().handlers:
        handler.addFilter(sparing)


def warn_of_strangers() -> None:
    """One warning about the REC_* variables that nothing reads."""
    from rec.variables import unknown_variables, variables_here, warning

    if told := warning(unknown_variables(variables_here())):
        log.warning("%s", told)


def discreet(error: BaseException) -> str:
    """Class and stack of an error and of what caused it, without their words: they may quote somebody's id."""
    lines, each = list[str](), error
    while True:
        lines += [type(each).__name__, *traceback.format_tb(each.__traceback__)]
        before = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if before is None:
            return "\n".join(lines)
        lines.append("after")
        each = before
