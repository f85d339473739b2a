"""`python -m agents worker|archiver|trainer`: one process each, what `rec worker` and the like run."""

from __future__ import annotations

import asyncio
import logging
import sys

from rec import logs, loop
from rec.config import Settings, load_settings
from rec.errors import RecError

log = logging.getLogger(__name__)


def run_worker(settings: Settings) -> int:
    """The Faust worker, until SIGTERM or SIGINT."""
    import faust

    from agents.app import create_app

    worker = faust.Worker(
        create_app(settings), loglevel="INFO", logging_config=None, override_logging=False, redirect_stdouts=False
    )
    worker.execute_from_commandline()
    return 0


async def run_archiver(settings: Settings) -> None:
    """The archiver, until SIGTERM or SIGINT, and then to where the log ended at that moment."""
    from agents.archiver import Archiver
    from agents.metrics import Metrics, serve
    from agents.stores import forgetting_of, open_stores
    from rec.signals import stop_on_signals
    from rec.topics import BEHAVIOR, topics
    from rec.vitals import telling

    stop = stop_on_signals()
    metrics = Metrics()
    serve(metrics.registry, settings)
    async with open_stores(settings) as (to, exchange, database):
        await to.create(topics(settings))
        forgetting = forgetting_of(settings, to, exchange, database)
        await forgetting.load()
        archiver = Archiver(
            source=to,
            topic=settings.topic(BEHAVIOR),
            group=f"{settings.app_id}-archiver",
            database=database,
            forgetting=forgetting,
            metrics=metrics,
            flush_s=settings.archive_flush_s,
            consent_default=settings.consent_default == "granted",
        )
        log.info("archiving")
        async with telling(exchange, metrics.of_archiver(), role="archiver"):
            await archiver.run(stop)


def main(argv: list[str]) -> int:
    """Run the named process; errors made on purpose become one line and an exit code."""
    logs.begin(quiet=("aiokafka", "alembic"))
    loop.use()
    try:
        settings = load_settings()
        logs.warn_of_strangers()
        if argv == ["worker"]:
            return run_worker(settings)
        if argv == ["archiver"]:
            asyncio.run(run_archiver(settings))
            return 0
        if argv == ["trainer"]:
            from agents.training import run_trainer

            asyncio.run(run_trainer(settings))
            return 0
    except RecError as error:
        log.error("%s", error.message)  # noqa: TRY400  one line, the remedy is in it
        return error.exit_code
    sys.stderr.write("usage: python -m agents worker|archiver|trainer\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
