"""`rec up`: the whole loop on one machine, with one command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

import click

from rec.embedded.up import Options, Ready, run
from rec.errors import ConfigError


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 takes a free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address that web listens on.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), default=Path(".rec"), show_default=True,
    help="Database, snapshots, secrets, logs. Kept between runs.",
)  # fmt: skip
@click.option("--shoppers", type=click.IntRange(0, 100_000), default=0, help="Run this many simulated shoppers.")
@click.option("--rate", type=click.FloatRange(0.01, 100_000), default=None, help="Their events a second, all together.")
@click.option("--seed", type=int, default=7, show_default=True, help="Of the demo shop and the shoppers.")
@click.option("--demo/--no-demo", default=True, help="Fill an empty catalog with the demo shop, serve its pages.")
@click.option("--json", "as_json", is_flag=True, help='Print {"url","api_key"} on one line when ready.')
def up(
    port: int, host: str, data_dir: Path, shoppers: int, rate: float | None, seed: int, demo: bool, as_json: bool
) -> int:
    """Everything on one machine: broker, Redis, SQLite and all processes. Ctrl-C stops all of it.

    \b
    rec up                       then open http://127.0.0.1:8080
    rec up --shoppers 50         with simulated shoppers
    rec up --port 0 --json       for scripts
    """
    if rate is not None and not shoppers:
        raise click.UsageError(
            "--rate is that of simulated shoppers, and there are none. Add --shoppers, or leave it out."
        )
    options = Options(data_dir, host, port, shoppers, rate, seed, demo)
    progress = Progress()

    def ready(what: Ready) -> None:
        lines = [f"ready in {what.seconds:.1f} s: {what.url}   (API key: {data_dir / 'secrets.json'}; Ctrl-C stops)"]
        if demo:
            lines.append(f"two shoppers side by side: {what.url}/two")
        if as_json:
            lines = [json.dumps({"url": what.url, "api_key": what.api_key})]
        tell("\n".join(lines))

    code = asyncio.run(run(options, report, progress, ready))
    report("stopped" if code == 0 else f"stopped with exit code {code}")
    return code


def tell(address: str) -> None:
    """To standard output. Raises ConfigError if nobody reads it: then nobody knows where all this is."""
    try:
        click.echo(address)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Python flushes it once more at the end
        raise ConfigError(
            "standard output is closed, and the address was to go there. Keep it open until it has come."
        ) from None


def report(message: str) -> None:
    with contextlib.suppress(OSError):  # the terminal is gone: what is to end in order still does
        click.echo(message, err=True)


class Progress:
    """How far something long is: a moving line on a terminal, else a line every two seconds."""

    def __init__(self) -> None:
        self._shown = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        tty = sys.stderr.isatty()
        now = time.monotonic()
        if done < total and now - self._shown < (0.1 if tty else 2.0):
            return
        self._shown = now
        share = 100 * done // max(total, 1)
        end = "\n" if done >= total or not tty else ""
        click.echo(f"{chr(13) if tty else ''}{what}: {done:,} of {total:,} ({share} %)", err=True, nl=bool(end))
