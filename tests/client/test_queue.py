"""`track_soon`: events wait for the server, in memory or in a file, and none is sent under two ids."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from rec.client import Event, RecClient, RecError, Timing
from rec.client.journal import Journal
from rec.client.queue import EventQueue
from rec.errors import ConfigError, DeadlineExceeded
from tests.client.conftest import QUICK
from tests.client.fake_server import VANISH, WAIT_S, FakeServer, a_token

SHORT = Timing(timeout_s=0.1, backoff_low_s=0.01, backoff_high_s=0.05, gather_s=0.0)


def an_event(k: int) -> Event:
    return Event(event="search", event_id=f"e{k}", user_id="u1")


# ---------------------------------------------------------------- the queue itself
@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_a_queue_is_bounded_keeps_order_and_loses_only_its_oldest(puts: list[bool], limit: int) -> None:
    queue, model, dropped = EventQueue(limit), list[str](), list[str]()
    for k, put in enumerate(puts):
        if put:
            gone = queue.put(an_event(k))
            model.append(f"e{k}")
            if len(model) > limit:
                dropped.append(model.pop(0))
            assert (gone.event_id if gone else None) == (dropped[-1] if gone else None)
        elif model:
            queue.settle([queue.head(1)[0].ticket])
            model.pop(0)
        assert [queued.event.event_id for queued in queue.head(100)] == model
        assert len(queue) <= limit


def test_settling_what_was_dropped_meanwhile_takes_nothing_else() -> None:
    queue = EventQueue(2)
    for k in range(2):
        queue.put(an_event(k))
    in_flight = [queued.ticket for queued in queue.head(2)]
    queue.put(an_event(2))
    queue.settle(in_flight)
    assert [queued.event.event_id for queued in queue.head(9)] == ["e2"]


# ---------------------------------------------------------------- sending
async def test_queued_events_are_sent_together_and_flush_waits_for_them(server: FakeServer) -> None:
    timing = Timing(gather_s=0.02)
    async with RecClient(server.url, api_key="key", timing=timing) as client:
        ids = [client.track_soon("view_item", user_id="u1", items=["x"]) for _ in range(10)]
        assert client.queued == 10
        await client.flush()
        assert client.queued == 0
    assert server.event_ids == [ids]


async def test_events_outlast_an_absent_server_and_keep_their_ids(server: FakeServer, client: RecClient) -> None:
    await server.stop()
    ids = [client.track_soon("view_item", user_id="u1", items=["x"]) for _ in range(3)]
    with pytest.raises(DeadlineExceeded, match="still queued") as caught:
        await client.flush(0.1)
    assert "cannot reach" in str(caught.value)
    await server.start()
    await client.flush()
    assert server.event_ids == [ids]


async def test_a_server_that_vanishes_after_reading_gets_the_same_ids_again(
    server: FakeServer, client: RecClient
) -> None:
    server.http["POST /v1/events"] = lambda request, body: (
        VANISH if len(server.event_ids) == 1 else {"accepted": 1, "duplicates": 0, "rejected": []}
    )
    id = client.track_soon("view_item", user_id="u1", items=["x"])
    await client.flush()
    assert server.event_ids == [[id], [id]]


async def test_a_wrong_key_keeps_the_events_and_flush_says_so(server: FakeServer, client: RecClient) -> None:
    server.http["POST /v1/events"] = lambda request, body: web.Response(status=401)
    client.track_soon("view_item", user_id="u1", items=["x"])
    with pytest.raises(DeadlineExceeded, match="401"):
        await client.flush(0.1)
    del server.http["POST /v1/events"]
    await client.flush()
    assert client.queued == 0


async def test_rejected_events_are_dropped_with_their_reason_and_the_rest_goes_on(server: FakeServer) -> None:
    dropped: list[tuple[str, str]] = []
    server.http["POST /v1/events"] = lambda request, body: {
        "accepted": len(body["events"]) - 1,
        "duplicates": 0,
        "rejected": [{"index": 1, "code": "unknown_event", "message": "no such event"}],
    }

    def note(event: Event, error: RecError) -> None:
        dropped.append((event.event_id, error.code))
        raise RuntimeError("an application's defect stops nothing")

    async with RecClient(server.url, api_key="key", timing=Timing(gather_s=0.02), on_drop=note) as client:
        ids = [client.track_soon("view_item", user_id="u1", items=["x"]) for _ in range(3)]
        await client.flush()
        assert client.queued == 0
    assert dropped == [(ids[1], "unknown_event")]


async def test_one_event_that_spoils_its_request_is_found_and_dropped_alone(server: FakeServer) -> None:
    dropped: list[str] = []

    def refuse_e7(request: web.Request, body: Any) -> Any:
        ids = [event["event_id"] for event in body["events"]]
        if "e7" in ids:
            return web.json_response({"error": {"code": "bad_request", "message": "no"}}, status=400)
        taken.extend(ids)
        return {"accepted": len(ids), "duplicates": 0, "rejected": []}

    taken: list[str] = []
    server.http["POST /v1/events"] = refuse_e7
    timing = Timing(gather_s=0.02)
    async with RecClient(
        server.url, api_key="key", timing=timing, on_drop=lambda event, error: dropped.append(event.event_id)
    ) as client:
        for k in range(20):
            client.track_soon("view_item", user_id="u1", items=["x"], event_id=f"e{k}")
        await client.flush()
    assert dropped == ["e7"]
    assert taken == [f"e{k}" for k in range(20) if k != 7]


async def test_events_wait_in_the_queue_while_the_server_is_asked_too_often(server: FakeServer) -> None:
    busy = {"error": {"code": "rate_limited", "message": "slow down", "temporary": True, "retry_after": 0.01}}

    def at_first_too_often(request: web.Request, body: Any) -> Any:
        if len(server.event_ids) < 3:
            return web.json_response(busy, status=429, headers={"Retry-After": "1"})
        return {"accepted": 1, "duplicates": 0, "rejected": []}

    server.http["POST /v1/events"] = at_first_too_often
    dropped: list[Event] = []
    async with RecClient(
        server.url, api_key="key", timing=SHORT, on_drop=lambda event, error: dropped.append(event)
    ) as client:
        event_id = client.track_soon("view_item", user_id="u1", items=["x"])
        await client.flush(WAIT_S)
    assert not dropped
    assert server.event_ids == [[event_id]] * 3


async def test_a_full_queue_drops_its_oldest_and_says_so(server: FakeServer) -> None:
    await server.stop()
    dropped: list[tuple[str, str]] = []

    def note(event: Event, error: RecError) -> None:
        dropped.append((event.event_id, error.code))

    async with RecClient(server.url, api_key="key", timing=SHORT, queue_limit=2, on_drop=note) as client:
        ids = [client.track_soon("view_item", user_id="u1", items=["x"]) for _ in range(5)]
        assert client.queued == 2
    assert dropped == [(id, "queue_full") for id in ids[:3]]
    await server.start()


async def test_a_token_client_never_mixes_users_in_a_request(server: FakeServer) -> None:
    async def token(user_id: str) -> str:
        return a_token(user_id, 900, 1)

    async with RecClient(server.url, token=token, timing=Timing(gather_s=0.02)) as client:
        for user in ("u1", "u1", "u2", "u1"):
            client.track_soon("view_item", user_id=user, items=["x"])
        await client.flush()
    calls = [{event["user_id"] for event in call.body["events"]} for call in server.calls]
    assert calls == [{"u1"}, {"u2"}, {"u1"}]


async def test_a_user_without_a_token_holds_up_nobody_and_is_sent_when_there_is_one(server: FakeServer) -> None:
    left, asked = {"gone"}, list[str]()

    async def token(user_id: str) -> str:
        asked.append(user_id)
        if user_id in left:
            raise LookupError("logged out")
        return a_token(user_id, 900, 1)

    timing = Timing(gather_s=0.0, backoff_low_s=0.01, backoff_high_s=0.02)
    async with RecClient(server.url, token=token, timing=timing) as client:
        first = client.track_soon("view_item", user_id="gone", items=["x"])
        async with asyncio.timeout(WAIT_S):
            while asked.count("gone") < 3:  # noqa: ASYNC110 - it goes on by itself
                await asyncio.sleep(0.005)
        second = client.track_soon("view_item", user_id="here", items=["x"])
        async with asyncio.timeout(WAIT_S):
            while server.event_ids != [[second]]:  # noqa: ASYNC110 - another process's view: nothing to await
                await asyncio.sleep(0.005)
        assert client.queued == 1
        left.clear()
        await client.flush()
    assert server.event_ids == [[second], [first]]


async def test_leaving_the_client_sends_what_is_queued(server: FakeServer) -> None:
    async with RecClient(server.url, api_key="key") as client:
        id = client.track_soon("view_item", user_id="u1", items=["x"])
    assert server.event_ids == [[id]]


# ---------------------------------------------------------------- the file
async def test_events_outlive_the_process_in_a_file(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "queue.jsonl"
    await server.stop()
    async with RecClient(server.url, api_key="key", timing=SHORT, path=path) as client:
        ids = [client.track_soon("view_item", user_id="u1", items=["x"]) for _ in range(3)]
    assert [json.loads(line)["event_id"] for line in path.read_text().splitlines()] == ids
    await server.start()
    async with RecClient(server.url, api_key="key", timing=QUICK, path=path) as client:
        await client.flush()
    assert server.event_ids == [ids]
    assert path.read_text() == ""


async def test_an_event_is_in_the_file_before_it_is_sent(server: FakeServer, tmp_path: Path) -> None:
    path = tmp_path / "queue.jsonl"
    seen: list[list[str]] = []

    def look(request: web.Request, body: Any) -> Any:
        seen.append([json.loads(line)["event_id"] for line in path.read_text().splitlines()])
        return {"accepted": len(body["events"]), "duplicates": 0, "rejected": []}

    server.http["POST /v1/events"] = look
    async with RecClient(server.url, api_key="key", timing=QUICK, path=path) as client:
        id = client.track_soon("view_item", user_id="u1", items=["x"])
        await client.flush()
        async with asyncio.timeout(WAIT_S):
            while path.read_text():  # noqa: ASYNC110 - another process's view: there is nothing to await
                await asyncio.sleep(0.01)
    assert seen == [[id]]


async def test_what_is_queued_while_the_server_is_away_is_in_the_file_before_it_is_tried_again(
    server: FakeServer, tmp_path: Path
) -> None:
    path = tmp_path / "queue.jsonl"
    asked = asyncio.Event()

    def away(request: web.Request, body: Any) -> Any:
        asked.set()
        return web.json_response(
            {"error": {"code": "unavailable", "message": "away", "temporary": True, "retry_after": 600}}, status=503
        )

    server.http["POST /v1/events"] = away
    async with RecClient(server.url, api_key="key", timing=SHORT, path=path) as client:
        ids = [client.track_soon("view_item", user_id="u1", items=["x"])]
        async with asyncio.timeout(WAIT_S):
            await asked.wait()
        ids.append(client.track_soon("view_item", user_id="u1", items=["y"]))
        async with asyncio.timeout(WAIT_S):
            while len(path.read_text().splitlines()) < 2:  # noqa: ASYNC110 - another process's view: nothing to await
                await asyncio.sleep(0.01)
        assert [json.loads(line)["event_id"] for line in path.read_text().splitlines()] == ids


def test_a_torn_line_is_skipped_and_the_rest_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "queue.jsonl"
    journal = Journal(path)
    journal.open()
    journal.append([an_event(1), an_event(2)])
    journal.close()
    path.write_bytes(path.read_bytes() + b'{"event":"sea')
    again = Journal(path)
    assert [event.event_id for event in again.open()] == ["e1", "e2"]
    again.close()


def test_a_file_is_one_client_s(tmp_path: Path) -> None:
    one, two = Journal(tmp_path / "queue.jsonl"), Journal(tmp_path / "queue.jsonl")
    one.open()
    with pytest.raises(ConfigError, match="another process"):
        two.open()
    one.close()
    two.open()
    two.close()


async def test_a_path_that_cannot_be_used_is_refused_at_the_start(server: FakeServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="choose another path"):
        async with RecClient(server.url, api_key="key", path=tmp_path / "file" / "queue.jsonl"):
            pass
