"""Kills and an erasure, and what they leave of the weights: digests, for whoever wants to see them.

    python -m tests.faults.weights kills [--times 5] [--examples 1500] [--seed 0]
    python -m tests.faults.weights erasure [--examples 600]

A small shop on a CPU, with the real trainer, its child process, checkpoints and registry; the log is in memory.

`kills`: the trainer's process, or its child alone, gets SIGKILL at random points, that many times. Then it learns to
the end, and the digest of its last checkpoint (weights, moments, counters, replay buffer and position) is that of a run
that nobody disturbed, or the exit code is 1.

`erasure`: one of six users is erased after all of it was learned. Shown is the receipt before and after, what became of
the versions, and the digest beside that of a run in which that user never was. Exit code 1 if they differ.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import click

from rec.examples import Erased, Tick
from rec.versions import ModelVersion
from tests.agents.school import BEGIN, School, until, walks

USERS = 6


# ---------------------------------------------------------------- kills
async def killed(folder: Path, count: int, already: int, rng: random.Random) -> tuple[int, str]:
    """A trainer that is killed, or whose child is, a moment after it has learned something more; how much, and who."""
    whole = rng.random() < 0.5
    command = (sys.executable, "-m", "tests.agents.pupil", str(folder), str(count))
    quiet = asyncio.subprocess.DEVNULL  # what a killed process has left is said there at length
    pupil = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, stderr=quiet)
    assert pupil.stdout is not None
    had = already
    async for line in pupil.stdout:
        if line.startswith(b"digest"):
            break
        had, child = map(int, line.split())
        if had > already:
            await asyncio.sleep(rng.uniform(0.0, 0.3))  # somewhere within the next batch, or a checkpoint
            if whole:
                pupil.kill()
            else:
                os.kill(child, signal.SIGKILL)
                await asyncio.sleep(rng.uniform(0.0, 2.0))  # while it begins again
                pupil.kill()
            break
    await pupil.communicate()
    return had, "the trainer" if whole else "its child, then the trainer"


async def last(folder: Path, count: int) -> tuple[int, str]:
    """Undisturbed to the end: with how many examples it began, and the digest."""
    command = (sys.executable, "-m", "tests.agents.pupil", str(folder), str(count))
    pupil = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    said = (await pupil.communicate())[0].decode().split("\n")
    assert pupil.returncode == 0, f"the last trainer ended with {pupil.returncode}"
    return int(said[0].split()[0]), next(line.split()[1] for line in said if line.startswith("digest"))


async def kills(folder: Path, times: int, count: int, seed: int) -> bool:
    rng, already = random.Random(seed), 0
    for number in range(times):
        already, who = await killed(folder / "killed", count, already, rng)
        click.echo(f"kill {number + 1}: SIGKILL to {who}, {already} of {count} examples learned")
    begun, digest = await last(folder / "killed", count)
    _, expected = await last(folder / "undisturbed", count)
    click.echo(f"the last one went on, its first word was of {begun} examples\nkilled       {digest}")
    click.echo(f"undisturbed  {expected}")
    return digest == expected


# ---------------------------------------------------------------- erasure
async def erasure(folder: Path, count: int) -> bool:
    lessons, somebody, at = walks(USERS, count), "u3", datetime.fromtimestamp(BEGIN + 10 * count, UTC)
    theirs = [each for each in lessons if each.event.subject == somebody]
    without = School(folder / "without")
    await without.open()
    expected = await without.learn([each for each in lessons if each.event.subject != somebody])
    school = School(folder / "with")
    await school.open()
    await school.say([*lessons, Tick()])
    async with school.trainer() as trainer:
        await school.read(trainer)
        await until(lambda: "promote" in school.verdicts)
    click.echo(f"learned {trainer.taken.learned} examples, {len(theirs)} of them of {somebody}")
    click.echo(f"with them     {await school.digest()}\n{await _versions(school)}")
    await school.database.open_erasure("e1", "hash", at)
    click.echo(f"receipt before: {await _receipt(school)}")
    await school.say([Erased(somebody, at.timestamp(), theirs[0].event.at, "e1")])
    async with school.trainer():
        await until(lambda: bool(school.database._erasures["e1"].steps))
    digest = await school.digest()
    click.echo(f"receipt after:  {await _receipt(school)}\n{await _versions(school)}")
    click.echo(f"made again    {digest}\nnever was     {expected}")
    return digest == expected


async def _receipt(school: School) -> str:
    (receipt,) = await school.database.erasures()
    return json.dumps([dict(step) for step in receipt.steps], default=str)


async def _versions(school: School) -> str:
    return "\n".join(f"  {_of(each)}" for each in await school.database.versions())


def _of(version: ModelVersion) -> str:
    weights = "weights" if version.url else "no weights"
    return f"{version.version:24} {version.state:12} {weights:11} {version.note or ''}"


# ---------------------------------------------------------------- commands
@click.group()
def main() -> None:
    """What kills and an erasure leave of the weights."""


@main.command("kills")
@click.option("--times", default=5, show_default=True)
@click.option("--examples", default=1_500, show_default=True)
@click.option("--seed", default=0, show_default=True, help="Of the moments.")
def of_kills(times: int, examples: int, seed: int) -> None:
    """SIGKILL at random points, and the digest beside that of an undisturbed run."""
    with tempfile.TemporaryDirectory() as folder:
        same = asyncio.run(kills(Path(folder), times, examples, seed))
    click.echo("the same" if same else "NOT the same")
    sys.exit(not same)


@main.command("erasure")
@click.option("--examples", default=600, show_default=True)
def of_erasure(examples: int) -> None:
    """The receipt before and after, and the digest beside that of a run in which the user never was."""
    with tempfile.TemporaryDirectory() as folder:
        same = asyncio.run(erasure(Path(folder), examples))
    click.echo("the same" if same else "NOT the same")
    sys.exit(not same)


if __name__ == "__main__":
    main()
