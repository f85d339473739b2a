"""`rec up`: everything on one machine. Broker, Redis and SQLite embedded; worker, archiver and web as children.

Order of start: broker and Redis → schema → demo world (an empty catalog only) → topics → restore from the archive →
archiver, worker, web → simulated shoppers. Order of stop: shoppers, web (nothing new comes in), archiver (drains the
log into SQL), worker, Redis, broker. The broker keeps its log in memory; the archive is what survives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from rec.config import Settings, load_settings
from rec.direct import get
from rec.embedded.announce import announce, deciding
from rec.embedded.broker import broker_command, broker_ready
from rec.embedded.growth import watch
from rec.embedded.home import Home, Secrets
from rec.embedded.ports import address, check_address, free_port
from rec.embedded.redis_server import redis_command, redis_ready
from rec.embedded.supervisor import Spec, Supervisor, python, supervised
from rec.embedded.teaching import read_so_far, teach
from rec.errors import RecError, Unavailable
from rec.files import write_atomically
from rec.model.checkpoint import names
from rec.ports import Database
from rec.restore import restore, rewind_ads, rewind_rates, rewind_rewards
from rec.search.reading import check_synonyms
from rec.signals import stop_on_signals
from rec.state import FoldRules
from rec.store import open_log
from rec.store.sql import migrate, open_database
from rec.topics import EXAMPLES, topics
from rec.variables import unknown_variables, variables_here, warning

SESSION_TIMEOUT_S = "1"  # a dead worker is forgotten before its successor asks; Tansu evicts nobody until one does
ANSWERS_WITHIN_S = 2.0
LATER = 5  # niceness of what nobody waits for: on one machine with the worker and the web, these come first
Report = Callable[[str], None]
Progress = Callable[[str, int, int], None]


class Options(NamedTuple):
    """What the command line says."""

    data_dir: Path
    host: str = "127.0.0.1"
    port: int = 8080
    shoppers: int = 0
    rate: float | None = None  # events a second of all shoppers together; None: half an event a second each
    seed: int = 7
    demo: bool = True


class Ready(NamedTuple):
    """Where it runs, and how long the start took in seconds."""

    url: str
    api_key: str
    seconds: float


async def run(options: Options, report: Report, progress: Progress, on_ready: Callable[[Ready], None]) -> int:
    """Run until a signal says stop; the exit code. Raises ConfigError, or Unavailable when a part does not start."""
    began = time.monotonic()
    stop = stop_on_signals()
    home = Home(options.data_dir)
    if strangers := warning(unknown_variables(variables_here())):
        report(strangers)
    with home.locked():
        check_address(options.host, options.port)
        secrets = home.secrets()
        async with supervised(report) as supervisor:
            starting = asyncio.create_task(_start(options, home, secrets, supervisor, report, progress))
            stopped = asyncio.create_task(stop.wait())
            failed = asyncio.create_task(supervisor.failed.wait())
            await asyncio.wait({starting, stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                starting.cancel()
                await asyncio.gather(starting, return_exceptions=True)
                return 130 if stopped.done() else _give_up(supervisor, report)
            url, settings, examples, trainer = await starting
            on_ready(Ready(url, secrets.api_key, time.monotonic() - began))
            teaching = asyncio.create_task(_teach(settings, examples, trainer, report))
            growing = asyncio.create_task(watch(supervisor.pid("broker"), report))
            code = await _serve(options, url, secrets.api_key, supervisor, stopped, failed, report)
            teaching.cancel()
            growing.cancel()
            await asyncio.gather(teaching, growing, return_exceptions=True)
            report("stopping: web, archiver (draining the log), trainer, worker, Redis, broker")
            for name in ("web", "archiver", "trainer"):
                await supervisor.stop(name)
            return code


async def _serve(
    options: Options,
    url: str,
    api_key: str,
    supervisor: Supervisor,
    stopped: asyncio.Task[bool],
    failed: asyncio.Task[bool],
    report: Report,
) -> int:
    """Until somebody says stop, or a child cannot be kept."""
    halt = asyncio.Event()
    shopping = asyncio.create_task(_shop(options, url, api_key, halt, report))
    try:
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        halt.set()
        failed.cancel()
        await asyncio.gather(failed, shopping, return_exceptions=True)
    return _give_up(supervisor, report) if supervisor.failed.is_set() else 0


def _give_up(supervisor: Supervisor, report: Report) -> int:
    report(f"giving up: {supervisor.reason}")
    return 1


async def _teach(settings: Settings, examples: Sequence[bytes], trainer: int, report: Report) -> None:
    """What the archive has to teach, for a model that has learned nothing yet: when everything else is up.

    `trainer` is the port of its metrics.
    """
    if not examples or (await asyncio.to_thread(names, f"{settings.models_location}/checkpoints")) != []:
        return
    try:
        async with open_log(settings) as log:
            await teach(log, settings.topic(EXAMPLES), examples, lambda: read_so_far(trainer))
    except RecError as error:
        report(f"the model begins without the past: {error.message}")


async def _shop(options: Options, url: str, api_key: str, halt: asyncio.Event, report: Report) -> None:
    """Simulated shoppers until `halt`; if they fail the shop stays open, and that is said."""
    if not options.shoppers:
        return
    from rec.demo.traffic import run_traffic

    rate = options.rate or options.shoppers * 0.5
    report(f"{options.shoppers} simulated shoppers, {rate:g} events a second")
    try:
        await run_traffic(url, api_key, shoppers=options.shoppers, rate=rate, seed=options.seed, stop=halt)
    except RecError as error:
        report(f"the simulated shoppers have stopped: {error.message}")


def is_the_demos(database: Path) -> bool:
    """Whether the shop in this file is the demo, or there is none yet and will be. In a shop of somebody's own nothing
    is sold, and nothing joined, that they have not asked for."""
    if not database.exists():
        return True
    from rec.demo.ads import AN_AD

    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as reader:
            items, ads = reader.execute(
                "SELECT count(*), coalesce(sum(item_id = ?), 0) FROM items", (AN_AD,)
            ).fetchone()
    except sqlite3.Error:  # no schema yet, or no database: whoever opens it next says so
        return True
    return not items or bool(ads)


async def _start(
    options: Options, home: Home, secrets: Secrets, supervisor: Supervisor, report: Report, progress: Progress
) -> tuple[str, Settings, list[bytes], int]:
    """The address, the settings of the children, what the archive has to teach, the port of the trainer's metrics."""
    broker_port, redis_port = free_port(), free_port()
    env = {
        "REC_BROKER_URL": f"kafka://127.0.0.1:{broker_port}",
        **dict.fromkeys(
            ("REC_BROKER_USERNAME", "REC_BROKER_PASSWORD", "REC_BROKER_CA_FILE", "REC_BROKER_CERT_FILE"), ""
        ),
        "REC_BROKER_SECURITY": "plaintext",  # those of a real broker may stand in .env
        "REC_REDIS_URL": f"redis://127.0.0.1:{redis_port}/0",
        "REC_DATABASE_URL": home.database_url,
        "REC_SESSION_TIMEOUT_S": os.environ.get("REC_SESSION_TIMEOUT_S", SESSION_TIMEOUT_S),
        "REC_FETCH_MAX_WAIT_MS": os.environ.get("REC_FETCH_MAX_WAIT_MS", "10"),  # Tansu sleeps half of it
        "REC_DATA_DIR": str(home.root),
        "REC_API_KEY": secrets.api_key,
        "REC_TOKEN_SECRET": secrets.token_secret,
        "REC_HOST": options.host,
        "REC_PORT": str(options.port),
        "REC_PORT_FILE": str(home.root / "port"),
        "REC_DEMO": str(options.demo).lower(),
    }
    given = {name.removeprefix("REC_").lower(): value for name, value in env.items()}
    settings = load_settings(**given)
    if options.demo and await asyncio.to_thread(is_the_demos, home.database):
        from rec.demo.ads import demo_sales

        sales = demo_sales(settings)
        settings = load_settings(**given, **sales)
        env |= {f"REC_{name.upper()}": _told(value) for name, value in sales.items()}
    await asyncio.to_thread(check_synonyms, settings)

    env |= deciding(settings)
    metrics = {name: free_port() for name in ("worker", "archiver", "trainer")}  # one port would be one for all of them
    await asyncio.to_thread(announce, home.root, env, metrics)  # for `rec topics` and `rec doctor` in this folder

    def child(name: str, command: list[str], **more: Any) -> Spec:
        its = {**env, "REC_METRICS_PORT": str(metrics[name])} if name in metrics else env
        return Spec(name, command, its, home.logs / f"{name}.log", **more)

    report("starting broker and Redis")
    await asyncio.gather(
        supervisor.start(
            child(
                "broker", broker_command(broker_port, home.root), restart=False, ready=lambda: broker_ready(broker_port)
            )
        ),
        supervisor.start(child("redis", redis_command(redis_port, home.root), ready=lambda: redis_ready(redis_port))),
    )
    await migrate(settings.database_url)
    examples = await _prepare(options, home, settings, report, progress)

    port_file = home.root / "port"
    port_file.unlink(missing_ok=True)
    report("starting archiver, worker, trainer and web")

    async def web_ready() -> bool:
        return port_file.exists() and await asyncio.to_thread(_answers, f"{_url(options, port_file)}/health/ready")

    await supervisor.start(child("archiver", python("agents", "archiver"), stop_within_s=60.0, niceness=LATER))
    await supervisor.start(child("worker", python("agents", "worker")))
    await supervisor.start(child("trainer", python("agents", "trainer"), niceness=LATER))
    await supervisor.start(child("web", python("web"), ready=web_ready))
    env["REC_PORT"] = port_file.read_text().strip()  # a web that is started again must be where it was found
    await asyncio.to_thread(announce, home.root, env, metrics)
    return _url(options, port_file), settings, examples, metrics["trainer"]


