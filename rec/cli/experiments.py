"""`rec experiments`: which strategies are compared on whom, and every change of it."""

from __future__ import annotations

import asyncio

import click
import msgspec

from rec.cli.output import emit, emit_json, json_option, pretty, say, table
from rec.cli.strategies import changed, json_of, stored_here, why_option
from rec.errors import NotFound
from rec.policy.experiments import Experiment, assigned, experiment_of


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
    arm = assigned(_named(name), subject, placement)
    if as_json:
        emit_json({"experiment": name, "subject": subject, "placement": placement, "arm": arm and arm.name})
    else:
        say(
            f"{subject} is in arm {arm.name}, which is {arm.strategy}" if arm is not None else f"{subject} is in no arm"
        )


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
