"""Files that are whole whenever somebody reads them: snapshots of what workers have learned."""

from __future__ import annotations

import contextlib
import glob
import os
import secrets
import time
from pathlib import Path

from rec.errors import Unavailable

LEFT_OVER_S = 60.0  # nobody writes one file for so long


def write_atomically(path: Path, content: bytes) -> None:
    """Either the old file or the new one is there, whenever the power goes.

    Raises Unavailable, naming the file, where it cannot be written (a full disk); then nothing is left of the new one.
    """
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")  # two hosts may share the folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(path)
        try:
            with part.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"{path} could not be written: {error.strerror or error}. Make room, or let this user write there."
        raise Unavailable(message) from error


def _remove_left_over(path: Path) -> None:
    """Parts of a writer that was killed: one may name a user who was erased since."""
    for part in path.parent.glob(f"{glob.escape(path.stem)}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # the other host was first
            if time.time() - part.stat().st_mtime > LEFT_OVER_S:
                part.unlink()
