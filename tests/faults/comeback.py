"""SIGKILL the worker of `rec up`: seconds until a connected client holds a list with the event sent after the kill.

    python -m tests.faults.comeback [--kills 5] [--busy-cores 2]

Exit 0 if each came within the 5 s that the contract promises. `--busy-cores` processes burn a core each meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from pathlib import Path

import click
import psutil

from rec.client import RecClient, Slate
from tests.faults.ending import run_trial
from tests.faults.rebalance import busy
from tests.faults.restart import Running, rec_up, until_encoded

PROMISE_S = 5.0
BETWEEN_S = 13.0  # `rec up` gives up after more than five deaths in a minute
GIVE_UP_S = 60.0


class Screen:
    """What one user's screen shows."""

    def __init__(self, client: RecClient, user_id: str) -> None:
        self._client, self._user_id = client, user_id
        self._slates: asyncio.Queue[Slate] = asyncio.Queue()

    async def follow(self) -> None:
        async for slate in self._client.subscribe(self._user_id):
            self._slates.put_nowait(slate)

    async def next(self) -> Slate:
        """The next list that comes; the client passes on only what is newer."""
        async with asyncio.timeout(GIVE_UP_S):
            return await self._slates.get()

    async def look(self, item: str) -> Slate:
        """View an item: the list that comes of it."""
        assert self._slates.empty()
        await self._client.track("view_item", user_id=self._user_id, items=[item])
        return await self.next()


async def comebacks(folder: Path, kills: int, cores: int) -> tuple[float, list[float]]:
    """Seconds until `rec up` was ready, and from each kill of its worker to the list."""
    async with rec_up(folder) as up, RecClient(up.url, api_key=up.api_key) as client:
        await until_encoded(folder)
        items = [place.item_id for place in (await client.recommend("nobody", n=100)).items]
        screen = Screen(client, "shopper")
        following = asyncio.create_task(screen.follow())
        try:
            await screen.next()
            with busy(cores):
                return up.seconds, [await _comeback(up, screen, items[kill], kill / 10) for kill in range(kills)]
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _comeback(up: Running, screen: Screen, item: str, later_s: float) -> float:
    """`later_s` lets the kill come at another moment of the heartbeat each time."""
    await asyncio.sleep(BETWEEN_S + later_s)
    worker_of(up.process.pid).kill()
    killed = time.monotonic()
    await screen.look(item)
    return time.monotonic() - killed


def worker_of(parent: int) -> psutil.Process:
    """The worker among the children of a `rec up`."""
    for child in psutil.Process(parent).children():
        with contextlib.suppress(psutil.Error):
            if child.cmdline()[-3:] == ["-m", "agents", "worker"]:
                return child
    raise LookupError("no worker")


@click.command()
@click.option("--kills", default=5, show_default=True)
@click.option("--busy-cores", "cores", default=0, show_default=True, help="Processes that burn a core each.")
def main(kills: int, cores: int) -> None:
    """Kill the worker of `rec up` again and again, and measure how long the list stays away."""

    async def trials() -> bool:
        with tempfile.TemporaryDirectory() as name:
            ready, took = await comebacks(Path(name) / "data", kills, cores)
        back = ", ".join(f"{seconds:.1f}" for seconds in took)
        click.echo(f"ready after {ready:.1f} s; the list came {back} s after the kill")
        return max(took) <= PROMISE_S

    sys.exit(0 if run_trial(trials()) else 1)


if __name__ == "__main__":
    main()
