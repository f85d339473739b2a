"""Probes of `rec doctor` that ask the neighbours: broker, Redis, database, worker, and the whole way of an event."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from email.utils import parsedate_to_datetime
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from rec.cli.findings import Finding, Probe, Status, fail, ok, warn
from rec.direct import get
from rec.errors import ConfigError, DeadlineExceeded, RecError, Unauthorized, Unavailable

if TYPE_CHECKING:
    from rec.cli.here import Server
    from rec.client import RecClient, Slate
    from rec.config import Settings
    from rec.store.kafka.survey import Survey
    from rec.topics import Topic

PROBE_USER = "rec-doctor"  # the one user that the round trip makes known, however often it is run
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 60.0
LAG_WARN = 10_000
SLOW_MS = 500.0
ARCHIVE_WAIT_S = 2.0  # the archiver takes what has come every REC_ARCHIVE_FLUSH_S, a quarter of a second
ROUND_TRIPS = 3  # the first one finds everything cold
EARLIER = 0.9  # of a probe's time: its own reason says more than "no answer"


def load_drivers() -> None:
    """Import what the probes use, before any of them measures a time."""
    import rec.client
    import rec.store.kafka.survey
    import rec.store.redis
    import rec.store.sql  # noqa: F401


def service_probes(settings: Settings, timeout_s: float) -> list[Probe]:
    """Probes of what the processes of this world need."""
    within = timeout_s * EARLIER

    async def broker() -> Finding:
        from rec.store.kafka.survey import ping_broker

        if settings.broker_url.startswith("memory://"):
            return warn("memory://: events stay inside one process", "export REC_BROKER_URL=kafka://127.0.0.1:9092")
        return _timed(f"{settings.broker_url} answers", await ping_broker(settings, within))

    async def topics() -> Finding:
        from rec.store.kafka.survey import survey
        from rec.topics import topics as wanted

        expected = wanted(settings)
        found = await survey(settings, [topic.name for topic in expected], within)
        return check_topics(expected, found, settings.broker_url)

    async def groups() -> Finding:
        from rec.store.kafka.survey import survey
        from rec.topics import DEAD_LETTERS
        from rec.topics import topics as wanted

        found = await survey(settings, [topic.name for topic in wanted(settings)], within)
        return check_flow(found, settings.topic(DEAD_LETTERS))

    async def redis() -> Finding:
        from rec.store import open_exchange

        async with open_exchange(settings) as exchange:
            await exchange.ping()  # the first opens the connection
            return _timed(f"{_bare(settings.redis_url)} answers", await exchange.ping())

    async def database() -> Finding:
        from rec.store.sql import open_database
        from rec.store.sql.schema import SCHEMA_HEAD, later

        try:
            async with open_database(settings) as database:
                await database.ping_database()
                took, revision = await database.ping_database(), await database.schema_revision()
                if revision is not None and revision != SCHEMA_HEAD:
                    return warn(later(revision).message, "pip install --upgrade shunxi")
                return _timed(f"{_bare(settings.database_url)}, revision {revision} (head), answers", took)
        except ConfigError as error:
            mends = "rec migrate" in error.message
            return fail(error.message, "rec migrate" if mends else "export REC_DATABASE_URL=…   # another database")

    start_broker = "rec up   # or: docker compose up -d kafka"
    return [
        Probe("broker", broker, start_broker),
        Probe("topics", topics, start_broker),
        Probe("groups", groups, start_broker),
        Probe("redis", redis, "rec up   # or: docker compose up -d redis"),
        Probe("database", database, "rec up   # or: docker compose up -d postgres && rec migrate"),
    ]


def server_probes(server: Server, timeout_s: float) -> list[Probe]:
    """Probes of a running server, as a client sees it; the last one is the round trip."""
    within = timeout_s * EARLIER
    start_web = "rec up   # or: rec web"

    async def ready() -> Finding:
        answer = await asyncio.to_thread(_get, f"{server.url}/health/ready", within)
        return check_ready(answer, server.url)

    async def clock() -> Finding:
        before = time.time()
        answer = await asyncio.to_thread(_get, f"{server.url}/health/live", within)
        return check_clock(answer.date, (before + time.time()) / 2)

    async def round_trip() -> Finding:
        try:
            took = await measure_round_trip(server, within)
        except Unauthorized as error:
            return fail(f"{error.message}", "export REC_API_KEY=…   # the server's")
        except Unavailable as error:
            return fail(error.message, start_web)
        except DeadlineExceeded as error:
            return fail(error.message, "rec topics   # is a group behind? then look at the log of: rec worker")
        found = f"event to push in {took * 1000:.1f} ms, median of {ROUND_TRIPS}"
        return ok(found) if took * 1000 < SLOW_MS else warn(f"{found}, slow", "rec topics   # is a group behind?")

    return [
        Probe("server", ready, start_web),
        Probe("clock", clock, start_web),
        Probe("round trip", round_trip, start_web),
    ]


def archive_probe(settings: Settings, timeout_s: float) -> Probe:
    """Whether what is accepted gets into SQL. Run it last: the round trip's own events must be archived, too."""
    wait_s = min(ARCHIVE_WAIT_S, timeout_s * EARLIER / 3)
    group, topic = f"{settings.app_id}-archiver", settings.topic("behavior")

    async def archive() -> Finding:
        from rec.store.kafka.survey import survey

        if settings.broker_url.startswith("memory://"):
            return warn("memory://: there is no log to archive from", "export REC_BROKER_URL=kafka://127.0.0.1:9092")
        first = await survey(settings, [topic], timeout_s * EARLIER - wait_s)
        began = time.monotonic()
        found = check_archive(first, first, group, topic, 0.0)
        while found.status is Status.FAIL and (waited := time.monotonic() - began) < wait_s:
            await asyncio.sleep(0.2)
            found = check_archive(first, await survey(settings, [topic], wait_s), group, topic, waited)
        return found

    return Probe("archive", archive, "rec archiver")


