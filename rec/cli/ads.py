"""`rec ads`: what each campaign has spent today, of what, and whether p(click) is true."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.client import RecClient, Timing
from rec.protocol import MAX_N

OFF = "no placement has places for ads: see `sponsored` of REC_PLACEMENTS in docs/scenes.md"
NUMBERS = ("budget", "spent", "due", "pace", "impressions", "clicks", "CTR", "eCPM", "clicks / foreseen")


@click.command()
@click.option("--campaign", help="Only this one.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many, most spent first.")
@server_options
@json_option
def ads(campaign: str | None, n: int, url: str | None, api_key: str | None, timeout_s: float, as_json: bool) -> None:
    """What each campaign has spent today (UTC), of which budget, and what came of its impressions.

    due: what is to be spent by now; pace: the share of the auctions it takes part in; eCPM: what a thousand impressions
    cost; clicks / foreseen: 1.00 where p(click) is true. A click is known within seconds, an impression without one
    when the window of its list is over: until then CTR, eCPM and the last column are too high.

    \b
    rec ads
    rec ads --campaign spring --json | jq .campaigns[0].spent
    """
    server = find_server(url, api_key)
    found = asyncio.run(_ads(server, timeout_s, n, campaign))
    if as_json:
        emit_json(found)
    elif found["campaigns"]:
        emit(_table(found["campaigns"]))
        say(
            f"{found['day']} (UTC); of all ads, what is older counting less: {found['clicks']:.1f} clicks, "
            f"{found['foreseen']:.1f} foreseen"
        )
    elif found["selling"] and campaign is not None:
        say(f"there is no campaign {campaign!r} with an ad that may be shown; rec ads lists those that there are")
    elif found["selling"]:
        say("no campaign has an ad that may be shown; an ad is an item of kind ad (docs/scenes.md)")
    if not found["selling"]:
        say(OFF)


def _table(rows: list[dict[str, Any]]) -> Any:
    shown = table("campaign", "ads", *NUMBERS, right=("ads", *NUMBERS))
    for row in rows:
        shown.add_row(
            row["campaign"],
            str(row["ads"]),
            _or_none(row["budget"], ".2f"),
            f"{row['spent']:.2f}",
            _or_none(row["due"], ".2f"),
            _or_none(row["pace"], ".1%"),
            f"{row['impressions']:,.0f}",
            f"{row['clicks']:,.0f}",
            _or_none(row["ctr"], ".2%"),
            _or_none(row["ecpm"], ".2f"),
            _or_none(row["calibration"], ".2f"),
        )
    return shown


def _or_none(number: float | None, form: str) -> str:
    return "–" if number is None else format(number, form)


async def _ads(server: Server, timeout_s: float, n: int, campaign: str | None) -> dict[str, Any]:
    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        return await client.ads(n, campaign)
