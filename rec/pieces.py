"""a large value → **pieces** of its MessagePack form. For who may not stand still until all of it is encoded.

Joined, the pieces are what `msgspec.msgpack.encode` makes of the value. Pure; the value may not change in between.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

SIZE = 256  # entries of a list or a dict in a piece

_encoder = msgspec.msgpack.Encoder()


def pieces(value: Any, size: int = SIZE) -> Iterator[bytes]:
    """Lists and dicts of more than `size` entries are cut up, and so is what holds such, however deep.

    >>> b"".join(pieces([1, {"a": [2, 3]}], 1)) == msgspec.msgpack.encode([1, {"a": [2, 3]}])
    True
    """
    if not _large(value, size):
        yield _encoder.encode(value)
    elif isinstance(value, dict):
        yield _head(len(value), 0x80, 0xDE)
        pairs = iter(value.items())
        while part := list(islice(pairs, size)):
            if any(_large(each, size) for _, each in part):
                for key, each in part:
                    yield _encoder.encode(key)
                    yield from pieces(each, size)
            else:
                yield _joined(one for pair in part for one in pair)
    else:
        yield _head(len(value), 0x90, 0xDC)
        rest = iter(value)
        while some := list(islice(rest, size)):
            if any(_large(each, size) for each in some):
                for each in some:
                    yield from pieces(each, size)
            else:
                yield _joined(some)


def _large(value: Any, size: int) -> bool:
    """Whether a list or dict has more than `size` entries, or anything in it has. Looks at no more than that many."""
    if not isinstance(value, list | dict):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return len(value) > size or any(_large(each, size) for each in inside)


def _joined(values: Iterable[Any]) -> bytes:
    return b"".join(map(_encoder.encode, values))


def _head(n: int, short: int, long: int) -> bytes:
    """How an array or a map of n entries begins: `short` up to 15, else `long` with 16 bits, or the next with 32."""
    if n < 16:
        return bytes([short | n])
    return struct.pack(">BH", long, n) if n < 1 << 16 else struct.pack(">BI", long + 1, n)