def _told(value: object) -> str:
    """A setting's value as a variable has it.

    >>> _told(("a", "b")), _told({}), _told(True)
    ('a,b', '{}', 'true')
    """
    return ",".join(value) if isinstance(value, tuple) else json.dumps(value)


def _url(options: Options, port_file: Path) -> str:
    return address(options.host, int(port_file.read_text()))


def _answers(url: str) -> bool:
    try:
        return get(url, ANSWERS_WITHIN_S).status == 200
    except Unavailable:
        return False


async def _prepare(options: Options, home: Home, settings: Settings, report: Report, progress: Progress) -> list[bytes]:
    """Topics, the demo world on the first start, and what the archive remembers."""
    async with open_database(settings) as database, open_log(settings) as log:
        if options.demo and await database.count_items() == 0:
            await _seed(database, options.seed, report)
        await log.create(topics(settings))
        rules = FoldRules.from_settings(settings)
        restored, counters = await restore(database, log, settings, rules, progress)
        await asyncio.to_thread(write_atomically, settings.counters_path, counters.to_bytes())
        await asyncio.to_thread(rewind_rates, settings)
        await asyncio.to_thread(rewind_rewards, settings)
        await asyncio.to_thread(rewind_ads, settings)
        if restored.events:
            report(f"restored {restored.users} users from {restored.events} events in {restored.seconds:.1f} s")
        return restored.examples


async def _seed(database: Database, seed: int, report: Report) -> None:
    from rec.demo.ads import demo_ads
    from rec.demo.content import demo_content
    from rec.demo.readers import demo_reading
    from rec.demo.shoppers import demo_history
    from rec.demo.world import demo_catalog
    from rec.events import encode_event

    items, content, now = demo_catalog(seed=seed), demo_content(seed=seed), datetime.now(UTC)
    await database.put_items([*items, *content, *demo_ads(items, seed)])
    past = [*demo_history(items, seed=seed, until=now), *demo_reading(content, seed=seed, until=now)]
    history = sorted(past, key=lambda event: event.received_ts or now)
    await database.append([(event, encode_event(event)) for event in history])
    report(f"first start: a demo shop of {len(items)} products and {len(history)} past events")
