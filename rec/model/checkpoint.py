"""Checkpoints: named tensors and what belongs to them, in a folder under a URL. No torch here, and never a pickle.

    <url>/<name>/model.safetensors       the weights that serve
                 optimizer.safetensors   any other file of tensors
                 meta.json               format, files with size and SHA-256, digest, what the caller adds, checksum

Invariant: what `load` returns is what `save` was given, to the bit, or it raises ModelError: every byte of every file
is under a checksum, meta.json's own included. A checkpoint without meta.json does not exist (rec.store.folders).

All functions block on files or the network: call them in a thread from a coroutine.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from rec.errors import ModelError
from rec.store.folders import Folders

FORMAT = 1
MODEL = "model"  # the file whose digest is the checkpoint's
SUFFIX = ".safetensors"

_META = "meta.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OURS = ("format", "files", "digest", "checksum")
_KINDS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
          "float16", "float32", "float64")  # fmt: skip  # what the file format and numpy both know
_REMEDY = "Choose another version (rec models list, rec models promote VERSION, or rec models rollback)"

Tensors = Mapping[str, np.ndarray[Any, Any]]


class _File(msgspec.Struct):
    """A line of meta.json: the SHA-256 and the length of a file."""

    sha256: str
    bytes: int


def digest_of(tensors: Tensors) -> str:
    """SHA-256 over name, kind, shape and little-endian bytes of each tensor, in the order of their names.

    Equal weights have equal digests, wherever and by whichever version of the file format they were written.
    """
    digest = sha256()
    for name in sorted(tensors):
        tensor = _plain(name, tensors[name])
        digest.update(msgspec.json.encode([name, tensor.dtype.name, tensor.shape]))
        digest.update(tensor.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def save(
    url: str, name: str, tensors: Mapping[str, Tensors], meta: Mapping[str, Any], digest: str | None = None
) -> str:
    """Write a checkpoint: file name without suffix → tensors by name, and more for meta.json. The digest of `model`.

    Either the whole checkpoint is there afterwards or nothing of it. One that is there with the same digest stays as it
    is; with another digest ModelError. Raises Unavailable if the store cannot be used. `digest` is that of a model that
    is not written out here (rec.model.deltas).
    """
    if (MODEL in tensors) == (digest is not None) or set(meta) & set(_OURS):
        raise ValueError(f"a checkpoint needs the file {MODEL!r}, and its meta none of {', '.join(_OURS)}")
    folders = _folders(url)
    for each in (name, *tensors):
        _checked(each)
    digest = digest or digest_of(tensors[MODEL])
    if _is_saved(folders, name, digest):
        return digest
    files = {file + SUFFIX: _encoded(named) for file, named in tensors.items()}
    about = {file: _File(sha256(content).hexdigest(), len(content)) for file, content in files.items()}
    seal = _sealed({"format": FORMAT, "files": about, "digest": digest, **meta})
    try:
        folders.write(name, files, seal)
    except FileExistsError:  # another process was faster
        _is_saved(folders, name, digest)
    return digest


def load(
    url: str, name: str, files: Sequence[str] = (MODEL,)
) -> tuple[dict[str, dict[str, np.ndarray[Any, Any]]], dict[str, Any]]:
    """Tensors by file and name, and meta.json. The arrays are fresh and may be written to.

    Raises ModelError, naming file and remedy, if anything is missing, broken, cut off or of another format; nothing is
    parsed before its size and checksum were found right. Raises Unavailable if the store cannot be used.
    """
    folders = _folders(url)
    meta = _meta(folders, name)
    return {file: _decoded(folders, name, file + SUFFIX, meta) for file in files}, meta


def read(url: str, name: str, file: str, meta: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """The tensors of one file of a checkpoint whose `meta` was loaded before; otherwise as `load`."""
    return _decoded(_folders(url), _checked(name), file + SUFFIX, meta)


def load_meta(url: str, name: str) -> dict[str, Any]:
    """meta.json alone, checked; ModelError and Unavailable as `load`."""
    return _meta(_folders(url), name)


def check(url: str, name: str) -> dict[str, str | None]:
    """File → what is wrong with it, None if its checksum holds. ModelError if meta.json itself is missing or broken."""
    folders = _folders(url)
    meta = _meta(folders, name)
    return {file: _content(folders, name, file, meta)[1] for file in sorted(meta["files"])}


def names(url: str) -> list[str]:
    """The checkpoints under a URL, sorted; none where there is no such folder yet."""
    return [name for name in _folders(url).names() if _NAME.fullmatch(name)]


def delete(url: str, name: str) -> bool:
    """Remove a checkpoint, or what a crash has left of one; whether there was one."""
    return _folders(url).remove(_checked(name))


# ---------------------------------------------------------------- names
def _folders(url: str) -> Folders:
    return Folders(url, _META)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ModelError(f"{name!r} is no name of a checkpoint or a file: letters, digits, dots, dashes, underscores")
    return name


def _is_saved(folders: Folders, name: str, digest: str) -> bool:
    if folders.read(name, _META) is None:
        return False
    if (there := _meta(folders, name)["digest"]) != digest:
        raise ModelError(
            f"the checkpoint {name} is in {folders.url} already, with other weights ({there[:12]}, not {digest[:12]}). "
            "Save these under another name"
        )
    return True


# ---------------------------------------------------------------- tensors
def _plain(name: str, tensor: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The tensor in one piece, row by row, little-endian: the file format takes the memory as it lies."""
    if tensor.dtype.name not in _KINDS:
        raise ModelError(f"the tensor {name} is of kind {tensor.dtype.name}. Known are: {', '.join(_KINDS)}")
    return np.asarray(tensor, dtype=tensor.dtype.newbyteorder("<"), order="C")


