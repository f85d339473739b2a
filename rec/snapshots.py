"""bytes → **snapshot** → what was learned. How the last word of what learns from a topic is opened again. Pure."""

from __future__ import annotations

from typing import Protocol, TypeVar

import msgspec

from rec.errors import ModelError


class Kept(Protocol):
    """What every snapshot says of itself."""

    format: int


K = TypeVar("K", bound=Kept)


def opened(raw: bytes, decoder: msgspec.msgpack.Decoder[K], what: str, form: int) -> K:
    """The snapshot. Raises ModelError for bytes that are none, or of another format; the log teaches it anew."""
    try:
        kept = decoder.decode(raw)
    except msgspec.DecodeError as error:
        raise ModelError(f"this is no snapshot of {what} ({error}); delete it, the log teaches it anew") from None
    if kept.format != form:
        raise ModelError(f"a snapshot of {what} in format {kept.format}, this version reads {form}; delete it")
    return kept
