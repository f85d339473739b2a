"""versions → **deltas** → fewer bytes. A large version is written as the rows that differ from the last whole one.

    <url>/<name>/delta.safetensors   rows.T, to.T, length.T   of a tensor T: which rows differ, what they are, how many
                                                              there are in all (those that are new begin at zero)
                                     whole.T                  of a tensor that is shorter written out
                 meta.json           base: name and digest; codes: which names have changed; digest: of the whole

Never a chain: the base of a delta is a whole version. What differs is found by comparing bits with the base, so nothing
has to be known of how a row was changed. Invariant: what `load` returns has the digest that was saved, or it raises
ModelError. Up to `whole_until` bytes, versions are written as `rec.model.checkpoint` writes them, and so is one whose
delta would be more than half of it; the next deltas are against that one.

No torch here. All that reads or writes blocks: call it in a thread from a coroutine.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec
import numpy as np

from rec.errors import ModelError
from rec.model import checkpoint
from rec.model.checkpoint import MODEL, SUFFIX, Tensors, digest_of, load_meta, read

DELTA = "delta"
CODES = ("slots", "categories", "brands")  # of meta.json: lists of a name and its number, longer than many a delta

Arrays = dict[str, np.ndarray[Any, Any]]
Codes = dict[str, dict[str, int]]


class Whole(NamedTuple):
    """A version that lies there whole. Its arrays are not to be written to."""

    name: str
    digest: str
    model: Tensors
    codes: Codes


class Saved(NamedTuple):
    """What was written; `base` is the version that it cannot be read without."""

    digest: str
    base: str | None


class Series:
    """Versions that one lineage writes, one after the other. One thread."""

    def __init__(self, whole_until: int) -> None:
        self._whole_until = whole_until
        self._base: Whole | None = None

    def begin_again(self) -> None:
        """The next one is whole, and those after it rest on nothing that was written until now."""
        self._base = None

    def save(self, url: str, name: str, model: Tensors, meta: Mapping[str, Any]) -> Saved:
        """Write a version. Raises ModelError and Unavailable as `checkpoint.save`."""
        size = bytes_of(model)
        if size <= self._whole_until:
            return Saved(checkpoint.save(url, name, {MODEL: model}, meta), None)
        _remove_fallen(url, name)
        base = self._base
        if base is not None and _stands(url, base.name, base.digest):
            delta = difference(base.model, model)
            if bytes_of(delta) <= size / 2:
                about = {"base": {"name": base.name, "digest": base.digest}, **_codes_since(base.codes, meta)}
                digest = checkpoint.save(url, name, {DELTA: delta}, about, digest_of(model))
                return Saved(digest, _base_of_saved(url, name))
        digest = checkpoint.save(url, name, {MODEL: model}, {**meta, "deltas": True})
        if (rests_on := _base_of_saved(url, name)) is None:
            self._base = Whole(name, digest, model, _codes_of(meta))
        return Saved(digest, rests_on)


class Shelf:
    """The whole version that deltas were last read against, so that it is not read again. One thread at a time."""

    def __init__(self) -> None:
        self._kept: Whole | None = None

    def find(self, name: str, digest: str) -> Whole | None:
        """The version of that name, if it is the one that is kept."""
        kept = self._kept
        return kept if kept is not None and (kept.name, kept.digest) == (name, digest) else None

    def put(self, whole: Whole) -> None:
        """Keep this one, in place of what was kept."""
        for array in whole.model.values():
            array.flags.writeable = False  # others read it, too
        self._kept = whole


def load(url: str, name: str, shelf: Shelf | None = None) -> tuple[Arrays, dict[str, Any]]:
    """The weights of a version and its meta.json, however it is written.

    Raises ModelError if it, or what it rests on, is missing or broken, or is not what it was. Raises Unavailable.
    With a `shelf` the arrays may be shared with it: they are to be read.
    """
    meta = load_meta(url, name)
    if (base := base_of(meta)) is None:
        model = read(url, name, MODEL, meta)
        if shelf is not None and meta.get("deltas"):
            shelf.put(Whole(name, meta["digest"], model, _codes_of(meta)))
        return model, meta
    below = shelf.find(*base) if shelf is not None else None
    if below is None:
        below = _base(url, name, *base)
        if shelf is not None:
            shelf.put(below)
    try:
        model = applied(below.model, read(url, name, DELTA, meta))
    except (ValueError, IndexError, KeyError) as error:
        raise _misfit(name, base[0], f"its delta does not fit: {error}") from None
    if digest_of(model) != meta["digest"]:
        raise _misfit(name, base[0], "together they are not what was saved")
    return model, _with_codes(name, base[0], below.codes, meta)


def check(url: str, name: str) -> dict[str, str | None]:
    """File → what is wrong with it, those of the version that it rests on included (see `checkpoint.check`)."""
    found = checkpoint.check(url, name)
    if (base := base_of(load_meta(url, name))) is not None:
        below, digest = base
        try:
            if not _stands(url, below, digest):
                load_meta(url, below)  # says what is wrong with it
                raise _misfit(name, below, "that is another one now")
            found |= {f"{below}/{file}": why for file, why in checkpoint.check(url, below).items()}
        except ModelError as error:
            found[f"{below}/meta.json"] = error.message
    return found


def base_of(meta: Mapping[str, Any]) -> tuple[str, str] | None:
    """Name and digest of the version that one rests on, by its meta.json; None if it is whole."""
    base = meta.get("base")
    return (str(base["name"]), str(base["digest"])) if base is not None else None


# ---------------------------------------------------------------- tensors
def bytes_of(tensors: Tensors) -> int:
    return sum(array.nbytes for array in tensors.values())


def difference(base: Tensors, whole: Tensors) -> Arrays:
    """What has to be known beside the base. A tensor may have grown: its new rows are zero there."""
    found: Arrays = {}
    for name, array in whole.items():
        before = base.get(name)
        if before is not None and _may_be_rows(before, array):
            rows = _changed(before, array)
            if len(rows) * (rows.itemsize + array[:1].nbytes) < array.nbytes:
                found |= {f"rows.{name}": rows, f"to.{name}": array[rows], f"length.{name}": np.array(len(array))}
                continue
        found[f"whole.{name}"] = array
    return found


def applied(base: Tensors, delta: Tensors) -> Arrays:
    """The whole of which `difference` was made; fresh arrays. ValueError, IndexError, KeyError if they do not fit."""
    found: Arrays = {}
    for key, array in delta.items():
        kind, _, name = key.partition(".")
        if kind == "whole":
            found[name] = array
        elif kind == "rows":
            before, values, length = base[name], delta[f"to.{name}"], int(delta[f"length.{name}"])
            whole = np.zeros((length, *before.shape[1:]), before.dtype)
            whole[: len(before)] = before
            whole[array] = values
            found[name] = whole
    return found


def _may_be_rows(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> bool:
    same = before.dtype == now.dtype and before.ndim == now.ndim > 0
    return same and before.shape[1:] == now.shape[1:] and 0 < len(before) <= len(now) and now.size > 0


def _changed(before: np.ndarray[Any, Any], now: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """[k] rows whose bits differ: -0.0 is not 0.0 to a digest."""
    old, new = _bits(before), _bits(now)
    differs = np.concatenate([(old != new[: len(old)]).any(1), new[len(old) :].any(1)])
    return np.flatnonzero(differs).astype(np.uint32)


def _bits(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.ascontiguousarray(array).reshape(len(array), -1).view(f"u{array.itemsize}")


# ---------------------------------------------------------------- names and their numbers
def _codes_of(meta: Mapping[str, Any]) -> Codes:
    return {key: dict(meta[key]) for key in CODES if key in meta}


def _digest_of_codes(codes: Codes) -> str:
    return sha256(msgspec.json.encode(codes, order="deterministic")).hexdigest()


def _codes_since(base: Codes, meta: Mapping[str, Any]) -> dict[str, Any]:
    """meta.json with what has changed in the codes in place of them."""
    now = _codes_of(meta)
    changes: dict[str, Any] = {"digest": _digest_of_codes(now)}
    for key, codes in now.items():
        before = base.get(key, {})
        put = [each for each in codes.items() if before.get(each[0]) != each[1]]
        changes[key] = {"put": put, "gone": [name for name in before if name not in codes]}
    return {**{key: value for key, value in meta.items() if key not in CODES}, "codes": changes}


def _with_codes(name: str, base: str, before: Codes, meta: dict[str, Any]) -> dict[str, Any]:
    """meta.json as it would be of a whole version; the order of names is another one."""
    changes = dict(meta["codes"])
    digest, now = changes.pop("digest"), {}
    for key, change in changes.items():
        gone = set(change["gone"])
        now[key] = {each: code for each, code in before.get(key, {}).items() if each not in gone} | dict(change["put"])
    if _digest_of_codes(now) != digest:
        raise _misfit(name, base, "together their names are not those that were saved")
    rest = {key: value for key, value in meta.items() if key not in ("base", "codes")}
    return {**rest, **{key: list(codes.items()) for key, codes in now.items()}}


# ---------------------------------------------------------------- bases
def _base(url: str, name: str, base: str, digest: str) -> Whole:
    """What a delta rests on, read from the store."""
    try:
        meta = load_meta(url, base)
        if meta["digest"] != digest or MODEL + SUFFIX not in meta["files"]:
            raise _misfit(name, base, "that is another one now")
        return Whole(base, digest, read(url, base, MODEL, meta), _codes_of(meta))
    except ModelError as error:
        raise ModelError(f"the version {name} is a delta against {base}. {error.message}") from None


def _stands(url: str, name: str, digest: str) -> bool:
    """Whether a version is there, whole, with these weights."""
    try:
        meta = load_meta(url, name)
    except ModelError:
        return False
    return bool(meta["digest"] == digest and MODEL + SUFFIX in meta["files"])


def _base_of_saved(url: str, name: str) -> str | None:
    """It may have been there already, written in the other way."""
    base = base_of(load_meta(url, name))
    return base[0] if base is not None else None


def _remove_fallen(url: str, name: str) -> None:
    """A delta of that name whose base is gone: a trainer that was killed has left it, and nobody could read it."""
    try:
        base = base_of(load_meta(url, name))
    except ModelError:
        return
    if base is not None and not _stands(url, *base):
        checkpoint.delete(url, name)


def _misfit(name: str, base: str, why: str) -> ModelError:
    return ModelError(
        f"the version {name} cannot be made from {base}: {why}. Choose another version (rec models list, "
        "rec models promote VERSION, or rec models rollback)"
    )