def _encoded(tensors: Tensors) -> bytes:
    return safetensors.save({name: _plain(name, tensor) for name, tensor in tensors.items()})


def _decoded(folders: Folders, name: str, file: str, meta: Mapping[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    if file not in meta["files"]:
        there = ", ".join(sorted(meta["files"]))
        raise ModelError(f"the checkpoint {name} in {folders.url} has no file {file}, only {there}. {_REMEDY}")
    content, wrong = _content(folders, name, file, meta)
    if wrong is None:
        try:
            return safetensors.load(content)
        except (SafetensorError, KeyError, ValueError) as error:
            wrong = f"it is no file of tensors: {error}"
    raise _broken(folders, name, file, wrong)


def _content(folders: Folders, name: str, file: str, meta: Mapping[str, Any]) -> tuple[bytes, str | None]:
    """A file as it lies there, and what is wrong with it."""
    about = msgspec.convert(meta["files"][file], _File)
    content = folders.read(name, file)
    if content is None:
        return b"", "it is missing"
    if len(content) != about.bytes:
        return content, f"it has {len(content):,} bytes instead of {about.bytes:,}"
    return content, None if sha256(content).hexdigest() == about.sha256 else "its checksum is wrong"


# ---------------------------------------------------------------- meta.json
def _sealed(meta: Mapping[str, Any]) -> bytes:
    body = msgspec.json.decode(msgspec.json.encode(meta))  # as it will be read
    return msgspec.json.encode({**body, "checksum": _checksum(body)})


def _checksum(body: Mapping[str, Any]) -> str:
    return sha256(msgspec.json.encode(body, order="deterministic")).hexdigest()


def _meta(folders: Folders, name: str) -> dict[str, Any]:
    content = folders.read(_checked(name), _META)
    if content is None:
        raise ModelError(f"there is no checkpoint {name} in {folders.url}. {_REMEDY}")
    try:
        meta = msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:  # cut off, or other bytes
        raise _broken(folders, name, _META, str(error)) from None
    if isinstance(found := meta.get("format"), int) and found > FORMAT:
        raise ModelError(
            f"the checkpoint {name} in {folders.url} has format {found}, and this version reads {FORMAT}. "
            f"Update this installation. {_REMEDY}"
        )
    if meta.pop("checksum", None) != _checksum(meta) or found != FORMAT:
        raise _broken(folders, name, _META, "its checksum is wrong")
    return meta


def _broken(folders: Folders, name: str, file: str, why: str) -> ModelError:
    return ModelError(f"the file {file} of the checkpoint {name} in {folders.url} is broken: {why}. {_REMEDY}")
