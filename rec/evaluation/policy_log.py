"""Logged feedback → **arrays** → `rec.evaluation.off_policy`. One row is one item that was shown at one place.

    action        needed: what was shown
    reward        needed: what came of it, 0 or 1 for a click, or any number
    propensity    needed: how probable it was, when it was made, that this action stood at this place; in (0, 1]
    position      the place on the list; without the column all rows are of one place
    target        how probable the other policy would have made it, in [0, 1]; not needed with a named target
    cluster       rows that are not independent of each other (a slate, a shopper); without it every row is alone

Invariant: a row that cannot be used is told with its line and reason and costs no other row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rec.errors import BadInput
from rec.tables import Flaw, Row, open_table

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
UNIFORM = "uniform"
A_LIST = "is a list of rec feedback export, not a row of one item"


class LogColumns(NamedTuple):
    """What the file calls what we need."""

    action: str = "action"
    reward: str = "reward"
    propensity: str = "propensity"
    position: str = "position"
    target: str = "target_propensity"
    cluster: str = "cluster"


OBD = LogColumns(action="item_id", reward="click", propensity="propensity_score")  # of the Open Bandit Dataset


class Shot(NamedTuple):
    """One usable row."""

    action: str
    reward: float
    propensity: float
    position: str
    target: float | None
    cluster: str | None


class Menus(NamedTuple):
    """What the target would do in the place of each row, where every row has candidates of its own: a sparse matrix.

    `row`, `action` and `chance` [entries]; `unseen` [n]: of the row's chances, how much is on what the log's policy
    could not do; `actions`: how many there are.
    """

    row: Codes
    action: Codes
    chance: Numbers
    unseen: Numbers
    actions: int


class PolicyLog(NamedTuple):
    """What was logged [n], and what the target policy would have done with it.

    `policy` [positions, actions] is the whole target policy where it is known and the same for every row, `menus` where
    it is known row by row; both None where only the probability of the logged action is.
    """

    action: Codes
    position: Codes
    cluster: Codes
    reward: Numbers
    propensity: Numbers
    target: Numbers
    policy: Numbers | None = None
    menus: Menus | None = None


def read_shots(paths: Sequence[Path], columns: LogColumns) -> tuple[list[Shot], list[tuple[str, Flaw]]]:
    """Every usable row of the files, and the flaws of the others. Raises BadInput where a column or all rows lack."""
    shots: list[Shot] = []
    flaws: list[tuple[str, Flaw]] = []
    exported = False
    for path in paths:
        for found in _rows(path, columns):
            if isinstance(found, Flaw):
                exported = exported or found.reason == A_LIST
                flaws.append((path.name, found))
            else:
                shots.append(found)
    if not shots and exported:
        raise BadInput(
            "These are lists, as rec feedback export writes them. Say what to hold them against: --strategy greedy, "
            "--strategy NAME of one that made some of them, --strategy '{\"temperature\":0.3}'.",
            field="--strategy",
        )
    if not shots:
        first = f" The first: line {flaws[0][1].line}: {flaws[0][1].reason}." if flaws else ""
        raise BadInput(f"There is no usable row in {', '.join(map(str, paths))}.{first}", field="LOG")
    return shots, flaws


def obd_file(folder: Path) -> Path:
    """The log in a folder of the Open Bandit Dataset: `men/men.csv`, say. Raises BadInput if there is none."""
    found = folder / f"{folder.name}.csv"
    if not found.is_file():
        raise BadInput(
            f"{folder}: there is no {found.name}. Name the folder of one campaign as it is published, like bts/men.",
            field="LOG",
        )
    return found


def table_of(shots: Iterable[Shot]) -> dict[tuple[str, str], float]:
    """(position, action) → how often a policy shows it there, from a log that this policy made itself.

    The share of the position's rows: what the policy did on average over the time of the log, if it changed.
    """
    counts = Counter((shot.position, shot.action) for shot in shots)
    at = Counter[str]()
    for (position, _), count in counts.items():
        at[position] += count
    return {key: count / at[key[0]] for key, count in counts.items()}


def against_column(shots: Sequence[Shot]) -> PolicyLog:
    """The log with the target's probabilities as its rows have them. Raises BadInput for rows without."""
    without = sum(shot.target is None for shot in shots)
    if without:
        raise BadInput(
            f"{without:,} of {len(shots):,} rows have no target probability. Give the column "
            f"(--map target=YOURS), or name the other policy with --target {UNIFORM} or --target ITS_LOG.",
            field="target",
        )
    log, _, _ = _arrays(shots)
    return log._replace(target=np.array([shot.target for shot in shots], np.float64))


