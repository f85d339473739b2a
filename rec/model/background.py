"""How a **child process that computes** begins: low in priority, quiet at Ctrl-C, gone with its parent.

Of the encoder (`encoder.warm`), of the trainer (`child.begin`) and of the encoder's tuning (`tuner.begin`). No torch as
it loads: the parents import the modules of their children, too.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import wait


def begin_background(niceness: int, threads: int) -> None:
    """First thing in a child: Ctrl-C and the parent's end are the parent's; torch uses no more than `threads`.

    `niceness` is added to the parent's, 19 is the most there is.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(niceness)
    _end_with_parent()
    import torch

    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A parent that was killed cannot tell its children: end with it, whatever is being computed."""
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent.sentinel,), daemon=True).start()


def _end_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(0)
