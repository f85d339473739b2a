"""`rec experiments`: which strategies are compared on whom, and every change of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from rec.cli.audit import why_option
from rec.cli.output import emit, emit_json, json_option, pretty, say, table
from rec.cli.strategies import changed, json_of, stored_here
from rec.errors import BadInput, NotFound
from rec.policy.experiments import Experiment, assigned, effects, experiment_of
from rec.policy.results import Earned, report, tally
from rec.tables import Flaw, open_table


@click.group()
def experiments() -> None:
    """A/B/n tests of strategies. The same subject always gets the same arm; the first arm is the control.

    \b
    rec experiments put '{"name":"bold-1","arms":[{"name":"control","strategy":"default","share":0.5},
                         {"name":"bold","strategy":"bold","share":0.5}]}' --why "does chance pay?"
    rec experiments who bold-1 u1
    rec experiments stop bold-1 --why "it does"
    """


@experiments.command("list")
@json_option
def list_(as_json: bool) -> None:
    """All that are stored, the oldest first: of several that a subject is in, it decides."""
    found = asyncio.run(stored_here()).experiments
    if as_json:
        for experiment in found:
            emit_json(experiment)
        return
    if not found:
        say("no experiment is stored")
        return
    shown = table("name", "state", "placements", "arms")
    for experiment in found:
        arms = ", ".join(f"{arm.name} {arm.share:.0%} {arm.strategy}" for arm in experiment.arms)
        state = "running" if experiment.running else "stopped"
        state += f" since {experiment.since:%Y-%m-%d %H:%M} UTC" if experiment.running and experiment.since else ""
        shown.add_row(experiment.name, state, ", ".join(experiment.placements) or "all", arms)
    emit(shown)


@experiments.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """One experiment."""
    found = _named(name)
    if as_json:
        emit_json(found)
    else:
        click.echo(pretty(found))


@experiments.command()
@click.argument("name")
@click.argument("subject")
@click.option("--placement", default="home", show_default=True, help="Where on the page.")
@json_option
def who(name: str, subject: str, placement: str, as_json: bool) -> None:
    """The arm that a subject is in; nothing is asked of anybody, it follows from the name."""
    if not subject.strip():
        raise BadInput("subject is empty. Give the id of a user or visitor.", field="subject")
    arm = assigned(_named(name), subject, placement)
    if as_json:
        emit_json({"experiment": name, "subject": subject, "placement": placement, "arm": arm and arm.name})
    else:
        click.echo(
            f"{subject} is in arm {arm.name}, which is {arm.strategy}" if arm is not None else f"{subject} is in no arm"
        )


@experiments.command()
@click.argument("name")
@click.argument("log", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--since", type=float, help="Lists from then on, seconds since 1970.  [when its arms became what they are]"
)
@click.option("--now", type=float, help="As of then, seconds since 1970.  [the newest row]")
@json_option
def result(name: str, log: Path, since: float | None, now: float | None, as_json: bool) -> None:
    """What each arm earned beside the control, from a log of lists: JSONL, CSV or Parquet.

    Columns: subject, at (when they looked, seconds since 1970), reward, and where there are any placement, strategy
    (which made the list), served_at (when it was made), experiment and arm (which decided it). Lists of another
    strategy than the arm's, or that something else decided, are no exposure and left out. Lists count from when the
    experiment was put, or its arms, shares, salt or placements were last changed. The interval may be looked at as
    often as you like.
    """
    for option, given in (("--since", since), ("--now", now)):
        if given is not None and not math.isfinite(given):
            raise BadInput(f"{option} {given:g} is no time. Give seconds since 1970.", field=option)
    experiment, rows = _named(name), list(_earned(log))
    if not rows:
        raise BadInput(f"There is no usable row in {log}.", field="LOG")
    since = _since(experiment, since)
    found = tally(experiment, rows, since, max(row.at for row in rows) if now is None else now)
    if found.before:
        when = datetime.fromtimestamp(since, UTC)
        say(f"{found.before:,} lists of before {when:%Y-%m-%d %H:%M:%S} UTC are left out: the arms were not these yet")
    shown = effects(experiment, found.earned)
    if as_json:
        emit_json(report(experiment, found, since))
        return
    body = table("arm", "exposed", "subjects", "a subject", "beside control", "low", "high", "verdict")
    control = found.earned[0]
    body.add_row(
        experiment.arms[0].name,
        f"{found.exposed[0]:,}",
        f"{control.subjects:,}",
        f"{control.mean:.4f}",
        "",
        "",
        "",
        "control",
    )
    for effect, exposed, one in zip(shown, found.exposed[1:], found.earned[1:], strict=True):
        numbers = [f"{number:+.4f}" for number in (effect.value, effect.low, effect.high)]
        body.add_row(effect.arm, f"{exposed:,}", f"{one.subjects:,}", f"{one.mean:.4f}", *numbers, effect.verdict)
    emit(body)
    say(f"{found.waiting:,} subjects are still within their {experiment.window_s:,.0f} s")
    if found.otherwise:
        say(f"{found.otherwise:,} lists of subjects were not decided by their arm, and are left out")


def _since(experiment: Experiment, given: float | None) -> float:
    """From when on its lists count. Raises BadInput for a time before its arms were what they are."""
    began = None if experiment.since is None else experiment.since.timestamp()
    if given is None and began is None:
        message = "was stored before experiments kept when they began. Say from when on its lists count."
        raise BadInput(f"--since: {experiment.name} {message}", field="--since")
    if given is not None and began is not None and given < began:
        message = f"--since: the arms of {experiment.name} are what they are since {began:.3f}, and not earlier."
        raise BadInput(message, field="--since")
    since = began if given is None else given
    assert since is not None
    return since


def _earned(path: Path) -> Iterator[Earned]:
    with open_table(path) as rows:
        for row in rows.rows:
            flaw = row if isinstance(row, Flaw) else None
            if not isinstance(row, Flaw):
                values = row.values
                try:
                    at, reward = float(values["at"]), float(values["reward"])
                    if not math.isfinite(at) or not math.isfinite(reward):
                        raise ValueError("no finite number")
                    strategy = values.get("strategy")
                    placement = str(values.get("placement") or "home")
                    made = float(values["served_at"]) if values.get("served_at") not in (None, "") else None
                    decided = None
                    if "experiment" in values:
                        decided = str(values["experiment"] or ""), str(values.get("arm") or "")
                    named = str(strategy) if strategy else None
                    yield Earned(str(values["subject"]), at, reward, placement, named, made, decided)
                except (KeyError, TypeError, ValueError) as error:
                    flaw = Flaw(row.line, None, f"subject, at and reward are needed: {error}")
            if flaw is not None:
                say(f"{path.name}:{flaw.line}: {flaw.reason}")


@experiments.command()
@click.argument("json", metavar="JSON|FILE")
@why_option
@json_option
def put(json: str, why: str, as_json: bool) -> None:
    """Store an experiment, or replace the one of its name. It runs at once, unless it says "running": false."""
    experiment = experiment_of(json_of(json))
    told = asyncio.run(changed(lambda database, by: database.put_experiment(experiment, by), why))
    _say(experiment, told, as_json)


@experiments.command()
@click.argument("name")
@why_option
@json_option
def stop(name: str, why: str, as_json: bool) -> None:
    """End an experiment: nobody is assigned any more; it stays, so that its result can be read."""
    stopped = msgspec.structs.replace(_named(name), running=False)
    told = asyncio.run(changed(lambda database, by: database.put_experiment(stopped, by), why))
    _say(stopped, told, as_json)


@experiments.command()
@click.argument("name")
@why_option
@json_option
def drop(name: str, why: str, as_json: bool) -> None:
    """Take an experiment away."""
    told = asyncio.run(changed(lambda database, by: database.drop_experiment(name, by), why))
    if as_json:
        emit_json({"dropped": name, "workers_told": told})
    else:
        say(f"{name} is gone")


def _named(name: str) -> Experiment:
    found = next((each for each in asyncio.run(stored_here()).experiments if each.name == name), None)
    if found is None:
        raise NotFound(f"There is no experiment {name!r}. Those there are: rec experiments list.", field="name")
    return found


def _say(experiment: Experiment, told: bool, as_json: bool) -> None:
    if as_json:
        emit_json({"experiment": experiment.name, "running": experiment.running, "workers_told": told})
    else:
        say(f"{experiment.name} is {'running' if experiment.running else 'stopped'}")
