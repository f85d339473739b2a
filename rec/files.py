"""Files that are whole whenever somebody reads them: snapshots of what workers have learned."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from rec.errors import Unavailable


def write_atomically(path: Path, content: bytes) -> None:
    """Either the old file or the new one is there, whenever the power goes.

    Raises Unavailable, naming the file, where it cannot be written (a full disk); then nothing is left of the new one.
    """
    part = path.with_suffix(f".{secrets.token_hex(4)}.part")  # two hosts may share the folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
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
