"""`rec catalog`: import and look at products, in the database itself or through a running server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from rec.catalog import Item
from rec.cli.audit import recorded
from rec.cli.given import refuse
from rec.cli.here import find_server, settings_here
from rec.cli.hints import tell_workers
from rec.cli.importing import Columns, Counts, Refused, check_files, import_files, import_options, told
from rec.cli.output import emit_json, json_option, say
from rec.client import RecClient
from rec.errors import NotFound
from rec.images import fitting
from rec.ports import Hint
from rec.rows import ITEM_COLUMNS, item_of
from rec.store.sql import open_database


@click.group()
def catalog() -> None:
    """Import and look at products.

    \b
    rec catalog import products.csv
    rec catalog import feed.jsonl.gz --map item_id=sku --map title=name
    rec catalog show sku_77
    """


@catalog.command("import")
@import_options
@click.option("--no-attributes", is_flag=True, help="Leave out the columns that are no fields of an item.")
@click.option("--url", help="Import through this server instead of into the database.")
@click.option("--api-key", envvar="REC_API_KEY", show_envvar=True, help="The server's API key, with --url.")
@json_option
@click.pass_context
def import_(
    context: click.Context,
    files: tuple[Path, ...],
    mapping: Columns,
    errors: Path | None,
    no_attributes: bool,
    url: str | None,
    api_key: str | None,
    as_json: bool,
) -> int:
    """Insert or replace items from CSV, TSV, JSONL (each also .gz) or Parquet.

    Columns are the fields of an item (item_id and title are required); any other becomes an attribute. Rows that are
    no items are told by file and line, the others go in; then the exit code is 1. Importing again changes nothing. Of
    several rows with the same item_id the last one holds.
    """
    if not url:
        refuse(context, "an import into the database itself (an import through a server needs --url)", ["api_key"])
    headers = check_files(files, mapping, ITEM_COLUMNS, ("item_id", "title"))
    others = {name for header in headers for name in header} - {*ITEM_COLUMNS, *mapping.values()}
    if others and not no_attributes:
        say(f"Kept as attributes: {', '.join(sorted(others))} (--no-attributes leaves them out)")
    read = _Reader(no_attributes)
    counts, more = asyncio.run(
        _through_server(files, mapping, errors, read, url, api_key)
        if url
        else _into_database(files, mapping, errors, read)
    )
    distinct = len(read.taken)
    again = distinct < counts.good
    told(counts, f"{counts.good:,} rows imported as {distinct:,} items" if again else f"{counts.good:,} items imported")
    if as_json:
        emit_json({**counts._asdict(), "imported": distinct, **more})
    return int(counts.bad > 0)


class _Reader:
    """A row as an item; remembers which items were taken: one that is in several rows is one."""

    def __init__(self, no_attributes: bool) -> None:
        self._known_alone = no_attributes
        self.taken: set[str] = set()

    def __call__(self, row: Mapping[str, Any]) -> Item:
        if self._known_alone:
            row = {name: value for name, value in row.items() if name in ITEM_COLUMNS}
        return item_of(row)


async def _into_database(
    files: Sequence[Path], mapping: Columns, errors: Path | None, read: _Reader
) -> tuple[Counts, Mapping[str, Any]]:
    settings, _ = await asyncio.to_thread(settings_here)
    revision = 0
    async with open_database(settings) as database:

        async def store(items: list[Item]) -> Sequence[Refused]:
            nonlocal revision
            revision = await database.put_items(items)
            read.taken.update(item.item_id for item in items)
            detail["imported"] = len(read.taken)
            return ()

        names = {"files": [str(path) for path in files], "imported": 0}
        async with recorded(database, "rec catalog import", "catalog", names) as detail:
            counts = await import_files(
                files, mapping, lambda row: fitting(read(row), settings.image_dim), store, errors, "importing items"
            )
            detail.update(rows=counts.rows, imported=len(read.taken), bad=counts.bad, revision=revision)
    workers_told = await tell_workers(settings, Hint("catalog", "")) if counts.good else False
    return counts, {"revision": revision, "workers_told": workers_told}


async def _through_server(
    files: Sequence[Path], mapping: Columns, errors: Path | None, read: _Reader, url: str, api_key: str | None
) -> tuple[Counts, Mapping[str, Any]]:
    server = await asyncio.to_thread(find_server, url, api_key)
    revision: int | None = None
    async with RecClient(server.url, api_key=server.api_key) as client:

        async def store(items: list[Item]) -> Sequence[Refused]:
            nonlocal revision
            result = await client.put_items(items)
            revision = result.revision if result.revision is not None else revision
            refused = {one.index for one in result.rejected}
            read.taken.update(item.item_id for at, item in enumerate(items) if at not in refused)
            return [Refused(one.index, None, one.message) for one in result.rejected]

        counts = await import_files(files, mapping, read, store, errors, "importing items")
    return counts, {"revision": revision, "workers_told": counts.good > 0}


@catalog.command()
@click.argument("item_id")
@json_option
def show(item_id: str, as_json: bool) -> None:
    """Show one item as it is stored."""
    item = asyncio.run(_get(item_id))
    if as_json:
        emit_json(item)
    else:
        click.echo(msgspec.json.format(msgspec.json.encode(item), indent=2))


async def _get(item_id: str) -> Item:
    settings, place = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        item = await database.get_item(item_id)
    if item is None:
        raise NotFound(f"There is no item {item_id!r} in the database of {place}.", field="item_id")
    return item


@catalog.command()
@json_option
def count(as_json: bool) -> None:
    """Count the items."""
    items = asyncio.run(_count())
    if as_json:
        emit_json({"items": items})
    else:
        click.echo(items)


async def _count() -> int:
    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        return await database.count_items()
