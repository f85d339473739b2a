"""What is alive when a process begins to serve is not walked over again, and what comes later still is."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from rec.collector import THRESHOLDS, settle


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


class Knot:
    """An object that holds itself: nothing but the collector takes it away."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_alive_is_frozen_and_garbage_of_before_is_gone() -> None:
    gone = weakref.ref(Knot())
    stays = Knot()
    settle()
    assert gone() is None
    assert gc.get_freeze_count() > 0
    assert all(one is not stays for one in gc.get_objects())
    assert gc.get_threshold() == THRESHOLDS


def test_a_knot_of_later_is_still_untied() -> None:
    settle()
    later = weakref.ref(Knot())
    gc.collect()
    assert later() is None
