"""The data folder of `rec up`: who uses it, what is in it, and the secrets that are made on the first start."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from rec.errors import ConfigError

_LOCK = "lock"


class Secrets(NamedTuple):
    """Made once a folder: so that keys and tokens stay good over restarts."""

    api_key: str
    token_secret: str


class Home:
    """Paths inside a data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self.logs = self.root / "logs"
        self.database = self.root / "rec.db"

    @property
    def database_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.database}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process. Raises ConfigError if another `rec up` has it, or it cannot be written.

        A folder that is made here is its owner's alone: what is kept of shoppers is in it. Another stays as it is.
        """
        try:
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o700, exist_ok=True)
            self.logs.mkdir(exist_ok=True)
            file = (self.root / _LOCK).open("a")
        except OSError as error:
            raise ConfigError(f"{self.root} cannot be written: {error}. Choose another with --data-dir.") from error
        with file:
            if not _taken(file, fcntl.LOCK_EX):
                message = f"{self.root} is in use by another `rec up`. Stop that one, or choose another --data-dir."
                raise ConfigError(message)
            yield

    def secrets(self) -> Secrets:
        """Read, or on the first start make, the API key and the token secret; readable by the owner alone."""
        path = self.root / "secrets.json"
        if path.exists():
            try:
                return Secrets(**json.loads(path.read_text()))
            except (ValueError, TypeError) as error:
                raise ConfigError(f"{path} is damaged ({error}). Delete it: new keys are made.") from None
        made = Secrets(api_key=f"rec_{secrets.token_urlsafe(24)}", token_secret=secrets.token_urlsafe(48))
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made._asdict(), file)
        return made


def is_held(root: Path) -> bool:
    """Whether a `rec up` runs from the folder now. Raises OSError where there is no lock to look at."""
    with (root / _LOCK).open() as file:
        return not _taken(file, fcntl.LOCK_SH, tries=1)


def _taken(file: IO[str], how: int, tries: int = 5) -> bool:
    """Whether flock(2) gave it. Whoever only looks holds it for a moment: that is waited for."""
    for left in reversed(range(tries)):
        try:
            fcntl.flock(file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            if left:
                time.sleep(0.02)
        else:
            return True
    return False
