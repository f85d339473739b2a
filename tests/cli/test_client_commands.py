"""`rec track`, `rec watch`, `rec search`: data on stdout, messages on stderr, exit codes that name the fault."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.cli.runner import rec
from tests.client.fake_server import WAIT_S, FakeServer, a_slate


# ---------------------------------------------------------------- track
async def test_track_sends_one_event_and_says_that_it_was_accepted(server: FakeServer) -> None:
    done = await rec("track", "purchase", "sku_1", "sku_2", "--user", "u1", "--value", "9.5", "--currency", "EUR")
    assert (done.code, done.out) == (0, "accepted\n")
    assert "rec watch u1" in done.err
    (event,) = server.calls[0].body["events"]
    assert (event["event"], event["value"], event["currency"]) == ("purchase", 9.5, "EUR")
    assert event["items"] == [{"item_id": "sku_1"}, {"item_id": "sku_2"}]


async def test_track_json_is_the_acknowledgment(server: FakeServer) -> None:
    done = await rec("track", "search", "--query", "tent", "--visitor", "v1", "--event-id", "e1", "--json")
    assert done.lines == [{"accepted": 1, "duplicates": 0, "rejected": []}]
    assert server.event_ids == [["e1"]]


async def test_a_repeated_event_is_named_a_duplicate(server: FakeServer) -> None:
    server.http["POST /v1/events"] = lambda request, body: {"accepted": 0, "duplicates": 1, "rejected": []}
    done = await rec("track", "view_item", "x", "--user", "u1", "--event-id", "e1")
    assert (done.code, done.out) == (0, "duplicate\n")


async def test_an_event_that_the_server_does_not_take_is_a_failed_call(server: FakeServer) -> None:
    rejected = {
        "index": 0,
        "code": "unknown_event",
        "message": "There is no event 'veiw_item'. Did you mean view_item?",
    }
    server.http["POST /v1/events"] = lambda request, body: {"accepted": 0, "duplicates": 0, "rejected": [rejected]}
    done = await rec("track", "veiw_item", "x", "--user", "u1")
    assert (done.code, done.out) == (1, "")
    assert "Did you mean view_item?" in done.err
    done = await rec("track", "veiw_item", "x", "--user", "u1", "--json")
    (said,) = done.lines
    assert (done.code, said["error"]["code"], said["error"]["message"]) == (1, "unknown_event", rejected["message"])


@pytest.mark.parametrize(("status", "code"), [(400, 1), (401, 1), (403, 1), (404, 1), (413, 1), (501, 1), (503, 4)])
async def test_what_a_server_refuses_is_a_failed_call_and_not_a_wrong_use(
    server: FakeServer, status: int, code: int
) -> None:
    server.http["GET /v1/search"] = lambda request, body: web.Response(status=status)
    done = await rec("search", "tent", "--user", "u1", "--json")
    assert done.code == code
    assert "error" in done.lines[0]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
async def test_a_value_that_json_cannot_carry_is_refused_by_name(server: FakeServer, value: str) -> None:
    done = await rec("track", "purchase", "x", "--user", "u1", "--value", value)
    assert (done.code, done.out, server.calls) == (2, "", [])
    assert done.err.startswith("rec: value: ")


async def test_an_id_that_no_path_can_carry_is_refused_before_it_is_sent(server: FakeServer) -> None:
    for argv in (["--user", ".."], ["--user", "u1", "--event-id", "."]):
        done = await rec("track", "view_item", "x", *argv)
        assert (done.code, server.calls) == (2, [])
        assert 'not "." or ".."' in done.err
    assert "items[0].item_id" in (await rec("track", "view_item", ".", "--user", "u1")).err


@pytest.mark.parametrize(
    ("argv", "code", "says"),
    [
        (["track"], 2, "Missing argument"),
        (["track", "view_item", "x"], 2, "user_id or a visitor_id"),
        (["track", "view_item", "--user", "u1"], 2, "view_item needs at least one item: rec track view_item ITEM"),
        (["up", "--rate", "5"], 2, "Add --shoppers, or leave it out"),
        (["track", "view_item", "x", "--user", "u1", "--value", "much"], 2, "not a valid float"),
        (["track", "view_item", "x", "--user", "u1", "--url", "nowhere"], 2, "http://host:port"),
        (["watch"], 2, "Missing argument"),
        (["watch", "u1", "--n", "201"], 2, "1<=x<=200"),
        (["watch", "u1", "--placement", "a b"], 2, "placement"),
        (["search", "tent"], 2, "--user"),
        (["search", "", "--user", "u1"], 2, "q has 0 characters. Send 1 to 1024 characters"),
        (["search", "tent", "--user", "u1", "--page", "2"], 2, "Send search.next of the slate before"),
        (["track", "view_item", "x", "--user", "u1", "--url", "http://127.0.0.1:1", "--timeout", "0.2"], 4, "rec up"),
    ],
)
async def test_exit_codes_and_messages(server: FakeServer, argv: list[str], code: int, says: str) -> None:
    done = await rec(*argv)
    assert (done.code, done.out) == (code, "")
    assert says in done.err


async def test_a_server_that_hangs_is_a_timeout(server: FakeServer) -> None:
    async def hang(request: web.Request, body: Any) -> Any:
        await server.stopping.wait()

    server.http["POST /v1/events"] = hang
    done = await rec("track", "view_item", "x", "--user", "u1", "--timeout", "0.2")
    assert (done.code, done.out) == (5, "")


async def test_without_a_key_the_remedies_are_named(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REC_API_KEY")
    done = await rec("track", "view_item", "x", "--user", "u1")
    assert done.code == 3
    assert "--api-key" in done.err
    assert "REC_API_KEY" in done.err


async def test_the_rec_up_of_this_folder_is_found(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("REC_API_KEY")
    monkeypatch.delenv("REC_URL")
    folder = tmp_path / ".rec"
    folder.mkdir()
    (folder / "port").write_text(server.url.rpartition(":")[2] + "\n")
    (folder / "secrets.json").write_text(json.dumps({"api_key": "made", "token_secret": "…"}))
    assert (await rec("track", "view_item", "x", "--user", "u1")).code == 0
    assert server.calls[0].authorization == "Bearer made"


# ---------------------------------------------------------------- watch
async def push_when_subscribed(server: FakeServer, version: int) -> None:
    socket = await server.socket()
    await socket.subscribed()
    await socket.push(a_slate(version))


async def test_watch_json_gives_one_list_a_line(server: FakeServer) -> None:
    pushing = asyncio.create_task(push_when_subscribed(server, 7))
    done = await rec("watch", "u1", "--json", "--count", "1", "--n", "3")
    await pushing
    assert done.code == 0
    (slate,) = done.lines
    assert (slate["version"], [item["item_id"] for item in slate["items"]]) == (7, ["i0", "i1", "i2"])


async def test_watch_in_a_pipe_prints_a_table_for_each_list(server: FakeServer) -> None:
    pushing = asyncio.create_task(push_when_subscribed(server, 7))
    done = await rec("watch", "u1", "--count", "1")
    await pushing
    assert "home of u1 · version 7 · because of request" in done.out
    assert "Item 0" in done.out
    assert "\x1b" not in done.out


async def test_watch_tells_lost_connections_on_stderr_and_goes_on(server: FakeServer) -> None:
    async def cut_then_push() -> None:
        socket = await server.socket()
        await socket.subscribed()
        await socket.close(4008)
        again = await server.socket(2)
        await again.subscribed()
        await again.push(a_slate(2))

    pushing = asyncio.create_task(cut_then_push())
    done = await rec("watch", "u1", "--json", "--count", "1")
    await pushing
    assert [line["version"] for line in done.lines] == [2]
    assert "reconnecting" in done.err
    assert "trying again in" in done.err


async def test_watch_ends_with_the_reason_of_a_final_close(server: FakeServer) -> None:
    async def forbid() -> None:
        socket = await server.socket()
        await socket.subscribed()
        await socket.close(4503)

    closing = asyncio.create_task(forbid())
    done = await rec("watch", "u1", "--json")
    await closing
    assert (done.code, done.lines[0]["error"]["code"]) == (1, "forced")
    assert "4503" in done.err


async def test_watch_waits_for_the_first_list_no_longer_than_its_timeout(server: FakeServer) -> None:
    done = await rec("watch", "u1", "--count", "1", "--timeout", "0.3", "--json", "--url", "http://127.0.0.1:1")
    assert done.code == 4
    assert "127.0.0.1:1" in done.lines[0]["error"]["message"]
    done = await rec("watch", "u1", "--count", "1", "--timeout", "0.3")  # connected, but no list comes
    assert (done.code, done.out) == (5, "")
    assert "within 0.3 s" in done.err


async def test_watch_waits_for_later_lists_as_long_as_it_takes(server: FakeServer) -> None:
    async def two() -> None:
        socket = await server.socket()
        await socket.subscribed()
        await socket.push(a_slate(1))
        await asyncio.sleep(0.6)  # longer than the timeout: that is what is tested
        await socket.push(a_slate(2))

    pushing = asyncio.create_task(two())
    done = await rec("watch", "u1", "--json", "--count", "2", "--timeout", "0.5")
    await pushing
    assert (done.code, [line["version"] for line in done.lines]) == (0, [1, 2])


async def test_watch_draws_over_itself_in_a_terminal_and_ends_with_ctrl_c(server: FakeServer) -> None:
    ours, theirs = pty.openpty()
    program = [sys.executable, "-c", "import sys; from rec.cli import main; main()", "watch", "u1"]
    env = {**os.environ, "COLUMNS": "140", "LINES": "40", "TERM": "xterm-256color"}
    process = subprocess.Popen(
        program,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a suite in the background ignores it
    )
    os.close(theirs)
    shown = bytearray()
    reader = asyncio.create_task(asyncio.to_thread(drain, ours, shown))
    try:
        socket = await server.socket()
        await socket.subscribed()
        first = a_slate(1, n=3)
        await socket.push(first)
        await appears(shown, "version 1")
        swapped = a_slate(2, n=4)
        await socket.push(swapped)
        await appears(shown, "version 2")
        await appears(shown, "new")
        await appears(shown, "● connected")
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, WAIT_S) == 130
    finally:
        process.kill()
        process.wait()
        await reader
        os.close(ours)


def drain(terminal: int, into: bytearray) -> None:
    while True:
        try:
            chunk = os.read(terminal, 4096)
        except OSError:  # EIO: the other side is closed
            return
        if not chunk:
            return
        into.extend(chunk)


async def appears(shown: bytearray, text: str) -> None:
    async with asyncio.timeout(WAIT_S * 2):
        while text.encode() not in shown:  # noqa: ASYNC110 - what a terminal shows is no event
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- search
async def test_search_says_how_much_was_found_and_its_filters_travel(server: FakeServer) -> None:
    done = await rec("search", "tent", "--user", "u1", "--n", "3", "--price-max", "9", "--all", "--sort", "newest")
    assert done.code == 0
    assert "3 found" in done.err
    asked = {"price_max": "9.0", "in_stock": "false", "sort": "newest"}
    assert server.calls[-1].query == asked | {"user_id": "u1", "q": "tent", "n": "3"}


async def test_search_shows_what_was_found(server: FakeServer) -> None:
    from rec.slates import encode_slate

    server.http["GET /v1/search"] = lambda request, body: web.Response(
        body=encode_slate(a_slate(1, placement="search"))
    )
    done = await rec("search", "tent", "--user", "u1", "--n", "5")
    assert done.code == 0
    assert "Item 2" in done.out
    assert server.calls[0].query == {"user_id": "u1", "q": "tent", "n": "5"}
    done = await rec("search", "tent", "--user", "u1", "--json")
    assert done.lines[0]["placement"] == "search"
