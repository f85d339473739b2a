"""wire → **image vectors** → item tower. What a shop's own vision model says of a product's picture, as plain numbers.

Of the wire: a list of numbers, or base64 of little-endian float32. Stored as the latter: a third of the bytes. How many
numbers there are is the same for all products, and is a setting (`REC_IMAGE_DIM`); 0: images are not read. Pure.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rec.errors import BadInput

if TYPE_CHECKING:
    from rec.catalog import Item

MOST = 4_096  # numbers

_REMEDY = "Send a list of finite numbers, or base64 of little-endian float32; or leave it out"


def packed(said: str | Sequence[float]) -> str:
    """An image vector as it is stored; "" where there is none. ValueError, with the field and the remedy.

    >>> packed([1.0, 2.0]), packed("AACAPwAAAEA="), packed(""), packed([])
    ('AACAPwAAAEA=', 'AACAPwAAAEA=', '', '')
    """
    try:
        raw = b64decode(said, validate=True) if isinstance(said, str) else np.array(said, "<f4").tobytes()
    except (binascii.Error, ValueError, OverflowError) as error:
        raise ValueError(f"image_vector: {error}. {_REMEDY}") from None
    if len(raw) % 4 or len(raw) > 4 * MOST:
        raise ValueError(f"image_vector: {len(raw)} bytes are no vector of at most {MOST} float32. {_REMEDY}")
    if not np.isfinite(np.frombuffer(raw, "<f4")).all():
        raise ValueError(f"image_vector: not all of its numbers are finite float32. {_REMEDY}")
    return b64encode(raw).decode()


def length(item: Item) -> int:
    """How many numbers an item's image vector has.

    >>> from rec.catalog import Item
    >>> [length(Item(item_id="1", title="T", image_vector=[0.5] * n)) for n in (1, 2, 3, 512)]
    [1, 2, 3, 512]
    """
    text = str(item.image_vector)  # whole groups of four characters: `packed` made it
    return (len(text) // 4 * 3 - (len(text) - len(text.rstrip("=")))) // 4


def fitting(item: Item, dim: int) -> Item:
    """The item, if its image vector is one of this installation. Raises BadInput."""
    if item.image_vector and length(item) != dim:
        why = f"this installation reads vectors of {dim}" if dim else "this installation reads none"
        raise BadInput(
            f"image_vector: {length(item)} numbers, and {why}. Set REC_IMAGE_DIM={length(item)}, for all processes and "
            "all products, or leave the field out.",
            code="image_dim",
            field="image_vector",
        )
    return item


def unit(item: Item, dim: int) -> npt.NDArray[np.float32] | None:
    """[dim] of length 1; None where there is none, or one of another installation."""
    if not dim or not item.image_vector or length(item) != dim:
        return None
    vector = np.frombuffer(b64decode(str(item.image_vector)), "<f4").astype(np.float32)
    size = float(np.linalg.norm(vector.astype(np.float64)))
    return (vector / size).astype(np.float32) if size > 0 else None
