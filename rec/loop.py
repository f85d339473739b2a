"""The event loop of the processes that serve: uvloop, libuv's, whose sockets cost less than asyncio's own.

Measured in docs/decisions.md. Tests and commands of a moment run on asyncio's.
"""

from __future__ import annotations

import uvloop


def use() -> None:
    """Every event loop that is made from here on is uvloop's, those of threads too."""
    uvloop.install()
