"""`rec events`: history in, out, and once more through the loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from rec.cli.audit import recorded
from rec.cli.here import settings_here
from rec.cli.importing import Columns, Counts, Refused, check_files, import_files, import_options, told
from rec.cli.output import emit_json, json_option, quiet_drivers, say
from rec.cli.progress import ProgressLine
from rec.config import Settings
from rec.errors import BadInput, ConfigError
from rec.events import ACTIONS, Event, decode_event, encode_event
from rec.foreign import check_time_format, in_our_words
from rec.ingest import ALIASES
from rec.ports import Database, Log
from rec.privacy import erasure_secret, user_hash
from rec.replay import replay as replay_events
from rec.rows import EVENT_COLUMNS, IGNORED_COLUMNS, event_of, moment
from rec.store import open_log
from rec.store.sql import open_database
from rec.topics import BEHAVIOR, topics

if TYPE_CHECKING:
    from rec.export import DayFiles

Read = Callable[[Mapping[str, Any]], Event]
Append = Callable[[Sequence[tuple[Event, bytes]]], Awaitable[int]]
_DAY = click.DateTime(["%Y-%m-%d"])


class Moment(click.ParamType):
    """A time on the command line."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        try:
            return moment(value, param.opts[0] if param else "time")
        except BadInput as error:
            self.fail(error.message, param, ctx)


@click.group()
def events() -> None:
    """Import, replay and export behavior events.

    \b
    rec events import clicks.csv --event view_item --map event_ts=timestamp
    rec events export --out events/ --since 2026-11-01
    rec events replay --since 2026-11-23 --speed 60
    """


def check_span(since: datetime | None, until: datetime | None) -> None:
    """A span that ends where it begins, or before, is a slip: nothing can be in it."""
    if since is not None and until is not None and until <= since:
        raise click.UsageError(f"--until {until:%Y-%m-%dT%H:%M:%S} is not after --since {since:%Y-%m-%dT%H:%M:%S}.")


