"""`rec feedback`: CTR and CVR of what was seen on lists, with their intervals."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast, get_args

import click

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import ago, emit, emit_json, json_option, say, table
from rec.client import RecClient, Timing
from rec.protocol import MAX_N, RateKind

OFF = (
    "lists are not joined with what became of them: REC_FEEDBACK is off. Set REC_FEEDBACK=true where the workers run "
    "(rec up, rec worker) and start them again; docs/feedback.md says what that costs"
)
NUMBERS = ("seen", "clicks", "CTR", "95 %", "purchases", "CVR", "of 95 %")


@click.command()
@click.option("--by", type=click.Choice(get_args(RateKind)), default="all", show_default=True, help="Kept by what.")
@click.option("--key", help="Only this item, category, placement or strategy.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many, most seen first.")
@server_options
@json_option
def feedback(
    by: str, key: str | None, n: int, url: str | None, api_key: str | None, timeout_s: float, as_json: bool
) -> None:
    """How often what was seen on lists is clicked (CTR), and what was clicked is bought (CVR).

    Counts decay; rates are smoothed towards those of the others, if these are ten or more, with their 95 % intervals.

    \b
    rec feedback --by placement
    rec feedback --by item --n 5 --json | jq .rows
    """
    server = find_server(url, api_key)
    found = asyncio.run(_rates(server, timeout_s, cast(RateKind, by), n, key))
    if as_json:
        emit_json(found)
    elif not found["rows"] and found.get("joining", True):
        say("nothing that was seen on a list has been joined yet; lists are joined when their window is over")
    elif found["rows"]:
        emit(_table(found))
        if found["through"]:
            age = datetime.now(UTC).timestamp() - found["through"]
            say(f"{found['lists']} lists; the newest was first seen {ago(age)}")

    if not found.get("joining", True):
        say(OFF)


def _table(found: dict[str, Any]) -> Any:
    shown = table(found["by"], *NUMBERS, right=NUMBERS)
    for row in found["rows"]:
        ctr, cvr = row["ctr"], row["cvr"]
        counts = [f"{row[name]:.1f}" for name in ("seen", "clicks", "purchases")]
        shown.add_row(row["key"], counts[0], counts[1], *_rate(ctr), counts[2], *_rate(cvr))
    return shown


def _rate(rate: dict[str, float]) -> tuple[str, str]:
    return f"{rate['value']:.2%}", f"{rate['low']:.2%} – {rate['high']:.2%}"


async def _rates(server: Server, timeout_s: float, by: RateKind, n: int, key: str | None) -> dict[str, Any]:
    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        return await client.feedback(by, n, key)