# ---------------------------------------------------------------- judgments, pure
def check_topics(expected: list[Topic], found: Survey, broker_url: str) -> Finding:
    """Whether all topics are there, as wide as they must be, and the changelog keeps the newest of each key."""
    have = {topic.name: topic for topic in found.topics}
    if missing := [topic.name for topic in expected if topic.name not in have]:
        return fail(f"missing: {', '.join(missing)}", "rec worker   # creates them when it starts")
    for topic in expected:
        facts = have[topic.name]
        if facts.partitions != topic.partitions:
            return fail(
                f"{topic.name} has {facts.partitions} partitions, not {topic.partitions}: users would meet "
                "the wrong worker",
                f"export REC_PARTITIONS={facts.partitions}",
            )
        policy = topic.config.get("cleanup.policy")
        if policy is not None and facts.config is not None and facts.config.get("cleanup.policy") != policy:
            alter = f"--entity-type topics --entity-name {topic.name} --alter --add-config cleanup.policy={policy}"
            bootstrap = broker_url.removeprefix("kafka://")
            return fail(
                f"{topic.name} is not {policy}: states of quiet users would be forgotten",
                f"kafka-configs.sh --bootstrap-server {bootstrap} {alter}",
            )
    records = sum(topic.records for topic in found.topics)
    silent = "" if all(topic.config for topic in found.topics) else "; the broker does not tell all their settings"
    return ok(f"{len(expected)} topics as they should be, {records:,} records{silent}")


def check_flow(found: Survey, dead_letters: str) -> Finding:
    """Whether the groups keep up, and whether something could not be processed."""
    dead = sum(topic.records for topic in found.topics if topic.name == dead_letters)
    lags = ", ".join(f"{each.group} {each.lag:,} of {each.topic}" for each in found.groups)
    if not found.groups:
        return warn("no group has read anything yet", "rec worker")
    fact = f"behind by: {lags}"
    if dead:
        return warn(f"{dead:,} dead letters; {fact}", "rec topics dead-letters")
    if any(each.lag > LAG_WARN for each in found.groups):
        return warn(fact, "rec worker   # one more, up to the number of partitions")
    return ok(fact)


def check_archive(first: Survey, later: Survey, group: str, topic: str, waited_s: float) -> Finding:
    """Whether the archiver moves: what waited at the first look became less, or nothing waits."""
    (before, waiting), (now, still) = (_accepted(each, group, topic) for each in (first, later))
    if still == 0:
        return ok(f"all {now:,} accepted records are archived")
    if still - (now - before) < waiting:
        fact = f"{still:,} of {now:,} accepted records wait, and get fewer or are new"
        return ok(fact) if still <= LAG_WARN else warn(fact, "rec archiver   # one more")
    return fail(f"{still:,} accepted records wait, and none was archived within {waited_s:.1f} s", "rec archiver")


