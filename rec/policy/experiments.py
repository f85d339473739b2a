"""subject + salt → **arm** → what came of it. A/B/n tests that may be looked at as often as anybody likes.

    arm        hash(salt, subject) in [0, 1), cut into a slot for each arm: the same subject, the same arm, on every
               machine. Diversion by hash is that of Tang, Agarwal, O'Brien & Meyer 2010 ("Overlapping experiment
               infrastructure"); where in [0, 1) an arm grows is `_holder`
    effect     mean of an arm less mean of the control, per subject
    interval   asymptotic confidence sequence, Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas 2021 ("Time-uniform central
               limit theory", theorem 2.2): it holds at all times at once, so stopping at a glance does no harm

A subject counts once, with what they did in a fixed time after their first list (`Experiment.window_s`), when that time
is over: so what is added up are independent draws, as the interval requires. Several arms share alpha (Bonferroni).
Pure. Invariants: changing the salt changes who is with whom. Whatever happens to the shares of others, an arm whose
share does not shrink keeps its subjects, as long as no share is above an equal part (1 / arms) or there are two arms.
Other arms, in other order, are another experiment.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated, NamedTuple

import msgspec

from rec.errors import BadInput
from rec.events import Instant

LEAST = 100  # subjects in an arm before its interval says anything: below, the normal limit is not there yet
LEAST_VARIED = 10.0  # and rewards, counted by how unlike zero they are: of a handful nobody knows the spread


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One side of an experiment: a strategy, by its name, and its share of the subjects."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+\Z")]
    strategy: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    share: Annotated[float, msgspec.Meta(gt=0, le=1)]


class Experiment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who is compared with whom. The first arm is the control. Shares may leave subjects out: they sum to 1 at most."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+\Z")]
    arms: Annotated[tuple[Arm, ...], msgspec.Meta(min_length=2, max_length=20)]
    salt: Annotated[str, msgspec.Meta(max_length=64)] = ""  # empty: the name
    placements: tuple[str, ...] = ()  # empty: all
    running: bool = True
    alpha: Annotated[float, msgspec.Meta(gt=0, lt=0.5)] = 0.05  # chance of ever seeing a difference that is not there
    window_s: Annotated[float, msgspec.Meta(gt=0)] = 86_400.0
    horizon: Annotated[int, msgspec.Meta(ge=100)] = 10_000  # subjects at which the interval is tightest
    since: Instant | None = None  # when its arms became what they are; set as it is stored, whatever is given

    def __post_init__(self) -> None:
        """Raises ValueError, which msgspec turns into a ValidationError."""
        names = [arm.name for arm in self.arms]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"arms: {doubled[0]!r} is there twice")
        if (total := math.fsum(arm.share for arm in self.arms)) > 1 + 1e-9:
            raise ValueError(f"arms: the shares sum to {total:g}, which is more than everybody (1)")


class Moments(NamedTuple):
    """What the subjects of an arm earned: how many they are, the sum, and the sum of squares."""

    subjects: int = 0
    total: float = 0.0
    squares: float = 0.0

    def plus(self, reward: float) -> Moments:
        """With one subject more."""
        return Moments(self.subjects + 1, self.total + reward, self.squares + reward * reward)

    @property
    def mean(self) -> float:
        """0 of nobody."""
        return self.total / self.subjects if self.subjects else 0.0

    @property
    def variance(self) -> float:
        """Of one subject, unbiased; 0 of fewer than two."""
        if self.subjects < 2:
            return 0.0
        return max(0.0, self.squares - self.total * self.mean) / (self.subjects - 1)


class Effect(NamedTuple):
    """An arm beside the control: the difference of means, per subject. `low`, `high`: infinite while too few are in."""

    arm: str
    value: float
    low: float
    high: float
    verdict: str

    @property
    def conclusive(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def experiment_of(values: object) -> Experiment:
    """An experiment from JSON's values. Raises BadInput naming the field and what is wrong with it."""
    try:
        return msgspec.convert(values, Experiment)
    except msgspec.ValidationError as error:
        known = ", ".join(Experiment.__struct_fields__)
        raise BadInput(f"{error}. Fields of an experiment: {known}.", field="experiment") from None


def begun(before: Experiment | None, after: Experiment, now: datetime) -> Experiment:
    """What is stored where `after` is put in the place of `before`: with the moment from which on its lists count.

    It begins anew where others than before are compared: other arms, shares, salt or placements, or running again.
    """
    if before is not None:
        same = all(getattr(before, field) == getattr(after, field) for field in ("arms", "salt", "placements"))
        if same and (before.running or not after.running):
            return msgspec.structs.replace(after, since=before.since)
    return msgspec.structs.replace(after, since=now)


