"""Processes of ours are asked past any proxy of the environment."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from rec.direct import get
from rec.embedded.ports import free_port
from rec.errors import Unavailable


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(503 if self.path == "/no" else 200)
        self.end_headers()
        self.wfile.write(b"here")

    def log_message(self, *_: object) -> None:
        """Nothing into the tests' output."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server on this machine, and a proxy in the environment that nobody is."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port()}")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_an_answer_comes_though_the_proxy_of_the_environment_is_away(address: str) -> None:
    answer = get(address, 5.0)
    assert (answer.status, answer.body, answer.date != "") == (200, b"here", True)


def test_an_answer_that_says_no_is_an_answer(address: str) -> None:
    assert get(f"{address}/no", 5.0)[::2] == (503, b"here")


def test_where_nobody_answers_the_address_is_in_the_error() -> None:
    url = f"http://127.0.0.1:{free_port()}/x"
    with pytest.raises(Unavailable, match=url):
        get(url, 5.0)
