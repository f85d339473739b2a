"""`rec worker`, `rec archiver`, `rec trainer`, `rec web`: the Procfile's processes, each in place of this one."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click


def become(*module: str) -> NoReturn:
    """Run `python -m …` in place of this process."""
    os.execv(sys.executable, [sys.executable, "-m", *module])


@click.command()
def worker() -> None:
    """The stream worker: folds events into per-user states, makes and stores slates.

    Settings: REC_BROKER_URL, REC_REDIS_URL, REC_DATABASE_URL, REC_PARTITIONS … (docs/reference/settings.md). Start as
    many as there are partitions; each takes its share. The same as: faust -A agents.app worker -l info
    """
    become("agents", "worker")


@click.command()
def archiver() -> None:
    """Writes accepted events from the log to SQL, one row per event_id."""
    become("agents", "archiver")


@click.command()
def trainer() -> None:
    """Learns from the examples topic while the shop is open, and publishes model versions (docs/models.md).

    Start one; a second waits until the first has ended. Curves: tensorboard --logdir .rec/curves
    """
    become("agents", "trainer")


@click.command()
@click.option("--host", envvar="REC_HOST", help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), envvar="REC_PORT", help="Port; 0 takes a free one.")
def web(host: str | None, port: int | None) -> None:
    """The edge: HTTP, websocket and server-sent events."""
    for name, value in (("REC_HOST", host), ("REC_PORT", port)):
        if value is not None:
            os.environ[name] = str(value)
    become("web")