def place(salt: str, subject: str) -> float:
    """Where a subject lies in [0, 1) for a salt: even, and independent between salts.

    >>> place("a", "u1") == place("a", "u1") != place("b", "u1")
    True
    """
    digest = blake2b(f"{len(salt)}:{salt}{subject}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def assigned(experiment: Experiment, subject: str, placement: str) -> Arm | None:
    """The arm of a subject; None where the experiment is over, is not about this placement, or leaves them out."""
    if not experiment.running or (experiment.placements and placement not in experiment.placements):
        return None
    held = _holder([arm.share for arm in experiment.arms], place(experiment.salt or experiment.name, subject))
    return None if held is None else experiment.arms[held]


def _holder(shares: Sequence[float], at: float) -> int | None:
    """Which of the arms has the point `at` of [0, 1); None: nobody. An arm has as much as its share.

    Each arm has a slot of equal length and fills it from its beginning; what it has beyond that are the ends of other
    arms' slots, from the last point backwards, as deep in all of them. So the empty space lies between those who are at
    home and those who are not, and who grows takes of it first. With three arms or more nothing does better for all
    shares without remembering earlier ones: who keeps what it has whatever the others do has a set that depends on
    nothing but its own share, and three such families of sets do not fit into one whole.

    >>> [_holder([0.6, 0.2], at) for at in (0.0, 0.55, 0.65, 0.75, 0.95)]
    [0, 1, 1, None, 0]
    """
    slot = 1 / len(shares)
    home = min(int(at / slot), len(shares) - 1)
    within = at - home * slot
    if within < shares[home]:
        return home
    depth = math.fsum(max(0.0, slot - max(share, within)) for share in shares)  # free points behind this one, in all
    edge = 0.0
    for arm, share in enumerate(shares):
        if share > slot:
            edge += share - slot
            if depth <= edge + 1e-12:
                return arm
    return None


def effects(experiment: Experiment, earned: Sequence[Moments]) -> list[Effect]:
    """Each arm beside the control (the first), given what the subjects of each earned, in the order of the arms."""
    control, alpha = earned[0], experiment.alpha / (len(experiment.arms) - 1)
    return [
        _effect(experiment, arm, control, mine, alpha)
        for arm, mine in zip(experiment.arms[1:], earned[1:], strict=True)
    ]


def _effect(experiment: Experiment, arm: Arm, control: Moments, mine: Moments, alpha: float) -> Effect:
    value = mine.mean - control.mean
    for who, moments in ((experiment.arms[0].name, control), (arm.name, mine)):
        if moments.subjects < LEAST or _varied(moments) < LEAST_VARIED:
            verdict = (
                f"too early: {who} has {moments.subjects:,} subjects (at least {LEAST}, and {LEAST_VARIED:.0f} rewards)"
            )
            return Effect(arm.name, value, -math.inf, math.inf, verdict)
    n = control.subjects + mine.subjects
    # Each subject's part of the difference (AIPW with the arms' means): its variance by the shares as they turned out
    spread = math.sqrt(n * (control.variance / control.subjects + mine.variance / mine.subjects))
    width = spread * boundary(n, alpha, experiment.horizon)
    low, high = value - width, value + width
    says = "more" if low > 0 else "less" if high < 0 else ""
    verdict = f"earns {says} than {experiment.arms[0].name}" if says else "no difference to be seen so far"
    return Effect(arm.name, value, low, high, verdict)


def mean_within(moments: Moments, alpha: float, horizon: int) -> tuple[float, float]:
    """(low, high) of what one subject of an arm earns, at all times at once; infinite while too few are in."""
    if moments.subjects < LEAST or _varied(moments) < LEAST_VARIED:
        return -math.inf, math.inf
    width = math.sqrt(moments.variance) * boundary(moments.subjects, alpha, horizon)
    return moments.mean - width, moments.mean + width


def boundary(n: int, alpha: float, horizon: int) -> float:
    """Half the width of the confidence sequence after n draws of variance 1, tightest near `horizon` draws.

    >>> round(boundary(10_000, 0.05, 10_000) * 100, 2)  # 1.96 / sqrt(n) would be a look at one time alone
    3.04
    """
    rho2 = (-2 * math.log(alpha) + math.log(-2 * math.log(alpha)) + 1) / horizon  # eq. 16 there
    grown = n * rho2 + 1
    return math.sqrt(2 * grown / (n * n * rho2) * math.log(math.sqrt(grown) / alpha))


def _varied(moments: Moments) -> float:
    """Rewards in the arm, as if they were all alike: (sum)² / sum of squares."""
    return moments.total**2 / moments.squares if moments.squares else 0.0