def against_uniform(shots: Sequence[Shot]) -> PolicyLog:
    """The log beside the policy that shows every action of the log equally often, at every position."""
    log, positions, actions = _arrays(shots)
    policy = np.full((len(positions), len(actions)), 1 / len(actions))
    return log._replace(target=policy[log.position, log.action], policy=policy)


def against_table(shots: Sequence[Shot], shares: Mapping[tuple[str, str], float]) -> PolicyLog:
    """The log beside a policy given as (position, action) → probability, as `table_of` makes it.

    Raises BadInput for positions that the policy says nothing of. Actions that are not in the log make up mass that
    the log cannot speak of: they are columns of `policy` without a row.
    """
    known = {position for position, _ in shares}
    if missing := sorted({shot.position for shot in shots} - known):
        raise BadInput(
            f"The target policy has nothing at position {', '.join(missing)}, where the log has rows. "
            "Both must number positions alike.",
            field="--target",
        )
    log, positions, actions = _arrays(shots, extra=[action for _, action in shares])
    policy = np.zeros((len(positions), len(actions)))
    for (position, action), share in shares.items():
        if position in positions:
            policy[positions[position], actions[action]] = share
    return log._replace(target=policy[log.position, log.action], policy=policy)


def _arrays(shots: Sequence[Shot], extra: Iterable[str] = ()) -> tuple[PolicyLog, dict[str, int], dict[str, int]]:
    actions = codes([*(shot.action for shot in shots), *extra])
    positions = codes([shot.position for shot in shots])
    names = [shot.cluster if shot.cluster is not None else f"\0{at}" for at, shot in enumerate(shots)]
    clusters = codes(names)
    log = PolicyLog(
        np.array([actions[shot.action] for shot in shots], np.int64),
        np.array([positions[shot.position] for shot in shots], np.int64),
        np.array([clusters[name] for name in names], np.int64),
        np.array([shot.reward for shot in shots], np.float64),
        np.array([shot.propensity for shot in shots], np.float64),
        np.zeros(len(shots)),
    )
    return log, positions, actions


def codes(names: Iterable[str]) -> dict[str, int]:
    """A number for each name, in the order in which they first come."""
    return {name: at for at, name in enumerate(dict.fromkeys(names))}


def _rows(path: Path, columns: LogColumns) -> Iterator[Shot | Flaw]:
    with open_table(path) as table:
        needed = (columns.action, columns.reward, columns.propensity)
        if table.columns is not None and (missing := [name for name in needed if name not in table.columns]):
            raise BadInput(
                f"{path}: there is no column {', '.join(missing)}; there are: {', '.join(table.columns[:20])}. "
                "Name yours with --map, like --map reward=click.",
                field="LOG",
            )
        for row in table.rows:
            yield row if isinstance(row, Flaw) else _shot(row, columns)


def _shot(row: Row, columns: LogColumns) -> Shot | Flaw:
    action = _text(row, columns.action)
    if not action and isinstance(row.values.get("places"), list):
        return Flaw(row.line, None, A_LIST)
    if not action:
        return Flaw(row.line, columns.action, "is empty")
    numbers: dict[str, float] = {}
    for name in (columns.reward, columns.propensity, columns.target):
        raw = _text(row, name)
        if not raw and name == columns.target:
            continue
        number = _number(row.values.get(name))
        if number is None:
            return Flaw(row.line, name, f"{raw[:64]!r} is no number")
        numbers[name] = number
    propensity, target = numbers[columns.propensity], numbers.get(columns.target)
    if not 0 < propensity <= 1:
        return Flaw(row.line, columns.propensity, f"{propensity:g} is no propensity: it lies above 0 and up to 1")
    if target is not None and not 0 <= target <= 1:
        return Flaw(row.line, columns.target, f"{target:g} is no probability: it lies between 0 and 1")
    position, cluster = _text(row, columns.position), _text(row, columns.cluster)
    return Shot(action, numbers[columns.reward], propensity, position, target, cluster or None)


def _text(row: Row, column: str) -> str:
    value = row.values.get(column)
    return "" if value is None else str(value).strip()


def _number(value: object) -> float | None:
    """A finite number, from a number, a truth value or text.

    >>> _number("0.5"), _number(True), _number("nan"), _number(None)
    (0.5, 1.0, None, None)
    """
    if not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
