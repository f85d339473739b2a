"""A second worker joins, and leaves by SIGKILL, under load and with busy cores, again and again, in one world.

    python -m tests.faults.rebalance --times 20

Exit 0 if no event was lost or counted twice, nothing hung, and the states equal the replay. The gap is the time for
which the slowest partition stood still.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from tests.faults.crash import tell
from tests.faults.ending import run_trial
from tests.faults.traffic import rough_traffic
from tests.faults.trial import Trial, Verdict, trial
from tests.kafka import apache_kafka, launcher
from tests.stack import shelf, until

SETTLE_S = 4.0  # together before the second one is killed, and alone before the next one joins
HANG_S = 60.0
USERS = 500


class Round(NamedTuple):
    """Seconds for which the slowest partition stood still when the second worker came, and when it was killed."""

    join_s: float
    leave_s: float


class Hung(Exception):
    """Events were not counted within HANG_S: a partition stands still."""


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Processes that do nothing but burn."""
    burning = [subprocess.Popen([sys.executable, "-c", "while True: sum(range(10**5))"]) for _ in range(cores)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


async def rebalance(
    folder: Path, bootstrap: str, *, times: int, rate: float, cores: int, seed: int
) -> tuple[Verdict, list[Round]]:
    """`times` joins and kills of a second worker. Raises Hung, with the workers' logs."""
    rounds: list[Round] = []
    async with trial(folder, bootstrap, f"rebalance-{seed}-{random.randrange(10**6)}") as run:
        halt = asyncio.Event()
        publishing = asyncio.create_task(_keep_publishing(run, rate, seed, halt))
        try:
            with busy(cores):
                for number in range(times):
                    rounds.append(await _round(run, number))
                    click.echo(f"round {number + 1}: join {rounds[-1].join_s:.1f} s, kill {rounds[-1].leave_s:.1f} s")
        finally:
            halt.set()
            await publishing
        if not await run.drained(HANG_S):
            raise Hung(f"events are missing after {HANG_S:g} s\n{run.world.logs()}")
        return await run.verdict(), rounds


async def _round(run: Trial, number: int) -> Round:
    name = f"second-{number}"
    joined = time.time()
    await run.world.worker(name)
    await run.world.workers_ready(2, HANG_S)
    await _up_to_date(run)
    await asyncio.sleep(SETTLE_S)
    join_s = run.followed.longest_pause(joined, time.time())
    killed = time.time()
    run.world.kill(name)
    await asyncio.sleep(SETTLE_S)
    await _up_to_date(run)
    return Round(join_s, run.followed.longest_pause(killed, time.time()))


async def _up_to_date(run: Trial) -> None:
    """What has been published by now is counted, or it hangs."""
    distinct = run.distinct()
    if not await until(lambda: run.followed.counted() >= distinct, HANG_S):
        raise Hung(f"{distinct - run.followed.counted()} events behind\n{run.world.logs()}")


async def _keep_publishing(run: Trial, rate: float, seed: int, halt: asyncio.Event) -> None:
    items, rng, part = [item.item_id for item in shelf()], random.Random(seed), 0
    while not halt.is_set():
        events = rough_traffic(int(rate), USERS, items, time.time(), rng, first=part)
        part += len(events)
        await run.publish(events, rate)


@click.command()
@click.option("--times", default=20, show_default=True)
@click.option("--rate", default=200.0, show_default=True, help="Events a second.")
@click.option("--busy-cores", default=2, show_default=True)
@click.option("--seed", default=1, show_default=True)
def main(times: int, rate: float, busy_cores: int, seed: int) -> None:
    """Let a second worker join and be killed, and compare what both made with a plain replay."""

    path = launcher()
    if path is None:
        raise click.ClickException("no Kafka: set REC_TEST_KAFKA to its launcher, and install Java 17")

    async def trials() -> bool:
        with tempfile.TemporaryDirectory() as name:
            async with apache_kafka(path, Path(name)) as (bootstrap, _):
                verdict, rounds = await rebalance(
                    Path(name) / "world", bootstrap, times=times, rate=rate, cores=busy_cores, seed=seed
                )
        for what, values in (("join", [r.join_s for r in rounds]), ("kill", [r.leave_s for r in rounds])):
            click.echo(f"{what}: median gap {statistics.median(values):.1f} s, longest {max(values):.1f} s")
        tell(verdict)
        return verdict.ok

    try:
        sys.exit(0 if run_trial(trials()) else 1)
    except Hung as error:
        raise click.ClickException(f"hung: {error}") from None


if __name__ == "__main__":
    main()