# ---------------------------------------------------------------- import
def _aliases(_context: click.Context, _option: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    names = {}
    for words in given:
        theirs, equals, ours = words.partition("=")
        if not (theirs and equals and ours in ACTIONS):
            raise click.BadParameter(f"{words!r}: write THEIRS=OURS, like buy=purchase. Ours: {', '.join(ACTIONS)}")
        names[theirs] = ours
    return names


@events.command("import")
@import_options
@click.option("--event", help="Name of the event where a row has none, for example view_item.")
@click.option(
    "--alias", "aliases", multiple=True, metavar="THEIRS=OURS", callback=_aliases,
    help="An event of that name is ours of this one, such as --alias buy=purchase; once for each.",
)  # fmt: skip
@click.option(
    "--time-format", metavar="FORMAT", help="How event_ts is written where it is not ISO 8601: %d/%m/%Y %H:%M."
)
@click.option(
    "--to", type=click.Choice(["archive", "log"]), default="archive", show_default=True,
    help="archive: SQL, from which `rec up` and `rec events replay` rebuild. log: Kafka, where workers fold it now.",
)  # fmt: skip
@click.option("--wait", is_flag=True, help="With --to log: end when the workers have folded all of it.")
@json_option
def import_(
    files: tuple[Path, ...],
    mapping: Columns,
    errors: Path | None,
    event: str | None,
    aliases: dict[str, str],
    time_format: str | None,
    to: str,
    wait: bool,
    as_json: bool,
) -> int:
    """Load historical events from CSV, TSV, JSONL (each also .gz) or Parquet.

    Columns: event, user_id or visitor_id, event_ts (required); item_id, index, price, quantity of one product a row,
    or a list of products in items; event_id, received_ts, session_id, search_term, value, currency, transaction_id,
    slate_id, slate_version, personalization_storage, analytics_storage, ad_storage, ad_personalization, context. Names
    of Segment, Google Retail and Algolia are understood. A row without event_id gets one that is made of its content,
    so importing again changes nothing. Rows that are no events are told by file and line, the others go in; then the
    exit code is 1.
    """
    if wait and to != "log":
        raise click.UsageError("--wait is for --to log: nobody folds what goes into the archive now.")
    if event is not None and event not in ACTIONS and event not in ALIASES:
        raise BadInput(f"--event {event}: there is no such event. There are {', '.join(ACTIONS)}.", field="event")
    if time_format is not None:
        try:
            check_time_format(time_format)
        except BadInput as error:
            raise click.UsageError(error.message) from None
    required = ("event_ts", "user_id|visitor_id")
    headers = check_files(files, mapping, EVENT_COLUMNS, required if event else ("event", *required))
    unused = {name for header in headers for name in header} - {*EVENT_COLUMNS, *mapping.values()} - IGNORED_COLUMNS
    if unused:
        say(
            f"Columns that events do not have are left out: {', '.join(sorted(unused))} "
            "(--map OURS=THEIRS says what one is, for example --map item_id=sku)"
        )
    now = datetime.now(UTC)

    def read(row: Mapping[str, Any]) -> Event:
        return event_of(in_our_words(row, aliases, time_format), now=now, event=event)

    counts, outcome = asyncio.run(_import(files, mapping, errors, read, to))
    known = f", {outcome.repeated:,} known already" if outcome.repeated else ""
    erased = f", {outcome.erased:,} of erased users left out" if outcome.erased else ""
    told(counts, f"{outcome.imported:,} events imported{known}{erased}")
    if wait and outcome.imported:
        say(f"folded by the workers {asyncio.run(_folded(outcome.imported)):.1f} s later")
    if as_json:
        emit_json({**counts._asdict(), **outcome._asdict()})
    return int(counts.bad > 0)


class Outcome(NamedTuple):
    """What became of the good rows. `erased`: they happened before their user was erased."""

    imported: int = 0
    repeated: int = 0
    erased: int = 0


async def _import(
    files: Sequence[Path], mapping: Columns, errors: Path | None, read: Read, to: str
) -> tuple[Counts, Outcome]:
    settings, _ = await asyncio.to_thread(settings_here)
    outcome = Outcome()
    async with open_database(settings) as database, AsyncExitStack() as stack:
        append = database.append if to == "archive" else await _appending_to_log(settings, stack)
        erased = await _erased(database, settings)

        async def store(batch: list[Event]) -> Sequence[Refused]:
            nonlocal outcome
            kept = [(event, encode_event(event)) for event in batch if event not in erased]
            new = await append(kept)
            changes = (new, len(kept) - new, len(batch) - len(kept))
            outcome = Outcome(*(a + b for a, b in zip(outcome, changes, strict=True)))
            detail.update(outcome._asdict())
            return ()

        names = {"files": [str(path) for path in files], **outcome._asdict()}
        async with recorded(database, "rec events import", to, names) as detail:
            counts = await import_files(files, mapping, read, store, errors, "importing events")
            detail.update(rows=counts.rows, bad=counts.bad)
    return counts, outcome


async def _appending_to_log(settings: Settings, stack: AsyncExitStack) -> Append:
    quiet_drivers()
    opening: AbstractAsyncContextManager[Log] = open_log(settings)
    log = await stack.enter_async_context(opening)
    await log.create(topics(settings))

    async def append(events: Sequence[tuple[Event, bytes]]) -> int:
        await log.publish_many(settings.topic(BEHAVIOR), [(event.subject, payload) for event, payload in events])
        return len(events)

    return append


async def _folded(count: int) -> float:
    from rec.cli.folded import until_folded

    settings, _ = await asyncio.to_thread(settings_here)
    return await until_folded(settings, count)


class _Erased:
    """Leaves out what happened before its user was erased: an import must not bring anybody back."""

    def __init__(self, moments: Mapping[str, datetime], secret: str) -> None:
        self._moments, self._secret = moments, secret

    def __contains__(self, event: Event) -> bool:
        if not self._moments or event.event_ts is None:
            return False
        hashes = (user_hash(self._secret, who) for who in (event.user_id, event.visitor_id) if who)
        return any((at := self._moments.get(digest)) is not None and event.event_ts <= at for digest in hashes)


async def _erased(database: Database, settings: Settings) -> _Erased:
    moments = await database.suppressed()
    return _Erased(moments, erasure_secret(settings) if moments else "")


# ---------------------------------------------------------------- replay
@events.command()
@click.option("--since", type=Moment(), help="Events from this time on (ISO 8601; without zone UTC).")
@click.option("--until", type=Moment(), help="Events before this time.")
@click.option(
    "--speed",
    type=click.FloatRange(0, min_open=True),
    help="1: as it happened, 60: a minute a second. [default: as fast as the log takes it]",
)
@json_option
def replay(since: datetime | None, until: datetime | None, speed: float | None, as_json: bool) -> None:
    """Publish archived events to the log again, to fill a new world (REC_APP_ID, REC_TOPIC_PREFIX) with history.

    Workers fold them like any other event, at their own times. In the world in which they were folded already, only
    the newest few hundred of each user are known to be repeated: the others would count twice.
    """
    check_span(since, until)
    began = time.monotonic()
    count = asyncio.run(_replay(since, until, speed))
    seconds = time.monotonic() - began
    say(f"{count:,} events replayed in {seconds:.1f} s ({count / max(seconds, 1e-9):,.0f}/s)")
    if as_json:
        emit_json({"replayed": count, "seconds": seconds})


async def _replay(since: datetime | None, until: datetime | None, speed: float | None) -> int:
    settings, _ = await asyncio.to_thread(settings_here)
    quiet_drivers()
    async with open_database(settings) as database, open_log(settings) as log:
        await log.create(topics(settings))
        total = await database.count_events() if since is None and until is None else None
        span = {"since": since and since.isoformat(), "until": until and until.isoformat(), "replayed": 0}
        async with recorded(database, "rec events replay", settings.topic(BEHAVIOR), span) as detail:
            with ProgressLine("replaying", "events") as line:

                def told(done: int) -> None:
                    detail["replayed"] = done
                    line.update(done, min(done / total, 1.0) if total else None)

                topic = settings.topic(BEHAVIOR)
                count = await replay_events(database, log, topic, since=since, until=until, speed=speed, told=told)
            detail["replayed"] = count
        return count


# ---------------------------------------------------------------- export
@events.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write into.")
@click.option("--since", type=_DAY, help="First day (UTC).")
@click.option("--until", type=_DAY, help="The day after the last (UTC).")
@json_option
def export(out: Path, since: datetime | None, until: datetime | None, as_json: bool) -> None:
    """Write archived events as Parquet, a folder a day: OUT/day=2026-11-23/part-00000.parquet.

    Days that OUT holds already are replaced as a whole; in the span that is exported, days without events (any more)
    are removed, so that exporting again also takes out whoever was erased since.
    """
    check_span(since, until)
    began = time.monotonic()
    days = asyncio.run(_export(out, since and since.date(), until and until.date()))
    seconds, rows = time.monotonic() - began, sum(days.values())
    say(f"{rows:,} events of {len(days)} days written to {out} in {seconds:.1f} s ({rows / max(seconds, 1e-9):,.0f}/s)")
    if as_json:
        emit_json(
            {"events": rows, "days": {str(day): count for day, count in sorted(days.items())}, "seconds": seconds}
        )


async def _export(out: Path, since: date | None, until: date | None) -> dict[date, int]:
    from rec.export import DayFiles  # pyarrow: half a second that no other command should wait for

    settings, _ = await asyncio.to_thread(settings_here)
    async with open_database(settings) as database:
        total = await database.count_events() if since is None and until is None else None
        files, done = DayFiles(out, since, until), 0
        try:
            with ProgressLine("exporting", "events") as line:
                async for page in database.read(since=_midnight(since), until=_midnight(until)):
                    await asyncio.to_thread(_add, files, page)
                    done += len(page)
                    line.update(done, min(done / total, 1.0) if total else None)
            await asyncio.to_thread(files.finish)
        except OSError as error:
            raise ConfigError(f"--out {out}: {error.strerror or error}.", field="out") from error
        finally:
            await asyncio.to_thread(files.discard)
    return dict(files.rows)


def _add(files: DayFiles, page: Sequence[tuple[int, bytes]]) -> None:
    files.add([decode_event(payload) for _, payload in page])


def _midnight(day: date | None) -> datetime | None:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None
