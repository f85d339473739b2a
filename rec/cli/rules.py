"""`rec rules`: what the shop decides about lists; `rec review`: what waits for somebody to look at it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import click
import msgspec
import numpy as np

from rec.catalog import Catalog, Ints, View
from rec.cli.audit import actor, why_option
from rec.cli.here import settings_here
from rec.cli.hints import tell_workers
from rec.cli.output import emit, emit_json, json_option, say, table
from rec.config import Settings
from rec.policy.columns import Columns
from rec.policy.desk import Desk, StoredRule
from rec.policy.expression import Condition, parse
from rec.policy.rules import Rule, rule_of
from rec.ports import Database, Hint
from rec.store.sql import open_database

T = TypeVar("T")
EXAMPLES = 10  # items that `check` names


@click.group()
def rules() -> None:
    """Boost, bury, pin and exclude items: by a condition over their fields, effective within 2 s.

    \b
    rec rules check 'category = "camping" and price < 50'
    rec rules put summer boost 'category = "camping"' --why "summer sale" --until 2027-08-31T00:00:00Z
    rec rules put hero pin 'item_id = "sku_77"' --place 0 --placement home --why "front page"
    rec rules remove summer --why "it is autumn"

    Conditions: FIELD = VALUE (or != < <= > >=), FIELD in ("A", "B"), FIELD contains "…", FIELD is missing, joined by
    and, or, not and parentheses. docs/policy.md has all of it.
    """


@rules.command("list")
@json_option
def list_(as_json: bool) -> None:
    """All rules, those that hold first, and what waits for a review."""
    _show(_with_database(lambda database, _: database.rules()), as_json)


@rules.command()
@click.argument("rule_id")
@click.argument("effect", type=click.Choice(["boost", "bury", "pin", "exclude"]))
@click.argument("condition")
@click.option(
    "--placement", "placements", multiple=True, help="Where it holds; may be repeated.  [default: everywhere]"
)
@click.option("--factor", type=float, help="Of boost and bury: by how much the odds change.  [default: 4]")
@click.option("--place", type=int, help="Of a pin, 0-based.  [default: 0]")
@click.option("--priority", type=int, default=0, show_default=True, help="The larger one comes first.")
@click.option("--from", "starts_at", help="An instant like 2026-12-01T00:00:00Z from which on it holds.")
@click.option("--until", "ends_at", help="An instant before which it holds.")
@click.option("--off", is_flag=True, help="Store it, but let it not hold.")
@click.option("--note", default="", help="What it is for.")
@why_option
@json_option
def put(why: str, as_json: bool, off: bool, **fields: Any) -> None:
    """Add a rule, or replace the one of this id."""
    given = {name: value for name, value in fields.items() if value not in (None, (), "")}
    rule = rule_of({**given, "enabled": not off})
    after = _changed("rules", lambda desk: desk.put(rule, why))
    if after.proposal is not None:
        say(f"{rule.rule_id} waits for a review: rec review approve rule {rule.rule_id} --why …")
    if rule.effect == "pin" and not len((found := _meant(parse(rule.condition))).rows):
        say(f"{rule.rule_id} pins nothing as yet: none of the {found.of:,} items of the catalog is what it means")
    _tell_one(after, as_json)


@rules.command()
@click.argument("rule_id")
@why_option
@json_option
def remove(rule_id: str, why: str, as_json: bool) -> None:
    """Take a rule away."""
    after = _changed("rules", lambda desk: desk.remove(rule_id, why))
    if after is not None:
        say(f"the removal of {rule_id} waits for a review: rec review approve rule {rule_id} --why …")
    if as_json:
        emit_json({"rule_id": rule_id, "removed": after is None})


@rules.command()
@click.argument("condition")
@json_option
def check(condition: str, as_json: bool) -> None:
    """Which items a condition means, without changing anything. A wrong one is told by position, with exit code 2."""
    meant = _meant(parse(condition))
    view, found = meant.view, meant.rows
    listed = int(view.listed[found].sum())
    first = [{"item_id": view.ids[row], "title": view.items[row].title} for row in found[:EXAMPLES].tolist()]
    if as_json:
        emit_json({"items": len(found), "listed": listed, "of": meant.of, "first": first})
        return
    for each in first:
        click.echo(f"{each['item_id']}  {each['title']}")
    say(f"{len(found):,} of {meant.of:,} items, {listed:,} of them may be shown")


class _Meant(NamedTuple):
    """The rows of a catalog that a condition means, and how many items there are."""

    view: View
    rows: Ints
    of: int


def _meant(condition: Condition) -> _Meant:
    catalog = asyncio.run(_catalog())
    view, columns = catalog.view(), Columns()
    columns.follow(view)
    return _Meant(view, np.flatnonzero(columns.mask(condition) & view.known).astype(np.int32), len(catalog))


async def _catalog() -> Catalog:
    settings, _ = await asyncio.to_thread(settings_here)
    catalog, revision = Catalog(), -1
    async with open_database(settings) as database:
        while (page := await database.changes(max(revision, 0))).revision != revision:
            catalog.upsert(page.items)
            revision = page.revision
    return catalog


# ---------------------------------------------------------------- reviews
@click.group()
def review() -> None:
    """What waits for a person: flagged items, and changes of rules where REC_RULES_NEED_REVIEW is set.

    \b
    rec review list
    rec review approve rule summer --why "looks right"
    rec review reject item sku_77 --why "not ours to sell"
    """


@review.command("list")
@json_option
def list_reviews(as_json: bool) -> None:
    """Everything that waits."""

    async def both(database: Database, _: Settings) -> tuple[list[StoredRule], list[Any]]:
        return [each for each in await database.rules() if each.proposal is not None], await database.flagged_items()

    waiting, items = _with_database(both)
    if as_json:
        emit_json({"rules": [_as_json(each) for each in waiting], "items": items})
        return
    shown = table("kind", "id", "what", "by", "why")
    for each in waiting:
        assert each.proposal is not None
        what = "remove it" if each.proposal.rule is None else _words(each.proposal.rule)
        shown.add_row("rule", each.rule_id, what, each.proposal.by, each.proposal.why)
    for item in items:
        shown.add_row("item", item.item_id, item.title, "", "flagged in the catalog")
    if waiting or items:
        emit(shown)
    else:
        say("nothing waits")


def _decision(name: str, approved: bool, about: str) -> None:
    @review.command(name, help=about)
    @click.argument("kind", type=click.Choice(["rule", "item"]))
    @click.argument("id_", metavar="ID")
    @why_option
    @json_option
    def decide(kind: str, id_: str, why: str, as_json: bool) -> None:
        async def done(desk: Desk) -> bool:
            if kind == "rule":
                return await desk.decide_rule(id_, approved, why) is not None
            return await desk.decide_item(id_, approved, why) is not None

        remains = _changed("rules" if kind == "rule" else "catalog", done)
        if as_json:
            emit_json({"kind": kind, "id": id_, "decision": name, "remains": remains})


_decision("approve", True, "Let a change of a rule hold, or a flagged item be shown.")
_decision("reject", False, "Drop a change of a rule, or take a flagged item out of the catalog.")


# ---------------------------------------------------------------- what they share
def _with_database(ask: Callable[[Database, Settings], Awaitable[T]]) -> T:
    async def asked() -> T:
        settings, _ = await asyncio.to_thread(settings_here)
        async with open_database(settings) as database:
            return await ask(database, settings)

    return asyncio.run(asked())


def _changed(kind: str, change: Callable[[Desk], Awaitable[T]]) -> T:
    """Do it, and tell the workers."""

    async def done(database: Database, settings: Settings) -> T:
        made = await change(Desk(database, actor(), review=settings.rules_need_review))
        await tell_workers(settings, Hint(kind, ""))
        return made

    return _with_database(done)


def _tell_one(stored: StoredRule, as_json: bool) -> None:
    if as_json:
        emit_json(_as_json(stored))


def _as_json(stored: StoredRule) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(stored._asdict())
    return built


def _show(stored: list[StoredRule], as_json: bool) -> None:
    if as_json:
        for each in stored:
            emit_json(_as_json(each))
        return
    if not stored:
        say("there is no rule yet")
        return
    shown = table("id", "holds", "rule", "where", "priority", "note")
    now = datetime.now(UTC)
    for each in sorted(stored, key=lambda each: (_state(each, now) != "now", each.rule_id)):
        rule = each.rule or (each.proposal.rule if each.proposal else None)
        if rule is not None:
            where = ", ".join(rule.placements) or "everywhere"
            shown.add_row(each.rule_id, _state(each, now), _words(rule), where, str(rule.priority), rule.note)
    emit(shown)


def _state(stored: StoredRule, now: datetime) -> str:
    rule = stored.rule
    if rule is None:
        return "waits for a review"
    more = ", a change waits" if stored.proposal is not None else ""
    if not rule.enabled:
        return f"off{more}"
    if rule.starts_at is not None and now < rule.starts_at:
        return f"from {rule.starts_at:%Y-%m-%d %H:%M} UTC{more}"
    return f"{'over' if rule.ends_at is not None and rule.ends_at <= now else 'now'}{more}"


def _words(rule: Rule) -> str:
    """A rule in one line.

    >>> _words(Rule(rule_id="r", effect="pin", condition='item_id = "a"', place=2))
    'pin at 2: item_id = "a"'
    """
    how = f" at {rule.place or 0}" if rule.effect == "pin" else f" by {rule.factor:g}" if rule.factor else ""
    return f"{rule.effect}{how}: {rule.condition}"
