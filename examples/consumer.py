"""Follows one shopper's list from Python, and says what came, what went and why: the SDK as an async iterator.

    python examples/consumer.py http://127.0.0.1:8080 ana [--count 3]

Run it where `rec up` runs (the key is in .rec/secrets.json), or set REC_API_KEY. Needs `pip install shunxi` alone
(aiohttp and msgspec). A lost connection is mended inside: the loop just goes on with the newest list, and
never sees an older one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from contextlib import aclosing
from pathlib import Path

from rec.client import RecClient, Slate


def key(folder: Path = Path(".rec")) -> str:
    """REC_API_KEY, or the one that `rec up` made in this folder."""
    kept = folder / "secrets.json"
    if found := os.environ.get("REC_API_KEY"):
        return found
    if kept.is_file():
        return str(json.loads(kept.read_text())["api_key"])
    raise SystemExit(f"There is no API key: set REC_API_KEY, or run this beside `rec up` (there is no {kept} here).")


def changes(before: Slate | None, now: Slate) -> str:
    """One line for each product that is new on the list."""
    known = {place.item_id for place in before.items} if before else set()
    fresh = [place for place in now.items if place.item_id not in known]
    lines = [f"  + {place.item_id}  ({place.reason.kind if place.reason else place.source})" for place in fresh]
    return "\n".join([f"version {now.version}, made by {now.model_version}: {len(fresh)} new", *lines])


async def follow(url: str, api_key: str, user: str, count: int | None = None) -> None:
    before: Slate | None = None
    async with RecClient(url, api_key=api_key) as client, aclosing(client.subscribe(user, placement="home")) as lists:
        async for slate in lists:
            print(changes(before, slate), flush=True)
            before, count = slate, None if count is None else count - 1
            if count == 0:
                return


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Follow a list.")
    options.add_argument("url")
    options.add_argument("user")
    options.add_argument("--count", type=int, help="stop after so many lists")
    given = options.parse_args()
    asyncio.run(follow(given.url, key(), given.user, given.count))
