"""The data folder of `rec up`: who uses it, what is in it, and the secrets that are made on the first start."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from rec.errors import ConfigError


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
        """Hold the folder for this process. Raises ConfigError if another `rec up` has it, or it cannot be written."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            file = (self.root / "lock").open("a")
        except OSError as error:
            raise ConfigError(f"{self.root} cannot be written: {error}. Choose another with --data-dir.") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"{self.root} is in use by another `rec up`. Stop that one, or choose another --data-dir."
                raise ConfigError(message) from None
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
