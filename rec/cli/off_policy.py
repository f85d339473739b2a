"""`rec evaluate --policy LOG…`: what another policy would have earned, from the feedback that one policy logged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import numpy as np

from rec.cli.given import refuse
from rec.cli.output import emit, emit_json, say, table
from rec.errors import BadInput
from rec.evaluation.exported import against_draw, against_name, drawing, read_lists
from rec.evaluation.off_policy import OffPolicy, off_policy
from rec.evaluation.policy_log import (
    OBD,
    UNIFORM,
    LogColumns,
    PolicyLog,
    Shot,
    against_column,
    against_table,
    against_uniform,
    obd_file,
    read_shots,
    table_of,
)
from rec.tables import Flaw

F = TypeVar("F", bound=Callable[..., Any])


def _mapping(ctx: click.Context, param: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    made: dict[str, str] = {}
    for one in given:
        ours, found, theirs = one.partition("=")
        if ours not in LogColumns._fields or not found or not theirs:
            raise click.BadParameter(f"{one!r}: say OURS=THEIRS, OURS one of {', '.join(LogColumns._fields)}.")
        made[ours] = theirs
    return made


_OPTIONS = (
    click.option("--policy", is_flag=True, help="Off-policy: FILE is a log of feedback with propensities."),
    click.option("--target", help=f"With --policy: the other policy: {UNIFORM}, or a log that it made.  [a column]"),
    click.option("--strategy", metavar="NAME|JSON",
                 help="With --policy and lists of rec feedback export: greedy, a name, or {\"temperature\":0.3}."),
    click.option("--cap", type=float, help="With --policy: no weight above this; biased, and said so."),
    click.option("--map", "mapping", multiple=True, metavar="OURS=THEIRS", callback=_mapping,
                 help="With --policy: a column's name, like reward=click; once for each."),
)  # fmt: skip
NAMES = ("target", "strategy", "cap", "mapping")
_ALSO = ("policy", "files", "dataset", "seed", "as_json")  # what else has a meaning with --policy


def policy_options(command: F) -> F:
    """`--policy` and what belongs to it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def evaluate_policy(ctx: click.Context) -> None:
    """Read, estimate, show. Raises BadInput for what cannot be read, and for options that would change nothing."""
    given = ctx.params
    dataset = given["dataset"]
    refuse(ctx, "--policy", set(given) - {*NAMES, *_ALSO})
    if dataset not in (None, "obd"):
        raise BadInput(f"{dataset} is a stream, not a log of feedback. With --policy there is obd.", field="--dataset")
    columns = (OBD if dataset else LogColumns())._replace(**given["mapping"])
    if given["strategy"] is not None:
        refuse(ctx, "--strategy", {"target", "dataset", "mapping"})
        log = _of_lists(given["files"], given["strategy"])
    else:
        log = _log(_shots(given["files"], dataset is not None, columns), given["target"], dataset is not None, columns)
    found = off_policy(log, np.random.default_rng(given["seed"] or 0), cap=given["cap"])
    if given["as_json"]:
        emit_json(found.as_dict())
    else:
        _show(found)


def _of_lists(files: Sequence[Path], strategy: str) -> PolicyLog:
    """Lists of one's own, beside those of another strategy. Raises BadInput for what is no export of lists."""
    lists, flaws = read_lists(files)
    _tell(flaws)
    target = drawing(strategy, (one.strategy for one in lists))
    if isinstance(target, str):
        log, left = against_name(lists, target)
    else:
        log, left = against_draw(lists, target, depth_given="explore_depth" in strategy)
    for some in left:
        say(f"{some.lists:,} of {len(lists):,} lists {some.why}")
    return log


def _shots(files: Sequence[Path], obd: bool, columns: LogColumns) -> list[Shot]:
    shots, flaws = read_shots([obd_file(path) for path in files] if obd else files, columns)
    _tell(flaws)
    return shots


def _tell(flaws: Sequence[tuple[str, Flaw]]) -> None:
    for name, flaw in flaws[:10]:
        say(f"{name}:{flaw.line}: {flaw.field or 'row'}: {flaw.reason}")
    if flaws:
        say(f"{len(flaws):,} rows were left out")


def _log(shots: Sequence[Shot], target: str | None, obd: bool, columns: LogColumns) -> PolicyLog:
    if target is None:
        return against_column(shots)
    if target == UNIFORM:
        return against_uniform(shots)
    path = Path(target)
    if not path.exists():
        raise BadInput(f"--target {target}: there is no such log. Name one, or {UNIFORM}.", field="--target")
    return against_table(shots, table_of(_shots([path], obd, columns)))


def _show(found: OffPolicy) -> None:
    rows = table("reward a row", "value", "low", "high", right=("value", "low", "high"))
    for name in ("logged", "ips", "snips", "dr"):
        one = getattr(found, name)
        rows.add_row(name if name == "logged" else name.upper(), *(f"{number:.5f}" for number in one))
    emit(rows)
    say(
        f"{found.rows:,} rows, effective {found.ess:,.0f}; largest weight {found.max_weight:.1f}; "
        f"intervals 95 %; the reward model of DR knows {found.model}"
    )
    emit(found.verdict)
