"""For every test: a clean environment, a seeded random source, and nothing left behind (see tests/hygiene.py)."""

from __future__ import annotations

import gc
import inspect
import os
import random
import sys
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from blockbuster import blockbuster_ctx

import agents
import rec.embedded
import web
from tests import hygiene, lanes, requirements
from tests.servers import Server, start_kafka, start_tansu

OURS: list[ModuleType] = [rec, agents, web]
SEED = 20_261_123

os.environ["HF_HUB_OFFLINE"] = "1"  # a test that would load a model from a hub fails at once
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# Hundreds of processes are started that import our modules: where nobody may keep them compiled, each compiles them.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


# ---------------------------------------------------------------- nothing survives its test
def pytest_sessionstart(session: pytest.Session) -> None:
    requirements.required()
    hygiene.keep(session, hygiene.alive())


class WiderFixtures:
    """What a fixture of wider scope starts is its own, until it ends.

    A plugin of its own: pytest calls a conftest's hooks for what lies below its folder, and fixtures of session
    scope belong to the root of the project.
    """

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Iterator[None]:
        if fixturedef.scope == "function":
            return (yield)
        before = hygiene.alive()
        try:
            return (yield)
        finally:
            hygiene.keep(fixturedef, hygiene.alive().beyond(before))

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[Any]) -> None:
        hygiene.release(fixturedef)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(WiderFixtures(), "hygiene of wider fixtures")
    lanes.share_the_cores(config)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """After all fixtures of the test are down: no thread, process or listening socket of it is left."""
    yield
    if left := hygiene.leftovers():
        hygiene.keep(item, left)  # told once, by the test that did it
        pytest.fail(f"left behind: {left}", pytrace=False)


@pytest.fixture
async def _loop_watch() -> AsyncIterator[None]:
    import asyncio

    watch = hygiene.LoopWatch(asyncio.get_running_loop())
    yield
    tasks = await watch.surviving()
    names = [f"{task.get_name()} {task.get_coro()}" for task in tasks]
    del tasks
    gc.collect(1)  # a task that failed unseen says so when it is collected
    watch.restore()
    if names or watch.reports:
        pytest.fail("\n".join([*(f"task left behind: {n}" for n in names), *watch.reports]), pytrace=False)


@pytest.fixture(autouse=True)
def _clean_loop(request: pytest.FixtureRequest) -> None:
    """A coroutine test ends with no task of its own and no exception that nobody awaited."""
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("_loop_watch")


@pytest.fixture(scope="session", autouse=True)
def _nothing_of_ours_blocks_the_loop() -> Iterator[None]:
    """A blocking call (file, socket, sleep, lock) under a frame of rec, agents or web inside an event loop raises."""
    # rec.embedded is left out: it starts programs, and serves nobody meanwhile.
    with blockbuster_ctx(scanned_modules=OURS, excluded_modules=[rec.embedded]) as guard:
        for function in guard.functions.values():  # asyncpg looks for ~/.pgpass and certificates as it connects
            function.can_block_in("asyncpg/connect_utils.py", {"_parse_connect_arguments"})
        yield


# ---------------------------------------------------------------- the same start for all
@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No REC_* variable and no .env of the developer's reaches a test."""
    from rec.config import Settings

    for name in [name for name in os.environ if name.startswith("REC_") and not name.startswith("REC_TEST_")]:
        monkeypatch.delenv(name)
    monkeypatch.setitem(Settings.model_config, "env_file", None)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(SEED)
    np.random.seed(SEED)


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with the same seed in every test."""
    return np.random.default_rng(SEED)


# ---------------------------------------------------------------- one of each for the whole run
@pytest.fixture(scope="session")
def tansu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_tansu(tmp_path_factory.mktemp("tansu")) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start_kafka(tmp_path_factory.mktemp("kafka")) as server:
        yield server


# ---------------------------------------------------------------- several processes: pytest -n 2
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    lanes.put_in_order(items)


def pytest_runtest_setup(item: pytest.Item) -> None:
    lanes.check(item)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return lanes.scheduler(config, log)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """What a process of several did not find, for the last line that the first of them writes."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["missing"] = requirements.missing


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    requirements.missing.update(getattr(node, "workeroutput", {}).get("missing", {}))


# ---------------------------------------------------------------- which backends ran
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.when == "call" and not report.skipped:
        requirements.note_run(list(report.keywords))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(requirements.summary())
