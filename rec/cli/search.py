"""`rec search`: products for a query, ranked for one user."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, cast, get_args

import click
from msgspec import UNSET

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import console, emit, emit_json, json_option, say
from rec.cli.slate_table import plain, slate_view
from rec.client import RecClient, Slate, Timing
from rec.client.searches import SearchOptions
from rec.protocol import MAX_N, Sort
from rec.slates import SearchFacts


@click.command()
@click.argument("query")
@click.option("--user", required=True, help="For whom to rank.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many items.")
@click.option("--category", help="Only of this category, whatever its case.")
@click.option("--brand", help="Only of this brand, whatever its case.")
@click.option("--price-min", type=click.FloatRange(0), help="Only from this price on.")
@click.option("--price-max", type=click.FloatRange(0), help="Only up to this price.")
@click.option("--in-stock/--all", "in_stock", default=True, show_default=True, help="Only what can be bought now.")
@click.option("--sort", type=click.Choice(get_args(Sort)), default="relevance", show_default=True, help="Their order.")
@click.option("--page", help="search.next of the answer before, for the same search.")
@server_options
@json_option
def search(
    query: str,
    user: str,
    n: int,
    url: str | None,
    api_key: str | None,
    timeout_s: float,
    as_json: bool,
    **options: Any,
) -> None:
    """Search the catalog as a user.

    \b
    rec search "tent for two" --user u1
    rec search tent --user u1 --category camping --price-max 200 --sort price_asc
    """
    slate = asyncio.run(_search(find_server(url, api_key), timeout_s, query, user, n, cast(SearchOptions, options)))
    if as_json:
        emit_json(slate)
        return
    if slate.search is not UNSET:
        for line in told(slate.search):
            say(line)
    if slate.items:
        now = datetime.now(UTC)
        emit(slate_view(slate, None, now, now, console().width))


def told(facts: SearchFacts) -> list[str]:
    """What the list does not say of itself.

    >>> told(SearchFacts(query="tetn", total=3, understood="tent", corrected=True))
    ['no product has these words; searched for: tent', '3 found']
    >>> told(SearchFacts(query="tent under 50", total=3, understood="tent, at most 50"))
    ['searched for: tent, at most 50', '3 found']
    >>> told(SearchFacts(query="tent", total=3, fallback="filters_exclude_all", ignored=("price_min",)))
    ['nothing of what was found passes --price-min; this is without', '3 found']
    >>> told(SearchFacts(query="tent", total=0, fallback="out_of_stock", stock={"in_stock": 0, "out_of_stock": 2}))
    ['what was found is sold out (--all lists it); this is the list that the user would see anyway']
    """
    lines = []
    if facts.fallback == "nothing_matches":
        return ["nothing was found; this is the list that the user would see anyway"]
    if facts.fallback == "out_of_stock":
        instead = "what is near" if facts.total else "the list that the user would see anyway"
        lines.append(f"what was found is sold out (--all lists it); this is {instead}")
        if not facts.total:
            return lines
    if facts.fallback == "filters_exclude_all":
        names = ["the price in the query" if name == "q" else f"--{name.replace('_', '-')}" for name in facts.ignored]
        options = ", ".join(names) or "the filters"
        lines.append(f"nothing of what was found passes {options}; this is without")
    if facts.understood is not None:
        why = "no product has these words; " if facts.corrected else ""
        lines.append(f"{why}searched for: {plain(facts.understood)}")
    lines.append(f"{facts.total:,} found" + (f"; next page: --page {facts.next}" if facts.next else ""))
    return lines


async def _search(server: Server, timeout_s: float, query: str, user: str, n: int, options: SearchOptions) -> Slate:
    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        return await client.search(query, n, user_id=user, **options)
