"""archive → **archived events** → whoever folds them. Read once, in order, past what cannot be folded.

What a fold refuses, the worker put to the dead letters when it came. A row of it must not keep a start from going well.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from rec.events import Event, decode_event
from rec.ports import Archive

log = logging.getLogger(__name__)


async def fold_archive(archive: Archive, fold: Callable[[Event], None], after_page: Callable[[], None]) -> None:
    """Tell `fold` every archived event. Those that cannot be read, or folded, are left out, and how many is logged."""
    left_out = 0
    async for rows in archive.read():
        for seq, raw in rows:
            try:
                fold(decode_event(raw))
            except Exception as error:  # noqa: BLE001  whatever it is: every later start would fail as this one
                left_out += 1
                if left_out == 1:
                    log.warning("row %d of the archive cannot be folded: %s", seq, type(error).__name__)
        after_page()
    if left_out:
        log.warning("%d events of the archive cannot be folded and were left out", left_out)
