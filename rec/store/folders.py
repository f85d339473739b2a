"""Folders of files that are there whole or not at all, under any URL that fsspec knows: a path, s3://…, memory://….

Invariant: a folder without its seal, the file that is written last, does not exist for any reader. On a local file
system a folder moreover appears by one rename, so a crash leaves nothing but a hidden sibling, which a later write
sweeps away. Files are never changed once they are there.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from rec.errors import ConfigError, Unavailable

_LEFT_OVER = re.compile(r"\..+\.[0-9a-f]{8}\.(part|gone)")
_LEFT_OVER_S = 3600.0  # nobody writes one folder for this long, so whoever began it is gone


class Folders:
    """The folders under `url` that hold the file `seal`. All methods block; Unavailable if the store cannot be used."""

    def __init__(self, url: str, seal: str) -> None:
        self.url = re.sub(r"(?<=://)[^/@]*@", "…@", url)  # as it may be shown: without credentials
        self._seal = seal
        try:
            self._fs, root = url_to_fs(url)
        except (ImportError, ValueError) as error:  # a driver that is not installed; a protocol that nobody knows
            raise ConfigError(
                f"REC_MODELS_URL: {self.url} cannot be opened: {error}. Name a folder, or a URL of fsspec and install "
                "its driver (s3://: pip install s3fs, gs://: pip install gcsfs)",
                field="REC_MODELS_URL",
            ) from None
        self._root = str(root)
        self._local = isinstance(self._fs, LocalFileSystem)

    def names(self) -> list[str]:
        """The folders that are whole, sorted."""
        with self._store() as fs:
            found = fs.find(self._root, maxdepth=2)
        inside = [str(path).removeprefix(self._root.rstrip("/") + "/").split("/") for path in found]
        return sorted(parts[0] for parts in inside if parts[1:] == [self._seal] and not parts[0].startswith("."))

    def read(self, name: str, file: str) -> bytes | None:
        """The content of a file; None if there is none."""
        with self._store() as fs:
            try:
                content: bytes = fs.cat_file(f"{self._root}/{name}/{file}")
            except FileNotFoundError:
                return None
        return content

    def write(self, name: str, files: Mapping[str, bytes], seal: bytes) -> None:
        """Write the files and then the seal. FileExistsError if somebody else has sealed the folder meanwhile."""
        with self._store() as fs:
            if self._local:
                self._write_local(name, {**files, self._seal: seal})
                return
            folder = f"{self._root}/{name}"
            fs.makedirs(folder, exist_ok=True)
            for file, content in {**files, self._seal: seal}.items():
                fs.pipe_file(f"{folder}/{file}", content)

    def remove(self, name: str) -> bool:
        """Remove the folder, or what a crash has left of it; whether it was whole."""
        with self._store() as fs:
            folder = f"{self._root}/{name}"
            whole = bool(fs.exists(f"{folder}/{self._seal}"))
            try:
                if self._local:
                    gone = self._beside(name, "gone")
                    Path(folder).rename(gone)  # from here on it is not there, however far the removal gets
                    shutil.rmtree(gone)
                else:
                    if whole:
                        fs.rm_file(f"{folder}/{self._seal}")
                    fs.rm(folder, recursive=True)
            except FileNotFoundError:  # there was nothing, or the store knows no empty folders
                pass
            return whole

    # -- local
    def _write_local(self, name: str, files: Mapping[str, bytes]) -> None:
        root = Path(self._root)
        root.mkdir(parents=True, exist_ok=True)
        self._sweep()
        part, there = self._beside(name, "part"), root / name
        try:
            part.mkdir()
            for file, content in files.items():
                with (part / file).open("wb") as opened:
                    opened.write(content)
                    opened.flush()
                    os.fsync(opened.fileno())
            _sync(part)
            if there.is_dir() and not (there / self._seal).exists():  # a half copied one: not ours, and no folder
                there.rename(self._beside(name, "gone"))
            try:
                part.rename(there)
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    raise FileExistsError(errno.EEXIST, "exists", str(there)) from None
                raise
            _sync(root)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def _beside(self, name: str, what: str) -> Path:
        return Path(self._root) / f".{name}.{secrets.token_hex(4)}.{what}"

    def _sweep(self) -> None:
        """Remove what crashes have left: hidden folders of ours that nobody has touched for an hour."""
        for path in Path(self._root).iterdir():
            if _LEFT_OVER.fullmatch(path.name) and path.stat().st_mtime < time.time() - _LEFT_OVER_S:
                shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def _store(self) -> Iterator[Any]:
        """The file system as it is now, its errors in our words: each backend of fsspec raises kinds of its own."""
        try:
            self._fs.invalidate_cache()  # others write there too
            yield self._fs
        except FileExistsError:
            raise
        except Exception as error:
            raise Unavailable(
                f"The model store {self.url} cannot be used ({type(error).__name__}: {error}). "
                "Look at REC_MODELS_URL, the rights of this process there, and the space that is left"
            ) from error


def _sync(folder: Path) -> None:
    """Make the names in a folder outlast a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