def _accepted(found: Survey, group: str, topic: str) -> tuple[int, int]:
    """How many records the topic has, and how many of them the group has not taken. Without a group: none."""
    records = sum(each.records for each in found.topics if each.name == topic)
    lags = [each.lag for each in found.groups if (each.group, each.topic) == (group, topic)]
    return records, min(records, lags[0]) if lags else records


class Answer(NamedTuple):
    """An HTTP answer, as far as the probes read it."""

    status: int
    date: str
    body: bytes
    took_s: float


def check_ready(answer: Answer, url: str) -> Finding:
    """What /health/ready says about the server and its workers."""
    try:
        said = msgspec.json.decode(answer.body, type=dict[str, object])
    except msgspec.DecodeError:
        return fail(f"{url} is something else: status {answer.status} and no JSON", "export REC_URL=…   # the server's")
    if answer.status == 200:
        return ok(f"{url} is ready, answers in {answer.took_s * 1000:.1f} ms")
    checks = said.get("checks")
    wrong = {name: what for name, what in checks.items() if what != "ok"} if isinstance(checks, dict) else {}
    fix = {"workers": "rec worker", "broker": "docker compose up -d kafka", "redis": "docker compose up -d redis"}
    first = next(iter(wrong), "")
    what = "; ".join(f"{name}: {why}" for name, why in wrong.items()) or f"status {answer.status}"
    return fail(f"{url} is not ready: {what}", fix.get(first, "rec up"))


def check_clock(date: str, now: float) -> Finding:
    """The difference between this clock and the server's Date header, which has whole seconds."""
    try:
        skew = now - (parsedate_to_datetime(date).timestamp() + 0.5)
    except ValueError:
        return warn("the server sends no Date to compare with")
    if abs(skew) <= SKEW_WARN_S:
        return ok("within a second or two of the server's")
    fact = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    fix = "sudo timedatectl set-ntp true"
    return fail(f"{fact}: tokens will be refused", fix) if abs(skew) > SKEW_FAIL_S else warn(fact, fix)


# ---------------------------------------------------------------- measuring
async def measure_round_trip(server: Server, within_s: float) -> float:
    """Seconds from sending an event to receiving the list that it caused over the websocket: the median of three.

    The events are searches by PROBE_USER: they name no item, so they move no counter of anybody else's.
    """
    from rec.client import RecClient, Timing

    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=within_s)) as client:
        await client.token(PROBE_USER)  # a server that is away, or a wrong key, is told apart from a push that is
        try:
            async with asyncio.timeout(within_s), aclosing(client.subscribe(PROBE_USER, n=1)) as slates:
                await anext(slates)  # the list as it is
                return median([await _one_round_trip(client, slates) for _ in range(ROUND_TRIPS)])
        except TimeoutError as error:
            raise DeadlineExceeded(f"no push within {within_s:g} s") from error


async def _one_round_trip(client: RecClient, slates: AsyncGenerator[Slate]) -> float:
    event_id = f"rec-doctor-{time.time_ns()}"
    began = time.perf_counter()
    result = await client.track("search", user_id=PROBE_USER, event_id=event_id, search_term="rec doctor")
    if result.rejected:
        raise result.rejected[0].error()
    async for slate in slates:
        if slate.cause.event_id == event_id:
            return time.perf_counter() - began
    raise RecError("the pushes ended before the event's came")


def _get(url: str, within_s: float) -> Answer:
    began = time.perf_counter()
    return Answer(*get(url, within_s), time.perf_counter() - began)


def _timed(what: str, seconds: float) -> Finding:
    fact = f"{what} in {seconds * 1000:.1f} ms"
    return ok(fact) if seconds * 1000 < SLOW_MS else warn(f"{fact}, slow")


def _bare(url: str) -> str:
    """A URL without its user and password.

    >>> _bare("postgresql+asyncpg://shop:hush@db:5432/rec")
    'postgresql+asyncpg://db:5432/rec'
    """
    scheme, _, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
