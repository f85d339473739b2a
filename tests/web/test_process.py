"""`python -m web` as a process: it says where it listens, and ends within seconds when it is told to."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from aiohttp import ClientSession

from rec.store.sql.schema import migrate
from tests.web.world import API_KEY, BACKEND, SECRET, Socket


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "REC_BROKER_URL": "memory://",
        "REC_REDIS_URL": "memory://",
        "REC_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/rec.db",
        "REC_API_KEY": API_KEY,
        "REC_TOKEN_SECRET": SECRET,
        "REC_PORT": "0",
        "REC_PORT_FILE": str(folder / "port"),
        **more,
    }


async def start(env: dict[str, str], folder: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "web", env=env, cwd=folder, stderr=asyncio.subprocess.PIPE
    )


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    await migrate(f"sqlite+aiosqlite:///{tmp_path}/rec.db")
    return tmp_path


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_listens_and_tells_its_clients_goodbye(database: Path, number: int) -> None:
    process = await start(environment(database), database)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30), ClientSession() as http:
            line = ""
            while "listening on" not in line:
                line = (await process.stderr.readline()).decode()
                assert line, "it ended"
            url = line.rpartition(" ")[2].strip()
            while not (database / "port").exists():
                await asyncio.sleep(0.01)
            assert url.endswith(":" + (database / "port").read_text().strip())
            async with http.post(f"{url}/v1/tokens", json={"user_id": "u1"}, headers=BACKEND) as response:
                token = (await response.json())["token"]
            async with http.ws_connect(f"{url}/v1/ws", protocols=["shunxi.v1"]) as ws:
                socket = Socket(ws)
                assert "connect" in await socket.ask("connect", token=token)
                async with http.ws_connect(f"{url}/v1/ws", protocols=["shunxi.v1"]):
                    started = time.monotonic()
                    process.send_signal(number)
                    assert (await socket.closed()).code == 4001
                    assert await process.wait() == 0
                    assert time.monotonic() - started < 5
            rest = (await process.stderr.read()).decode()
            assert "Traceback" not in rest
            assert "/v1/tokens" not in rest  # no line for each request, unless they are asked for
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


UNREADABLE = [
    b"GET /v1/recommendations?user_id=SECRETUSER&x=" + b"y" * 50_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SECRETUSER" + b"y" * 9_000 + b"\r\n\r\n",
    b"POST /v1/events HTTP/1.1\r\nHost: SECRETUSER\r\nContent-Length: -4\r\n\r\n",
    b"\x16\x03\x01SECRETUSER\r\n\r\n",
]


async def test_what_is_no_http_is_refused_and_neither_quoted_in_the_log_nor_an_error_of_ours(database: Path) -> None:
    process = await start(environment(database, REC_ACCESS_LOG="true"), database)
    assert process.stderr is not None
    try:
        async with asyncio.timeout(30):
            line = ""
            while "listening on" not in line:
                line = (await process.stderr.readline()).decode()
                assert line, "it ended"
            port = int(line.rpartition(":")[2])
            for request in UNREADABLE:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.write(request)
                assert (await reader.readline()).split()[1:2] == [b"400"]
                writer.close()
                await writer.wait_closed()
            process.send_signal(signal.SIGTERM)
            rest = (await process.stderr.read()).decode()
            assert await process.wait() == 0
        assert "SECRETUSER" not in rest
        assert "AssertionError" not in rest
        assert rest.count("unmatched 400") == len(UNREADABLE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("command", [("web",), ("agents", "archiver")])
async def test_a_misspelt_setting_is_named_once_with_the_one_that_was_meant(
    database: Path, command: tuple[str, ...]
) -> None:
    env = environment(database, REC_SEEEN="exclude", REC_HOST="203.0.113.1", REC_DATABASE_URL="nonsense")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, env=env, cwd=database, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode in (3, 4)
    assert said.decode().count("WARNING rec: nothing reads REC_SEEEN (did you mean REC_SEEN?)\n") == 1
    assert "REC_PORT_FILE" not in said.decode()


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ({"REC_API_KEY": ""}, 3, "REC_API_KEY"),
        ({"REC_TOKEN_SECRET": "short"}, 3, "at least 32 characters"),
        ({"REC_PORT": "web"}, 3, "REC_PORT"),
        ({"REC_HOST": "203.0.113.1"}, 4, "Cannot listen"),
    ],
)
async def test_a_wrong_setting_is_one_line_and_an_exit_code(
    database: Path, more: dict[str, str], code: int, words: str
) -> None:
    process = await start(environment(database, **more), database)
    try:
        _, said = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == code
        assert words in said.decode()
        assert "Traceback" not in said.decode()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
