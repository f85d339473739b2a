"""mkdocs hook: links from a page to a file of the repository become the file's name, for the site has no such pages."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

_LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)]+)\)")


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """The page, with `[rec/state.py](../rec/state.py)` as code, and links inside docs/ as they are."""
    depth = len(PurePosixPath(page.file.src_uri).parents) - 1  # of docs/ below which the page lies

    def outside(link: re.Match[str]) -> str:
        words, target = link.groups()
        if target.count("../") <= depth:
            return link[0]
        return words if words.startswith("`") else f"`{words}`"

    return _LINK.sub(outside, markdown)
