"""`rec watch`: a user's list in the terminal, changing under your eyes; as JSON lines for scripts."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from rec.cli.here import Server, find_server, server_options
from rec.cli.output import console, emit, emit_json, json_option, say
from rec.cli.slate_table import slate_view
from rec.client import RecClient, Slate, State, StateChange, Timing
from rec.errors import DeadlineExceeded, RecError
from rec.protocol import MAX_N

REDRAW_S = 0.5  # ages grow while nothing else happens


@click.command()
@click.argument("user")
@click.option("--placement", default="home", show_default=True, help="Which list.")
@click.option("--n", type=click.IntRange(1, MAX_N), default=20, show_default=True, help="How many items.")
@click.option("--item", "item_id", help="The product on screen, for placements about one.")
@click.option("--count", type=click.IntRange(1), help="Stop after so many lists.  [default: never]")
@server_options
@json_option
def watch(
    user: str,
    placement: str,
    n: int,
    item_id: str | None,
    count: int | None,
    url: str | None,
    api_key: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Show a user's list and every change of it, until Ctrl-C. The first list must come within --timeout.

    \b
    rec watch u1
    rec watch u1 --json | jq -r .items[0].item_id
    """
    server = find_server(url, api_key)
    shown = Lines(as_json) if as_json or not sys.stdout.isatty() else Screen()
    asyncio.run(_watch(server, timeout_s, user, placement, n, item_id, count, shown))


class Lines:
    """For pipes: each list once, as it comes. States go to stderr."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._before: list[str] | None = None

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *exc: object) -> None:
        sys.stdout.flush()

    def slate(self, slate: Slate) -> None:
        if self._as_json:
            emit_json(slate)
            sys.stdout.flush()
        else:
            now = datetime.now(UTC)
            emit(slate_view(slate, self._before, now, now, console().width))
        self._before = [each.item_id for each in slate.items]

    def state(self, change: StateChange) -> None:
        if change.error is not None:
            say(_state_words(change))

    def redraw(self) -> None:
        """Lines do not age."""


class Screen:
    """For a terminal: one table that is drawn over."""

    def __init__(self) -> None:
        self._live = Live(console=console(), auto_refresh=False)
        self._slate: Slate | None = None
        self._arrived = datetime.now(UTC)
        self._before: Sequence[str] | None = None
        self._state = Text("connecting …")

    def __enter__(self) -> Screen:
        self._live.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self._live.__exit__(None, None, None)

    def slate(self, slate: Slate) -> None:
        self._before = None if self._slate is None else [each.item_id for each in self._slate.items]
        self._slate, self._arrived = slate, datetime.now(UTC)
        self.redraw()

    def state(self, change: StateChange) -> None:
        self._state = Text(_state_words(change), style="yellow" if change.error is not None else "green")
        self.redraw()

    def redraw(self) -> None:
        self._live.update(self._view(), refresh=True)

    def _view(self) -> RenderableType:
        if self._slate is None:
            return self._state
        width = self._live.console.width
        now = datetime.now(UTC)
        return Group(slate_view(self._slate, self._before, self._arrived, now, width), self._state)


def _state_words(change: StateChange) -> str:
    if change.state is State.CONNECTED:
        return "● connected"
    if change.error is None:
        return f"○ {change.state}"
    after = "" if change.retry_in is None else f", trying again in {change.retry_in:.1f} s"
    return f"○ {change.state}: {change.error}{after}"


async def _watch(
    server: Server,
    timeout_s: float,
    user: str,
    placement: str,
    n: int,
    item_id: str | None,
    count: int | None,
    shown: Lines | Screen,
) -> None:
    trouble: RecError | None = None

    async def states(client: RecClient) -> None:
        nonlocal trouble
        async for change in client.states():
            trouble = change.error
            shown.state(change)

    async def clock() -> None:
        while True:
            await asyncio.sleep(REDRAW_S)
            shown.redraw()

    async with RecClient(server.url, server.api_key, timing=Timing(timeout_s=timeout_s)) as client:
        others = [asyncio.create_task(states(client)), asyncio.create_task(clock())]
        try:
            with shown:
                async with aclosing(client.subscribe(user, placement, n, item_id)) as slates:
                    seen = 0
                    async with asyncio.timeout(timeout_s) as patience:
                        async for slate in slates:
                            patience.reschedule(None)  # later lists come when something happens
                            shown.slate(slate)
                            seen += 1
                            if seen == count:
                                return
        except TimeoutError:
            if trouble is not None:
                raise trouble from None
            raise DeadlineExceeded(f"no list came from {server.url} within {timeout_s:g} s") from None
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
