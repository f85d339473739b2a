"""SIGKILL the only worker again and again under load: `python -m tests.faults.crash --kills 3 --events 20000`.

Exit 0 if the states equal the replay, every event is counted once, and every watcher ends on the newest list.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import click

from rec.embedded.broker import embedded_broker
from tests.faults.ending import run_trial
from tests.faults.traffic import rough_traffic
from tests.faults.trial import Trial, Verdict, trial
from tests.kafka import apache_kafka, launcher
from tests.stack import shelf, until

DRAIN_S = 90.0
IN_FLIGHT_S = 0.2  # what the dead worker had sent before may be written a little later


async def crash(
    folder: Path,
    bootstrap: str,
    *,
    events: int,
    users: int,
    kills: int,
    rate: float,
    seed: int,
    embedded: bool = False,
) -> tuple[Verdict, list[float]]:
    """The verdict, and for each kill the seconds until an event was counted again."""
    items = [item.item_id for item in shelf()]
    traffic = rough_traffic(events, users, items, time.time(), random.Random(seed))
    gaps = []
    name = f"crash-{seed}-{random.randrange(10**6)}"
    async with trial(folder, bootstrap, name, embedded=embedded) as run:
        publishing = asyncio.create_task(run.publish(traffic, rate))
        for kill in range(kills):
            await _published(run, events * (kill + 1) // (kills + 1), publishing, events / rate * 5)
            gaps.append(await _kill_and_restart(run))
        await publishing
        if not await run.drained(DRAIN_S):
            click.echo(run.world.logs(), err=True)
        return await run.verdict(), gaps


async def _published(run: Trial, part: int, publishing: asyncio.Task[None], within_s: float) -> None:
    await until(lambda: len(run.published) >= part or publishing.done(), within_s)


async def _kill_and_restart(run: Trial) -> float:
    """Seconds until an event is counted again, by the broker's clock."""
    run.world.kill("worker")
    killed = time.time() + IN_FLIGHT_S
    await run.world.worker()
    await until(lambda: run.followed.moved_since(killed) is not None, DRAIN_S)
    return (run.followed.moved_since(killed) or killed + DRAIN_S) - killed + IN_FLIGHT_S


def tell(verdict: Verdict) -> None:
    click.echo(
        f"{verdict.published} published, {verdict.distinct} distinct, {verdict.counted} counted; "
        f"{len(verdict.wrong)} differences, {len(verdict.stale)} stale lists, {verdict.went_back} steps back; "
        f"ended themselves: {', '.join(verdict.restarts) or 'none'}"
    )
    for line in [*verdict.wrong[:10], *verdict.stale[:10]]:
        click.echo(f"  {line}")


@contextlib.asynccontextmanager
async def broker(folder: Path, embedded: bool) -> AsyncIterator[str]:
    """The bootstrap address of the embedded broker, or of an Apache Kafka."""
    if embedded:
        async with embedded_broker(folder) as bootstrap:
            yield bootstrap
        return
    if (path := launcher()) is None:
        raise click.ClickException("no Kafka: set REC_TEST_KAFKA to its launcher, and install Java 17")
    async with apache_kafka(path, folder) as (bootstrap, _):
        yield bootstrap


@click.command()
@click.option("--events", default=20_000, show_default=True)
@click.option("--users", default=500, show_default=True)
@click.option("--kills", default=3, show_default=True)
@click.option("--rate", default=1_500.0, show_default=True, help="Events a second.")
@click.option("--seed", default=1, show_default=True)
@click.option("--embedded", is_flag=True, help="On the embedded broker, used as `rec up` does.")
def main(events: int, users: int, kills: int, rate: float, seed: int, embedded: bool) -> None:
    """Kill the only worker under load, and compare what it made with a plain replay."""

    async def trials() -> bool:
        with tempfile.TemporaryDirectory() as name:
            async with broker(Path(name), embedded) as bootstrap:
                verdict, gaps = await crash(
                    Path(name) / "world",
                    bootstrap,
                    events=events,
                    users=users,
                    kills=kills,
                    rate=rate,
                    seed=seed,
                    embedded=embedded,
                )
        click.echo("counting again after " + ", ".join(f"{gap:.1f} s" for gap in gaps))
        tell(verdict)
        return verdict.ok

    sys.exit(0 if run_trial(trials()) else 1)


if __name__ == "__main__":
    main()
