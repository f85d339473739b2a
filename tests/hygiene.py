"""What a test may leave behind: nothing. Threads, child processes, listening sockets and tasks are counted.

What a fixture of wider scope (session, module, class) starts is its own until that fixture ends; anything else that
is alive after a test's teardown fails that test. `keep` registers what starts late inside such a fixture.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import psutil

GRACE_S = 2.0  # a closed connection's callbacks and a killed child's reaping take a moment
# Started once by a library, for ever, by design.
LIBRARY_THREADS = ("asyncio_waitpid", "tqdm_monitor", "pytest_timeout")
FORKSERVER = "multiprocessing.forkserver"


class Alive(NamedTuple):
    """What this process has running: threads and processes by identity, listening addresses."""

    threads: frozenset[tuple[int, str]]
    children: frozenset[tuple[int, str]]
    sockets: frozenset[str]

    def beyond(self, known: Alive) -> Alive:
        return Alive(self.threads - known.threads, self.children - known.children, self.sockets - known.sockets)

    def joined(self, other: Alive) -> Alive:
        return Alive(self.threads | other.threads, self.children | other.children, self.sockets | other.sockets)

    def __bool__(self) -> bool:
        return bool(self.threads or self.children or self.sockets)

    def __str__(self) -> str:
        parts = [f"thread {name!r}" for _, name in self.threads]
        parts += [f"process {pid} ({name})" for pid, name in self.children]
        parts += [f"listening socket {address}" for address in self.sockets]
        return ", ".join(sorted(parts))


NOTHING = Alive(frozenset(), frozenset(), frozenset())
_me = psutil.Process()
_kept: dict[object, Alive] = {}  # fixture → what it has started


def alive() -> Alive:
    """Now. Children are direct ones: what a child starts is the child's to end, and ends with its group."""
    threads = frozenset(
        (thread.ident or 0, thread.name)
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.name.startswith(LIBRARY_THREADS)
    )
    children = {(child.pid, _name(child)) for child in _children(_me) if _runs(child)}
    for pid, name in list(children):
        if "multiprocessing.resource_tracker" in name or FORKSERVER in name:  # Python's own, to the end of the session
            children.remove((pid, name))
        if FORKSERVER in name:  # what it forks is ours
            children |= {(child.pid, _name(child)) for child in _children(psutil.Process(pid)) if _runs(child)}
    sockets = frozenset(
        f"{c.laddr.ip}:{c.laddr.port}" for c in _me.net_connections("inet") if c.status == psutil.CONN_LISTEN
    )
    return Alive(threads, frozenset(children), sockets)


def _children(parent: psutil.Process) -> list[psutil.Process]:
    """Direct ones, as Linux lists them: psutil would read each process of the machine, after each test."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{parent.pid}/task").glob("*/children")]
    except OSError:  # a thread has just ended
        lists = []
    found = []
    for pid in " ".join(lists).split():
        with contextlib.suppress(psutil.Error):
            found.append(psutil.Process(int(pid)))
    return found if lists else parent.children()


def _name(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()[:4])[:120] or process.name()
    except psutil.Error:
        return "?"


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def keep(owner: object, started: Alive) -> None:
    """`started` belongs to `owner`, a fixture of wider scope, until `release`."""
    if started:
        _kept[owner] = _kept.get(owner, NOTHING).joined(started)


def release(owner: object) -> None:
    """The fixture is over: from now on what it started must be gone."""
    _kept.pop(owner, None)


def leftovers(grace_s: float = GRACE_S) -> Alive:
    """What is alive and nobody's, after up to `grace_s` for it to go."""
    deadline = time.monotonic() + grace_s
    while True:
        known = NOTHING
        for started in _kept.values():
            known = known.joined(started)
        if not (left := alive().beyond(known)) or time.monotonic() > deadline:
            return left
        time.sleep(0.02)


class LoopWatch:
    """Collects what the event loop reports as unhandled, and tells which tasks outlive the test."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.reports: list[str] = []
        self._before: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], Any] | None = loop.get_exception_handler()
        self._loop = loop
        loop.set_exception_handler(self._handle)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.reports.append(f"{context.get('message')}: {error!r}" if error else str(context.get("message")))

    async def surviving(self, grace_s: float = GRACE_S) -> list[asyncio.Task[Any]]:
        """Tasks still pending, the caller's own left out, after up to `grace_s` for them to end."""
        deadline = time.monotonic() + grace_s
        while True:
            tasks = [t for t in asyncio.all_tasks(self._loop) if t is not asyncio.current_task() and not t.done()]
            if not tasks or time.monotonic() > deadline:
                return tasks
            await asyncio.sleep(0.01)

    def restore(self) -> None:
        self._loop.set_exception_handler(self._before)
