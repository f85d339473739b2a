"""`rec feedback export` → **rows of a policy's log** → `rec.evaluation.off_policy`. One's own lists, another strategy.

Two ways to ask, by what the log knows of the other strategy:

    another draw    temperature and depth may differ from what served: a row is an item at a place that was drawn, and
                    both probabilities are exact, from the candidates and logits that were logged (`at_places`)
    another name    a stored strategy that made some of the lists: a row is a whole list, the action is the name of its
                    strategy, the propensity the probability with which the bandit chose it

The first assumes of a row what rec.evaluation.off_policy does: what stands at other places changes nothing. The second
assumes nothing of lists. Rows of one shopper are one cluster: with `steady_s` their draws are one draw. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from rec.errors import BadInput
from rec.evaluation.places import at_places
from rec.evaluation.policy_log import Menus, PolicyLog, Shot, against_table, codes
from rec.policy.strategy import Strategy, strategy_of
from rec.tables import Flaw, open_table

LEAST = 1e-9  # a probability that was not zero, for what was drawn was possible
_MENU = 1e-4  # what the target does more rarely is left out of what DR expects of it
_SUPPORT = 1e-4  # what the log's policy did more rarely it has not tried
_OF_THE_DRAW = frozenset({"name", "temperature", "explore_depth", "steady_s", "hold_s"})


class Candidate(msgspec.Struct):
    """One that a list could be drawn from."""

    item_id: str
    logit: float


class DrawnFrom(msgspec.Struct):
    """What the drawn places of a list were drawn from, best first."""

    temperature: float
    places: int
    candidates: list[Candidate]


class Placed(msgspec.Struct):
    """One place, as far as it matters here."""

    item_id: str
    reward: float


class Decided(msgspec.Struct):
    """How a list took the place of another (rec.policy.refresh)."""

    propensity: float


class Listed(msgspec.Struct):
    """One line of the export, as far as it matters here."""

    subject: str
    placement: str
    strategy: str
    reward: float
    places: list[Placed]
    chance: float | None = None
    experiment: str = ""
    draw: DrawnFrom | None = None
    refresh: Decided | None = None


class Left(NamedTuple):
    """How many lists say nothing of the question, and why."""

    lists: int
    why: str


def listed_of(values: Mapping[str, Any]) -> Listed:
    """Raises BadInput for what is no line of the export."""
    try:
        return msgspec.convert(values, Listed)
    except msgspec.ValidationError as error:
        raise BadInput(f"{error}. Write the file with: rec feedback export.", field="LOG") from None


def read_lists(paths: Sequence[Path]) -> tuple[list[Listed], list[tuple[str, Flaw]]]:
    """Every list of the files, and the flaws of other lines. Raises BadInput where there is no list at all."""
    lists: list[Listed] = []
    flaws: list[tuple[str, Flaw]] = []
    for path in paths:
        with open_table(path) as table:
            for row in table.rows:
                flaw = row if isinstance(row, Flaw) else None
                if not isinstance(row, Flaw):
                    try:
                        lists.append(listed_of(row.values))
                    except BadInput as error:
                        flaw = Flaw(row.line, None, error.message)
                if flaw is not None:
                    flaws.append((path.name, flaw))
    if not lists:
        first = f" The first line: {flaws[0][1].reason}" if flaws else ""
        raise BadInput(
            f"There is no list in {', '.join(map(str, paths))}. Write the file with: rec feedback export.{first}",
            field="LOG",
        )
    return lists, flaws


def drawing(text: str, known: Iterable[str]) -> Strategy | str:
    """What `--strategy` means: a name in the log, `greedy`, or the fields of a strategy as JSON.

    Raises BadInput for a strategy whose lists the log cannot tell: it knows the candidates as they stood when they
    were drawn, and not what another mix, another diversity or another rule would have made of them.
    """
    names = sorted(set(known))
    if text in names:
        return text
    if text == "greedy":
        return Strategy(name="greedy")
    if not text.lstrip().startswith("{"):
        raise BadInput(
            f"--strategy {text}: no list of the log was made by it. It has: {', '.join(names)}; or say greedy, or what "
            'is to be drawn otherwise: {"temperature":0.3}.',
            field="--strategy",
        )
    try:
        values = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise BadInput(f"--strategy: this is no JSON ({error}).", field="--strategy") from None
    if not isinstance(values, dict):
        raise BadInput("--strategy: give an object, like {}.", field="--strategy")
    if other := sorted(values.keys() - _OF_THE_DRAW):
        raise BadInput(
            f"--strategy: {', '.join(other)} changes what is drawn from: the log has that as it was. What "
            'differs in the draw can be judged ({"temperature":…,"explore_depth":…}); else store the strategy, offer '
            "it to the bandit, and ask for its name.",
            field="--strategy",
        )
    return strategy_of(values)


def against_draw(lists: Iterable[Listed], target: Strategy, *, depth_given: bool) -> tuple[PolicyLog, list[Left]]:
    """The drawn places of the lists beside the same places as the target would draw them.

    `depth_given`: whether the target's depth is meant; else it draws from what was drawn from. Raises BadInput where no
    list has a draw.
    """
    shots: list[Shot] = []
    menus: list[tuple[int, str, float]] = []
    unseen: list[float] = []
    without = shallow = decided = 0
    for one in lists:
        draw = one.draw
        if one.refresh is not None and one.refresh.propensity < 1:
            decided += 1
            continue
        if draw is None or not draw.candidates or not draw.places:
            without += 1
            continue
        logits = np.array([each.logit for each in draw.candidates])
        reach = math.ceil(draw.places * target.explore_depth) if depth_given else len(logits)
        if reach > len(logits) and depth_given and target.temperature > 0:
            shallow += 1
            continue
        place_of = {each.item_id: at for at, each in enumerate(draw.candidates)}
        was = at_places(logits, draw.places, draw.temperature)
        would = np.zeros_like(was)
        drawn = at_places(logits[:reach], draw.places, target.temperature)
        would[: len(drawn), : drawn.shape[1]] = drawn
        k = 0
        for position, place in enumerate(one.places):
            at = place_of.get(place.item_id)
            if at is None or k >= was.shape[1]:
                continue
            for other in np.flatnonzero(would[:, k] > _MENU).tolist():
                menus.append((len(shots), draw.candidates[other].item_id, float(would[other, k])))
            unseen.append(float(would[:, k][was[:, k] < _SUPPORT].sum()))
            chance = max(LEAST, min(1.0, float(was[at, k])))
            shots.append(
                Shot(place.item_id, place.reward, chance, str(position), min(1.0, float(would[at, k])), one.subject)
            )
            k += 1
    left = [
        Left(decided, "were let onto the screen or kept off it by what was on them, so their draws are no fair sample"),
        Left(without, "have no draw: nothing was left to chance, or they are older than what the log keeps"),
        Left(shallow, "were drawn from fewer candidates than explore_depth asks for"),
    ]
    if not shots:
        raise BadInput(f"No list can be used: {'; '.join(f'{n} {why}' for n, why in left if n) or 'there is none'}.",
                       field="LOG")  # fmt: skip
    return _log(shots, menus, unseen), [each for each in left if each.lists]


def _log(shots: list[Shot], menus: list[tuple[int, str, float]], unseen: list[float]) -> PolicyLog:
    actions = codes([*(shot.action for shot in shots), *(action for _, action, _ in menus)])
    positions, clusters = codes(shot.position for shot in shots), codes(shot.cluster or "" for shot in shots)
    return PolicyLog(
        np.array([actions[shot.action] for shot in shots], np.int64),
        np.array([positions[shot.position] for shot in shots], np.int64),
        np.array([clusters[shot.cluster or ""] for shot in shots], np.int64),
        np.array([shot.reward for shot in shots], np.float64),
        np.array([shot.propensity for shot in shots], np.float64),
        np.array([shot.target for shot in shots], np.float64),
        menus=Menus(
            np.array([row for row, _, _ in menus], np.int64),
            np.array([actions[action] for _, action, _ in menus], np.int64),
            np.array([chance for *_, chance in menus], np.float64),
            np.array(unseen),
            len(actions),
        ),
    )


def against_name(lists: Iterable[Listed], name: str) -> tuple[PolicyLog, list[Left]]:
    """Whole lists beside those that the named strategy made. Raises BadInput where the bandit chose none."""
    shots: list[Shot] = []
    others = 0
    for one in lists:
        if one.chance is None or one.experiment:
            others += 1
            continue
        shots.append(Shot(one.strategy, one.reward, one.chance, one.placement, None, one.subject))
    if name not in {shot.action for shot in shots}:
        raise BadInput(
            f"--strategy {name}: the bandit chose it for none of the lists. What an experiment decided is read by "
            "rec experiments result; what nobody chose has no alternative in the log.",
            field="--strategy",
        )
    table = {(placement, name): 1.0 for placement in {shot.position for shot in shots}}
    left = [Left(others, "were not chosen by the bandit, but by an experiment or nobody")]
    return against_table(shots, table), [each for each in left if each.lists]
