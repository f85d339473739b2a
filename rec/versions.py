"""Versions of the model, and the rules of every registry of them: which may go live, what becomes of the others.

    record ──▶ held ──go_live──▶ live ──another goes live──▶ past, or rolled_back if it was found worse
                 └────────────────┴──withdraw──▶ withdrawn  (a live one keeps serving until another goes live)

Invariant: at most one version is live; `withdrawn` never becomes false again. The gate that nobody has trained has
learned from nobody: no erasure concerns it, and it is always a way back.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from rec.contest import UNTAUGHT
from rec.errors import ModelError, NotFound

BASE = "base"  # of a version's config: the version that its weights are a delta against

LIVE, PAST, HELD, ROLLED_BACK, WITHDRAWN = STATES = ("live", "past", "held", "rolled_back", "withdrawn")


class ModelVersion(NamedTuple):
    """One version: what it learned from, where its weights lie, how good it was found.

    `metrics` were measured before it learned from what they measure; those of the version that was live at the time are
    under the same names with `live_` before them (`nll`, `live_nll`; `hr@10`, `live_hr@10`).
    """

    version: str
    parent: str | None  # the version whose weights it began with
    state: str  # one of STATES
    digest: str  # rec.model.checkpoint.digest_of its weights
    offset: int  # next offset of the examples topic when it was made
    learned_through: datetime | None  # time of the newest example it learned from
    created_at: datetime
    config: dict[str, Any]
    metrics: dict[str, float]
    url: str | None  # its checkpoint is `version` under this URL; None: no weights are kept
    note: str
    withdrawn: bool = False  # learned from what was erased since; `state` says so as well unless it is live


def storable(version: ModelVersion, known: ModelVersion | None = None) -> ModelVersion:
    """The version as a registry stores it: instants in UTC, plain JSON, no metric that is no number.

    Recording one again (`known`) changes neither what is live nor what is withdrawn: that is for go_live and withdraw.
    ModelError for a new one that calls itself live. ValueError for an unknown state, or a time without a zone.
    """
    if version.state not in STATES:
        raise ValueError(f"{version.state!r} is no state of a model version; there are {', '.join(STATES)}")
    withdrawn = version.withdrawn or version.state == WITHDRAWN or (known is not None and known.withdrawn)
    state = version.state
    if not may_be_withdrawn(version):  # a registry may have it as withdrawn all the same: it once did that
        withdrawn, state = False, HELD if state == WITHDRAWN else state
    if LIVE in (state, known.state if known else None):
        if known is None:
            raise ModelError(f"{version.version} was not recorded yet: record it as held, then let it go live")
        state = known.state
    if withdrawn and state != LIVE:
        state = WITHDRAWN
    return version._replace(
        state=state,
        withdrawn=withdrawn,
        learned_through=version.learned_through and _utc(version.learned_through),
        created_at=_utc(version.created_at),
        config=msgspec.to_builtins(version.config),
        metrics={name: number for name, value in version.metrics.items() if math.isfinite(number := float(value))},
    )


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a datetime without a time zone cannot be stored")
    return at.astimezone(UTC)


def may_be_pinned(name: str, version: ModelVersion | None) -> ModelVersion:
    """The version, if it may stay; one that must be replaced cannot hold its successor back."""
    if version is None:
        raise unknown(name)
    if version.withdrawn:
        raise ModelError(
            f"{name} is withdrawn: it learned from events that were erased since. Choose one that is not: "
            "rec models list",
            code="model_withdrawn",
        )
    return version


def may_go_live(name: str, version: ModelVersion | None, pinned: str | None) -> ModelVersion:
    """The version, if it may serve while `pinned` is; NotFound or ModelError that says why not and what to do."""
    version = may_be_pinned(name, version)
    if not has_weights(version):
        raise ModelError(
            f"{name} has no weights any more. Choose one that has some: rec models list", code="model_without_weights"
        )
    if pinned not in (None, name):
        raise ModelError(
            f"{pinned} is pinned, so {name} does not go live by itself. To let the trainer choose again: "
            "rec models promote --automatic",
            code="model_pinned",
        )
    return version


def unknown(name: str) -> NotFound:
    return NotFound(f"There is no model version {name}. See which there are: rec models list", field="version")


def replaced(live: ModelVersion, rolled_back: bool) -> str:
    """The state of the live version when another has gone live."""
    return WITHDRAWN if live.withdrawn else ROLLED_BACK if rolled_back else PAST


def untaught(now: datetime) -> ModelVersion:
    """The row of the gate that nobody has taught. It is in every installation and has no files; the row is made when
    it has to serve."""
    return ModelVersion(UNTAUGHT, None, HELD, "", 0, None, now, {}, {}, None, "never trained")


def has_weights(version: ModelVersion) -> bool:
    """Whether it can serve: a row that tells of a hold cannot. Those of `gate-0` are code."""
    return version.url is not None or version.version == UNTAUGHT


def may_be_withdrawn(version: ModelVersion) -> bool:
    """Whether an erasure concerns it: `gate-0` has learned from nobody."""
    return version.version != UNTAUGHT


def withdrawn_state(version: ModelVersion) -> str:
    return LIVE if version.state == LIVE else WITHDRAWN


def prunable(
    versions: Sequence[ModelVersion], keep: int, needed: Collection[str], pinned: str | None
) -> list[ModelVersion]:
    """Of all versions, oldest first: those that may go, oldest first.

    The newest `keep` stay, the live one, the pinned one and the `needed`; and whatever one of these is a delta against.
    """
    stay = {each.version for each in versions[max(0, len(versions) - keep) :]} | {pinned, *needed}
    stay |= {each.version for each in versions if each.state == LIVE}
    stay |= {each.config.get(BASE) for each in versions if each.version in stay}
    return [each for each in versions if each.version not in stay]


def ways_back(earlier: Iterable[ModelVersion]) -> list[ModelVersion]:
    """Where a rollback may lead, best first. `earlier` are the versions older than the live one, newest first.

    First those that have served, then those that never did. One that was rolled back is none: it was found worse.
    """
    usable = [each for each in earlier if has_weights(each) and not each.withdrawn and each.state in (PAST, HELD)]
    return sorted(usable, key=lambda each: each.state != PAST)
