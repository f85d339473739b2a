"""How a **child process that computes** begins: behind everybody else, quiet at Ctrl-C, gone with its parent.

Of the encoder (`encoder.warm`), of the trainer (`child.begin`) and of the encoder's tuning (`tuner.begin`). No torch as
it loads: the parents import the modules of their children, too.

Behind everybody else is SCHED_IDLE where there is one (Linux, sched(7)): a low `nice` alone still holds each waking
process up for the rest of its slice, and an event wakes six of them on its way to the screen.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import wait
from typing import TypeVar

T = TypeVar("T")


def begin_background(threads: int, *, urgent: bool = False) -> None:
    """First thing in a child: Ctrl-C and the parent's end are the parent's; torch uses no more than `threads`.

    `urgent`: somebody will wait for its answers. Then it loads behind everybody else, and answers like anybody.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    if not urgent:
        step_back()
    load_aside(_import_torch)
    import torch

    torch.set_num_threads(threads)


def load_aside(load: Callable[..., T], *args: object) -> T:
    """What `load(*args)` returns, made by a thread behind everybody else in a process that is not.

    (On Linux a thread has a priority of its own. It cannot take a low one back, but it ends.)
    """
    with ThreadPoolExecutor(1, initializer=step_back if sys.platform == "linux" else None) as aside:
        return aside.submit(load, *args).result()


def step_back() -> None:
    """The calling thread, and what it starts from now on, gets what others leave of the CPU; elsewhere the process."""
    os.nice(10)
    if sys.platform == "linux":
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _import_torch() -> None:
    import torch  # noqa: F401  seconds of CPU


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its children: end with it, whatever is being computed."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(0)
