"""application → **checks** → events, paths. What the wire cannot carry is refused here, by the field's name. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from rec.errors import BadInput
from rec.events import ID_RULE, Id


def check_id(value: str, field: str) -> str:
    """An id that the server takes, and that a path can carry.

    >>> check_id("a/b", "item_id")
    'a/b'
    >>> check_id("..", "item_id")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    rec.errors.BadInput: item_id: '..' is no id. Give an id of 1 to 128 whole characters ...
    """
    try:
        msgspec.convert(value, Id).encode()
    except (msgspec.ValidationError, UnicodeEncodeError):
        shown = value[:64] if isinstance(value, str) else value
        raise BadInput(f"{field}: {shown!r} is no id. Give {ID_RULE}.", field=field) from None
    return value


def check_secret(value: object, field: str) -> str:
    """An API key or token as a header carries it, without the newline of the file it came from; never shown.

    >>> check_secret("key\\n", "api_key")
    'key'
    """
    if not isinstance(value, str):
        raise BadInput(f"{field}: is {type(value).__name__}, not text; give a string", field=field)
    if not (bare := value.strip()):
        raise BadInput(f"{field}: is empty; give its characters", field=field)
    if not bare.isprintable():
        raise BadInput(f"{field}: has control characters inside; give it as it was issued", field=field)
    return bare


def check_numbers(value: Any) -> None:
    """JSON has no NaN and no infinity: an encoder would write null, and the number would be lost without a word.

    >>> check_numbers({"items": [{"price": float("nan")}]})
    Traceback (most recent call last):
    rec.errors.BadInput: items[0].price: nan is no number that JSON can carry. Give a finite one, or leave it out.
    """
    for field, number in _broken(value, ""):
        name = field.removeprefix(".")
        message = f"{name}: {number} is no number that JSON can carry. Give a finite one, or leave it out."
        raise BadInput(message, field=name)


def _broken(value: Any, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _broken(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _broken(inner, f"{path}.{name}")
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _broken(inner, f"{path}[{at}]")
