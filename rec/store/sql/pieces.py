"""Long lists of parameters in pieces: both databases take at most some 32,000 in a statement."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def pieces(values: Sequence[T], size: int = 1_000) -> Iterator[Sequence[T]]:
    """
    >>> list(pieces([1, 2, 3], 2))
    [[1, 2], [3]]
    """
    return (values[at : at + size] for at in range(0, len(values), size))
