"""Children that compute, without the seconds in which each of them would import torch, transformers and peft."""

from __future__ import annotations

import multiprocessing

import pytest

IMPORTED = (
    "tests.agents.level",
    "rec.model.child",
    "rec.model.lineage",
    "rec.model.tuner",
    "rec.model.tuning",
    "transformers.models.auto",
    "torch._dynamo",
)


@pytest.fixture
def warm_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of `agents.process` are forked from a server that has imported what they need, and has done no more.

    They do not step back behind everybody else (tests/agents/level.py). Else they are as in production: of their
    own, killed alone, gone with their parent.
    """
    forkserver = multiprocessing.get_context("forkserver")
    forkserver.set_forkserver_preload(list(IMPORTED))
    monkeypatch.setattr("agents.process.SPAWN", forkserver)
