"""queue ⇄ **file**: queued events outlive the process. JSON lines; appended as events come, replaced atomically.

Blocking: call from a thread; calls are serialized. Appended lines survive the death of the process, replaced files
that of the machine too. A line that was torn by a crash is skipped; an event that was sent but not yet
struck out is sent again under its own event_id, so the server counts it as a duplicate. One process a file.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from rec.errors import ConfigError
from rec.events import Event, decode_event, encode_event

log = logging.getLogger("rec.client")


class Journal:
    """The file of one queue. `open` first; `close` at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None
        self._one_at_a_time = threading.Lock()  # a cancelled await leaves its thread running
        self.lines = 0  # in the file, those of settled events included

    def open(self) -> list[Event]:
        """Lock the file and read what is left in it; ConfigError if it cannot be used."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self._path.with_name(self._path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            raw = self._path.read_bytes() if self._path.exists() else b""
        except BlockingIOError:
            self.close()
            raise ConfigError(f"queue file {self._path} is used by another process; give each its own path") from None
        except OSError as error:
            self.close()
            raise ConfigError(f"queue file {self._path} cannot be used: {error}; choose another path") from error
        events, torn = [], 0
        for line in raw.splitlines():
            try:
                events.append(decode_event(line))
            except msgspec.DecodeError:
                torn += 1
        if torn:
            log.warning("%d unreadable lines of the event queue's file were skipped", torn)
        try:
            self.rewrite(events)
        except OSError as error:
            self.close()
            raise ConfigError(f"queue file {self._path} cannot be written: {error}; choose another path") from error
        return events

    def append(self, events: Iterable[Event]) -> None:
        """Add at the end."""
        lines = [encode_event(event) + b"\n" for event in events]
        with self._one_at_a_time:
            with open(os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "wb") as file:
                file.write(b"".join(lines))
            self.lines += len(lines)

    def rewrite(self, events: Iterable[Event]) -> None:
        """Replace the content; a reader, or a crash, sees the old or the new, never a part."""
        lines = [encode_event(event) + b"\n" for event in events]
        fresh = self._path.with_name(self._path.name + ".new")
        with self._one_at_a_time:
            with open(os.open(fresh, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
                file.write(b"".join(lines))
                file.flush()
                if lines:  # an empty file has nothing to lose
                    os.fsync(file.fileno())
            fresh.replace(self._path)
            self.lines = len(lines)

    def close(self) -> None:
        """Unlock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
