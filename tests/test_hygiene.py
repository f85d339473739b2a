"""The net itself: each kind of leftover is caught, and a clean test is not troubled."""

from __future__ import annotations

import pytest
from blockbuster import BlockingError

import rec

pytest_plugins = ["pytester"]

CONFTEST = 'pytest_plugins = ["tests.conftest"]'

LEFTOVERS = {  # what a test does, and what pytest then says
    "thread": (
        """
        import threading
        def test_it(): threading.Thread(target=threading.Event().wait, args=(6,), daemon=True).start()
        """,
        "*left behind: thread*",
    ),
    "process": (
        """
        import subprocess
        def test_it(): subprocess.Popen(["sleep", "6"])
        """,
        "*left behind: process*sleep 6*",
    ),
    "forked process": (
        """
        import multiprocessing, signal
        forked = multiprocessing.get_context("forkserver")
        def test_it(): forked.Process(target=signal.pause, daemon=True).start()
        """,
        "*left behind: process*",
    ),
    "socket": (
        """
        import socket
        kept = []
        def test_it(): kept.append(socket.create_server(("127.0.0.1", 0)))
        """,
        "*left behind: listening socket 127.0.0.1:*",
    ),
    "task": (
        """
        import asyncio
        kept = []
        async def test_it(): kept.append(asyncio.create_task(asyncio.sleep(9)))
        """,
        "*task left behind:*sleep*",
    ),
    "callback": (
        """
        import asyncio
        async def test_it():
            asyncio.get_running_loop().call_soon(lambda: 1 / 0)
            await asyncio.sleep(0)
        """,
        "*ZeroDivisionError*",
    ),
}


@pytest.fixture
def inner(pytester: pytest.Pytester, request: pytest.FixtureRequest) -> pytest.Pytester:
    """A project with our conftest in force."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyprojecttoml(
        f"""
        [tool.pytest.ini_options]
        asyncio_mode = "auto"
        asyncio_default_fixture_loop_scope = "function"
        pythonpath = [{str(request.config.rootpath)!r}]
        """
    )
    return pytester


@pytest.mark.parametrize(("body", "said"), LEFTOVERS.values(), ids=LEFTOVERS)
def test_what_a_test_leaves_behind_fails_it(inner: pytest.Pytester, body: str, said: str) -> None:
    inner.makepyfile(body)
    result = inner.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([said])


def test_it_fails_in_each_of_several_processes_too(inner: pytest.Pytester) -> None:
    inner.makepyfile(**{f"test_{name.replace(' ', '_')}": body for name, (body, _) in LEFTOVERS.items()})
    result = inner.runpytest_subprocess("-n2")
    result.assert_outcomes(passed=len(LEFTOVERS), errors=len(LEFTOVERS))
    result.stdout.fnmatch_lines_random([said for _, said in LEFTOVERS.values()])


def test_what_a_session_fixture_starts_may_stay_until_it_ends(inner: pytest.Pytester) -> None:
    inner.makepyfile(
        """
        import socket, pytest
        @pytest.fixture(scope="session")
        def server():
            with socket.create_server(("127.0.0.1", 0)) as s:
                yield s
        def test_one(server): pass
        async def test_two(server): pass
        """
    )
    inner.runpytest_subprocess().assert_outcomes(passed=2)


def test_a_required_backend_that_is_missing_fails_instead_of_skipping(
    inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner.makepyfile("from tests.requirements import require\ndef test_it(): require('kafka', 'no java')")
    monkeypatch.delenv("REC_TEST_REQUIRE", raising=False)
    skipped = inner.runpytest_subprocess()
    skipped.assert_outcomes(skipped=1)
    skipped.stdout.fnmatch_lines(["*skipped, not there: kafka (no java)*"])
    inner.runpytest_subprocess("-n1").stdout.fnmatch_lines(["*skipped, not there: kafka (no java)*"])
    monkeypatch.setenv("REC_TEST_REQUIRE", "redis,kafka")
    inner.runpytest_subprocess().assert_outcomes(failed=1)


def test_settings_of_the_machine_do_not_reach_a_test(inner: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    inner.makepyfile("import os\ndef test_it(): assert 'REC_PORT' not in os.environ")
    monkeypatch.setenv("REC_PORT", "1")
    inner.runpytest_subprocess().assert_outcomes(passed=1)


async def test_a_blocking_call_of_ours_inside_the_loop_raises() -> None:
    ours = compile("import time\ntime.sleep(0.001)", rec.__file__, "exec")
    with pytest.raises(BlockingError):
        exec(ours, {})
