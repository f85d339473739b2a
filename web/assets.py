"""files → **assets** → browsers. The files of a page or the SDK: read once, kept packed, told apart by their content.

Invariants: only what was loaded by name is ever served; who has a file already is answered 304 (RFC 9110 §13.1.2).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from aiohttp import hdrs, web

KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


class Asset(NamedTuple):
    """One file as it is sent."""

    body: bytes
    packed: bytes  # the same, as gzip
    tag: str  # ETag, of the content
    kind: str


def load(folder: Path, names: Iterable[str]) -> dict[str, Asset]:
    """These files of a folder, by name. Raises OSError for one that is missing, KeyError for a kind unknown here."""
    found = {}
    for name in names:
        body = (folder / name).read_bytes()
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        found[name] = Asset(body, gzip.compress(body, 9, mtime=0), tag, KINDS[Path(name).suffix])
    return found


def send(request: web.Request, asset: Asset, headers: Mapping[str, str], status: int = 200) -> web.Response:
    """The answer: the file, packed for who can unpack it, or 304 for who has it. An error's page is sent each time."""
    # Kept, but asked about each time: a new version is there at once.
    common = {hdrs.CACHE_CONTROL: "no-cache", **headers, hdrs.ETAG: asset.tag, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    if status == 200 and asset.tag in request.headers.get(hdrs.IF_NONE_MATCH, ""):
        return web.Response(status=304, headers=common)
    common[hdrs.CONTENT_TYPE] = f"{asset.kind}; charset=utf-8"
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        return web.Response(body=asset.packed, status=status, headers={**common, hdrs.CONTENT_ENCODING: "gzip"})
    return web.Response(body=asset.body, status=status, headers=common)
