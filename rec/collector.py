"""Python's cyclic garbage collector, kept from stopping the loop. Once a process, when it begins to serve.

A full collection walks over every container that is alive, imports included: of a worker with torch these are some
300,000, and the walk stops the event loop for 200 ms. What is there when a process begins to serve stays until its
end, so it is frozen: never walked over again (`gc.freeze`). The young generations are given more room, too: what a
list or an event leaves behind goes by its reference count, with no collector at all.
"""

from __future__ import annotations

import gc

THRESHOLDS = (10_000, 20, 20)  # new containers until the youngest are looked at; times of that until the next older


def settle() -> None:
    """Collect once, then leave alone what is alive. Takes a fraction of a second: do it before anybody waits."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
