"""JSON with **half characters**: what JSON.stringify makes of an emoji that was cut in two. Pure.

`\\ud83d` without its other half is no Unicode, and a decoder refuses the whole text for it; but it is what browsers
send when a search term is cut at so many characters. The half becomes U+FFFD, as in every form that a browser posts.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")

# A pair, or a half, or any other escape: what is inside an escape is never the beginning of one.
_ESCAPES = re.compile(
    rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\."
)


def mended(raw: bytes) -> bytes:
    """The same text without halves.

    >>> mended(rb'["cut \\ud83d", "\\ud83d\\ude00", "\\\\ud83d"]')
    b'["cut \\\\ufffd", "\\\\ud83d\\\\ude00", "\\\\\\\\ud83d"]'
    """
    return _ESCAPES.sub(lambda found: rb"\ufffd" if _is_half(found[0]) else found[0], raw)


def _is_half(escape: bytes) -> bool:
    return len(escape) == 6 and escape[2:3] in b"dD" and escape[3:4] in b"89abcdefABCDEF"


def decoded(decode: Callable[[bytes | msgspec.Raw], T], raw: bytes | msgspec.Raw) -> T:
    """`decode(raw)`, and once more without halves if it is refused. Raises what `decode` raises."""
    try:
        return decode(raw)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        whole = mended(bytes(raw))
        if whole == raw:
            raise
        return decode(whole)
