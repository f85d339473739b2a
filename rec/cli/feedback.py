"""`rec feedback`: CTR and CVR of what was seen on lists, with their intervals."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast, get_args

import click

from rec.cli.given import refuse_before_subcommand
from rec.cli.here import Server, find_server, server_options
from rec.cli.output import ago, emit, emit_json, json_option, say, table
from rec.client import RecClient, Timing
from rec.protocol import MAX_N, RateKind

OFF = (
    "lists are not joined with what became of them: REC_FEEDBACK is off. Set REC_FEEDBACK=true where the workers run "
    "(rec up, rec worker) and start them again; docs/feedback.md says what that costs"
)
NUMBERS = ("seen", "clicks", "CTR", "95 %", "purchases", "CVR", "of 95 %")


@click.group(invoke_without_command=True)
@click.option("--by", type=click.Choice(get_args(RateKind)), default="all", show_default=True, help="Kept by what.")
@click.option("--key", help="Only this item, category, placement or strategy.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many, most seen first.")
@server_options
@json_option
@click.pass_context
def feedback(
    context: click.Context,
    by: str,
    key: str | None,
    n: int,
    url: str | None,
    api_key: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """How often what was seen on lists is clicked (CTR), and what was clicked is bought (CVR).

    Counts decay; rates are smoothed towards those of the others, if these are ten or more, with their 95 % intervals.

    \b
    rec feedback --by placement
    rec feedback --by item --n 5 --json | jq .rows
    rec feedback export lists.jsonl
    """
    if context.invoked_subcommand is not None:
        refuse_before_subcommand(context)
        return
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


@feedback.command()
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def export(out: Path, as_json: bool) -> None:
    """Write every list that was looked at, and what became of it, as JSON lines; read from the log, not from a server.

    A line has subject, at (when it was first seen, seconds since 1970), reward, placement, strategy, slate_id,
    model_version, served_at, and its places in order: item_id, seen, reward, propensity (of being on the list), score,
    source, category, actions. The file names people: whoever is erased afterwards is still in it.

    \b
    rec feedback export lists.jsonl
    rec experiments result bold-1 lists.jsonl
    """
    try:
        from rec.cli import feedback_export
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}. Install it with: pip install 'shunxi[server]'") from error
    began = time.monotonic()
    count = feedback_export.export(out)
    say(f"{count:,} lists written to {out} in {time.monotonic() - began:.1f} s")
    if not count:
        say("lists are joined when REC_FEEDBACK is on, and written when their window is over (docs/feedback.md)")
    if as_json:
        emit_json({"lists": count})


def _shares(context: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for one in given:
        group, found, share = one.rpartition("=")
        try:
            shares[group] = float(share)
        except ValueError:
            found = ""
        if not found or not group:
            raise click.BadParameter(f"{one!r}: say GROUP=SHARE, like Acme=0.3.")
    return shares


@feedback.command()
@click.option("--by", type=click.Choice(["brand", "seller"]), default="brand", show_default=True, help="Of whom.")
@click.option("--target", type=click.Choice(["merit", "equal"]), default="merit", show_default=True,
              help="What each is to have: in proportion to the scores, or the same.")  # fmt: skip
@click.option("--share", "shares", multiple=True, metavar="GROUP=SHARE", callback=_shares,
              help="What one is to have; the rest is the others'. Once for each.")  # fmt: skip
@click.option("--n", type=click.IntRange(1), default=20, show_default=True, help="How many, who lacks most first.")
@json_option
def exposure(by: str, target: str, shares: dict[str, float], n: int, as_json: bool) -> None:
    """Who is seen on lists how much, beside what they are to have; read from the log, not from a server.

    Exposure of a place that was seen: 1 / log2(2 + place). Merit: the share of the candidates' scores.

    \b
    rec feedback exposure
    rec feedback exposure --by seller --target equal --json | jq .unfairness
    rec feedback exposure --share "Acme=0.3"
    """
    try:
        from rec.cli import feedback_export
        from rec.policy.exposure import shares_of, unfairness
    except ModuleNotFoundError as error:
        raise click.ClickException(f"{error}. Install it with: pip install 'shunxi[server]'") from error
    shares_of(shares)
    standings = feedback_export.exposures(cast(Any, by))
    rows = standings.beside(cast(Any, target), shares)
    if as_json:
        told = [{**row._asdict(), "gap": row.gap} for row in rows]
        emit_json({"by": by, "exposure": standings.total, "unfairness": unfairness(rows), "groups": told})
        return
    if not standings.shares:
        say(f"no item that was seen on a list has a {by}; lists are joined when REC_FEEDBACK is on (docs/feedback.md)")
        return
    headings = ("share", "merit", "target", "gap")
    shown = table(by, *headings, right=headings)
    for row in rows[:n]:
        shown.add_row(row.group, *(f"{each:.2%}" for each in row[1:]), f"{row.gap:+.2%}")
    emit(shown)
    say(f"{unfairness(rows):.1%} of the exposure is not where it should be, of {len(rows):,} groups")


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
