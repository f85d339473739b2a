"""`rec audit`: who changed the catalog, erased, imported, replayed, and when; and how a command is recorded."""

from __future__ import annotations

import asyncio
import getpass
import os
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import click
import msgspec

from rec import audit as trails
from rec.cli.here import settings_here
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.ports import Audit
from rec.store.sql import open_database

SHOWN = 100  # characters of an entry's detail

why_option = click.option("--why", required=True, help="The reason; it is kept in the audit trail.")


@click.command()
@click.option("--last", type=click.IntRange(1, 100_000), default=20, show_default=True, help="How many, newest last.")
@json_option
def audit(last: int, as_json: bool) -> None:
    """Who did what, and when: changes of items, erasures of users, imports and replays.

    \b
    rec audit --last 5
    rec audit --json | jq -r .action

    An erased user is named by a keyed hash, never by the id.
    """
    entries = asyncio.run(_newest(last))
    if as_json:
        for entry in entries:
            emit_json(entry)
    elif entries:
        shown = table("when (UTC)", "who", "what", "of", "detail")
        for entry in entries:
            detail = msgspec.json.encode(entry["detail"]).decode()
            words = [entry["actor"], entry["action"], entry["target"], detail]
            shown.add_row(f"{entry['at']:%Y-%m-%d %H:%M:%S}", *(_plain(word) for word in words))
        emit(shown)
    else:
        say("nothing was recorded yet")


async def _newest(last: int) -> list[dict[str, Any]]:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        return (await database.recent(last))[::-1]


def _plain(text: str) -> str:
    """What a terminal may be shown: ids are data of others."""
    clean = "".join(char if char.isprintable() else " " for char in text)
    return clean if len(clean) <= SHOWN else clean[: SHOWN - 1] + "…"


def actor() -> str:
    """The operating system's name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without an entry in /etc/passwd
        return f"uid {os.getuid()}"


def recorded(
    trail: Audit, command: str, target: str, begun: Mapping[str, Any]
) -> AbstractAsyncContextManager[dict[str, Any]]:
    """Record what the block does, as done by whoever runs the command."""
    return trails.recorded(trail, actor(), command, target, begun)
