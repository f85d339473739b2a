"""address → **direct** → answer. One HTTP question to a process of ours, past any proxy.

`http_proxy` of the environment is for the world outside. urllib obeys it for 127.0.0.1 as well, unless `no_proxy` says
otherwise, and a proxy on another machine cannot know our children. The SDK asks without a proxy, too.
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from typing import NamedTuple

from rec.errors import Unavailable

MAX_BODY_BYTES = 1 << 20
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class Answer(NamedTuple):
    """An HTTP answer, as far as anybody here reads it. `date` is the header's text; empty if there is none."""

    status: int
    date: str
    body: bytes


def get(url: str, within_s: float) -> Answer:
    """What GET says, whatever its status. Raises Unavailable where no answer comes."""
    try:
        with _open(url, timeout=within_s) as response:
            return Answer(response.status, response.headers.get("Date", ""), response.read(MAX_BODY_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, error.headers.get("Date", ""), error.read(MAX_BODY_BYTES))
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Unavailable(f"{url}: {error}") from error
