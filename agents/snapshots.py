"""what was learned → **a file**, every now and then. What a worker must do without when the disk is full: snapshots.

A snapshot only shortens the next start: the log has all of it. So one that cannot be written is said, and tried again.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from rec.errors import Unavailable
from rec.files import write_atomically

log = logging.getLogger(__name__)


async def kept(path: Path, content: bytes) -> bool:
    """Whether the snapshot is at `path` now; if not, the log says why, and whoever asked is to try again."""
    try:
        await asyncio.to_thread(write_atomically, path, content)
    except Unavailable as error:
        log.error("%s The last one stays; the next turn tries again.", error.message)  # noqa: TRY400  one line
        return False
    return True
