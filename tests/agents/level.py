"""Imported by a process of the tests that starts children which compute: they are not behind everybody else in it.

Where two tests run side by side on two cores, what others leave of the CPU is next to nothing. That such children do
step back is tested in tests/unit/test_encoder_process.py.
"""

from __future__ import annotations

from rec.model import background


def _stay() -> None:
    """In place of `rec.model.background.step_back`."""


background.step_back = _stay
