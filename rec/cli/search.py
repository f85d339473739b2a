"""`rec search`: products for a query, ranked for one user."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import click

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import console, emit, emit_json, json_option, say
from rec.cli.slate_table import slate_view
from rec.client import RecClient, Slate, Timing
from rec.protocol import MAX_N


@click.command()
@click.argument("query")
@click.option("--user", required=True, help="For whom to rank.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many items.")
@server_options
@json_option
def search(
    query: str, user: str, n: int, url: str | None, api_key: str | None, timeout_s: float, as_json: bool
) -> None:
    """Search the catalog as a user.

    \b
    rec search "tent for two" --user u1
    """
    slate = asyncio.run(_search(find_server(url, api_key), timeout_s, query, user, n))
    if as_json:
        emit_json(slate)
    elif slate.items:
        now = datetime.now(UTC)
        emit(slate_view(slate, None, now, now, console().width))
    else:
        say("nothing was found")


async def _search(server: Server, timeout_s: float, query: str, user: str, n: int) -> Slate:
    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        return await client.search(user, query, n)
