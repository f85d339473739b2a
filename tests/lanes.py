"""Which tests run side by side where pytest has several processes (`pytest -n 2`), and which begin first.

A file stays together, as its fixtures of module scope do. What shares what takes seconds to start is one lane: a real
Kafka, and the server that has imported torch for the children of tests/agents (`warm_children`).
The long files begin first: else one process would still be at work on one of them when the other has nothing left.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

KAFKA, CHILDREN = "kafka", "warm children"
ON_KAFKA = (
    "tests/faults/test_faults.py",
    "tests/faults/test_secure_kafka.py",
    "tests/contracts/test_broker_faults.py",
    "tests/contracts/test_log.py",
    "tests/contracts/test_faust_fixes.py",
    "tests/cli/test_doctor.py",
    "tests/cli/test_event_commands.py",
    "tests/cli/test_feedback_export.py",
    "tests/cli/test_topics.py",
)
ON_WARM_CHILDREN = (
    "tests/agents/test_trainer.py",
    "tests/agents/test_epochs.py",
    "tests/agents/test_deltas.py",
    "tests/agents/test_encoding.py",
    "tests/agents/test_query_encoder.py",
    "tests/agents/test_rewards.py",
)
LONG = (
    "tests/faults/test_embedded_faults.py",
    "tests/faults/test_join.py",
    "tests/test_tutorial.py",
    "tests/embedded/test_up.py",
    "tests/test_hygiene.py",
)
LANES = {KAFKA: ON_KAFKA, CHILDREN: ON_WARM_CHILDREN}


def lane(nodeid: str) -> str:
    """What a test must run together with, and in one process."""
    path = _path(nodeid)
    return next((name for name, paths in LANES.items() if path in paths), path)


def _path(nodeid: str) -> str:
    return nodeid.split("::", 1)[0]


def put_in_order(items: list[pytest.Item]) -> None:
    """The long files first, the others as they were found."""
    order = {path: place for place, path in enumerate((*ON_KAFKA, *ON_WARM_CHILDREN, *LONG))}
    items.sort(key=lambda item: order.get(_path(item.nodeid), len(order)))


def check(item: pytest.Item) -> None:
    """Fail a test that would start anew, beside its lane, what the lane shares."""
    mine = lane(item.nodeid)
    if item.get_closest_marker("needs_kafka") and mine != KAFKA:
        pytest.fail("it needs Kafka: name its file in tests/lanes.py, ON_KAFKA", pytrace=False)
    if "warm_children" in getattr(item, "fixturenames", ()) and mine != CHILDREN:
        pytest.fail("it has warm children: name its file in tests/lanes.py, ON_WARM_CHILDREN", pytrace=False)


class Lanes(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
    """Each process takes the next lane when it is nearly done with the one before."""

    def _split_scope(self, nodeid: str) -> str:
        return lane(nodeid)


def scheduler(config: pytest.Config, log: Any) -> Lanes:
    """For the hook pytest_xdist_make_scheduler. The order is that of collection, not by how many tests a file has."""
    config.option.loadscopereorder = False
    return Lanes(config, log)


def share_the_cores(config: pytest.Config) -> None:
    """Several processes, and what they start, compute with their share of the cores: more threads wait for each other.

    Call it before they start; they have the environment of this one.
    """
    if count := getattr(config.option, "numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
