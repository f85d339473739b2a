"""`rec track`: one behavior event from the terminal, acknowledged before the command ends."""

from __future__ import annotations

import asyncio

import click

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import emit_json, json_option, say
from rec.client import RecClient, Timing, TrackResult
from rec.client.events import Details
from rec.errors import BadInput
from rec.events import ACTIONS, Attribution


@click.command()
@click.argument("event")
@click.argument("items", nargs=-1, metavar="[ITEM]...")
@click.option("--user", help="Who did it.")
@click.option("--visitor", help="The anonymous visitor who did it; may accompany --user.")
@click.option("--query", "search_term", help="What was searched for (event search).")
@click.option("--value", type=float, help="What it was worth (event purchase).")
@click.option("--currency", help="Of the value, for example EUR.")
@click.option("--slate", help="The list (slate_id) that it was seen or done on.")
@click.option("--event-id", help="To repeat an event that may have been sent: it is counted once.")
@server_options
@json_option
def track(
    event: str,
    items: tuple[str, ...],
    user: str | None,
    visitor: str | None,
    search_term: str | None,
    value: float | None,
    currency: str | None,
    slate: str | None,
    event_id: str | None,
    url: str | None,
    api_key: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Send one behavior event and wait until it is in the log.

    \b
    rec track view_item sku_77 --user u1
    rec track purchase sku_77 sku_78 --user u1 --value 39.80 --currency EUR
    rec track view_item_list sku_77 sku_78 --user u1 --slate 019ac5b2-…   what was seen of a list
    rec track search --query "tent" --user u1

    Events: view_item_list, select_item, view_item, add_to_cart, remove_from_cart, add_to_wishlist, purchase, search,
    not_interested, dwell, share.
    """
    details: Details = {}
    if visitor is not None:
        details["visitor_id"] = visitor
    if search_term is not None:
        details["search_term"] = search_term
    if value is not None:
        details["value"] = value
    if currency is not None:
        details["currency"] = currency
    if not items and event in ACTIONS and ACTIONS[event].needs_items:
        raise BadInput(
            f"{event} needs at least one item: rec track {event} ITEM …", code="missing_items", field="items"
        )
    server = find_server(url, api_key)
    result = asyncio.run(_track(server, timeout_s, event, user, items, slate, event_id, details))
    for rejection in result.rejected:
        raise rejection.error()
    if as_json:
        emit_json(result)
    else:
        click.echo("duplicate" if result.duplicates else "accepted")
        if user:
            say(f"see the list: rec watch {user}")


async def _track(
    server: Server,
    timeout_s: float,
    event: str,
    user: str | None,
    items: tuple[str, ...],
    slate: str | None,
    event_id: str | None,
    details: Details,
) -> TrackResult:
    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        on = None if slate is None else Attribution(slate)
        return await client.track(event, user_id=user, items=items, slate=on, event_id=event_id, **details)
