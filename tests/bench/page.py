"""`python -m tests.bench.page URL`: what a browser needs to open the storefront, in the figures that Lighthouse has.

    rec up --shoppers 12 --port 0 --json          then, with the url that it prints:
    python -m tests.bench.page http://127.0.0.1:8080 --runs 5

`desktop` is 1280 px without throttling. `phone` is 390 px with the processor four times slower and Lighthouse's slow 4G
(562.5 ms a request, 1.44 Mbit/s down, 0.66 Mbit/s up), as its mobile preset throttles by the browser. Each run is a new
profile with an empty cache; what is printed are the medians.
"""

from __future__ import annotations

import asyncio
import json
import statistics
from typing import Any, NamedTuple

import click

from tests.browser.chromium import Connection, chromium, tab

SETTLE_S = 3.0  # after the list, in which late shifts and long tasks are still counted
FIRST_S = 60.0


class Profile(NamedTuple):
    """A kind of visitor; throughput in bytes a second, latency in milliseconds a request. 0: not throttled."""

    name: str
    width: int
    height: int
    cpu: float = 1
    latency_ms: float = 0
    down: float = 0
    up: float = 0


DESKTOP = Profile("desktop", 1280, 800)
PHONE = Profile("phone", 390, 844, 4, 562.5, 1_474.56 * 1024 / 8, 675 * 1024 / 8)

# Before anything of the page runs: largest paint, shifts that no input caused (the worst session window: gaps under
# 1 s, 5 s at most; web.dev/cls), blocking time after the first paint, and when the first card of a list stands there.
WATCH = """
window.seen = { lcp: 0, fcp: 0, shifts: [], tasks: [], list: 0 };
const observe = (type, each) => new PerformanceObserver((list) => list.getEntries().forEach(each)).observe({ type, buffered: true });
observe('largest-contentful-paint', ({ startTime }) => { seen.lcp = startTime; });
observe('paint', ({ name, startTime }) => { if (name === 'first-contentful-paint') seen.fcp = startTime; });
observe('layout-shift', ({ value, startTime, hadRecentInput, sources }) => { if (!hadRecentInput) seen.shifts.push([startTime, value, sources.map(({ node }) => node?.id || node?.className || node?.nodeName || '')]); });
observe('longtask', ({ startTime, duration }) => seen.tasks.push([startTime, duration]));
new MutationObserver(() => { if (!seen.list && document.querySelector('shunxi-list .card, shunxi-list article, shunxi-list li')) seen.list = performance.now(); })
  .observe(document, { childList: true, subtree: true });
"""  # noqa: E501


class Wire:
    """What came over the network, as the browser counted it: bytes as sent, headers included."""

    def __init__(self) -> None:
        self.requests, self.bytes, self.pushed = 0, 0, 0

    def finished(self, event: dict[str, Any]) -> None:
        self.requests += 1
        self.bytes += int(event["encodedDataLength"])

    def frame(self, event: dict[str, Any]) -> None:
        self.pushed += len(event["response"]["payloadData"])


async def opened(browser: Connection, url: str, profile: Profile) -> dict[str, Any]:
    """The figures of one visit. Times in milliseconds since the navigation began."""
    async with tab(browser, profile.width, profile.height) as page:
        wire = Wire()
        page.on |= {"Network.loadingFinished": wire.finished, "Network.webSocketFrameReceived": wire.frame}
        await page.send("Network.enable")
        await page.send("Network.setCacheDisabled", cacheDisabled=False)
        await page.resize(profile.width, profile.height, mobile=profile is PHONE)
        await page.send("Emulation.setCPUThrottlingRate", rate=profile.cpu)
        if profile.latency_ms:
            await page.send(
                "Network.emulateNetworkConditions", offline=False, latency=profile.latency_ms,
                downloadThroughput=profile.down, uploadThroughput=profile.up,
            )  # fmt: skip
        await page.send("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        await page.send("Page.navigate", url=url)
        await page.wait("window.seen?.list && document.readyState === 'complete'", FIRST_S)
        await asyncio.sleep(SETTLE_S)
        seen = await page.value("window.seen")
        loaded = await page.value("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
        return {
            "requests": wire.requests,
            "kB": wire.bytes / 1000,
            "pushed_kB": wire.pushed / 1000,
            "first_paint_ms": seen["fcp"],
            "dom_content_loaded_ms": loaded,
            "first_list_ms": seen["list"],
            "largest_paint_ms": seen["lcp"],
            "layout_shift": shifted([(at, value) for at, value, _ in seen["shifts"]]),
            "blocking_ms": sum(max(0.0, length - 50) for at, length in seen["tasks"] if at >= seen["fcp"]),
            "shifted": [[round(at), round(value, 4), what] for at, value, what in seen["shifts"]],
        }


def shifted(shifts: list[tuple[float, float]]) -> float:
    """Cumulative layout shift: the worst session window of (ms, shift), in order.

    >>> shifted([(0, 0.1), (500, 0.1), (3000, 0.15)])
    0.2
    """
    worst = window = began = last = 0.0
    for at, value in shifts:
        if at - last > 1_000 or at - began > 5_000:
            window, began = 0.0, at
        window, last = window + value, at
        worst = max(worst, window)
    return worst


async def measured(url: str, runs: int) -> dict[str, dict[str, Any]]:
    """The medians of each profile; `shifted` is of the last run."""
    figures: dict[str, dict[str, Any]] = {}
    async with chromium() as browser:
        for profile in (DESKTOP, PHONE):
            visits = [await opened(browser, url, profile) for _ in range(runs)]
            names = [name for name in visits[0] if name != "shifted"]
            found: dict[str, Any] = {name: statistics.median(visit[name] for visit in visits) for name in names}
            figures[profile.name] = {**found, "shifted": visits[-1]["shifted"]}
    return figures


@click.command()
@click.argument("url")
@click.option("--runs", type=click.IntRange(1, 50), default=5, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="With what shifted, where and when.")
def main(url: str, runs: int, as_json: bool) -> None:
    """Open URL as a desktop and as a phone would, and print what that took."""
    figures = asyncio.run(measured(url, runs))
    if as_json:
        click.echo(json.dumps(figures, indent=1))
        return
    click.echo(f"{'':24}" + "".join(f"{name:>12}" for name in figures))
    for name in next(iter(figures.values())):
        if name != "shifted":
            click.echo(f"{name:24}" + "".join(f"{found[name]:>12,.{digits(name)}f}" for found in figures.values()))


def digits(name: str) -> int:
    """Behind the point."""
    return 4 if name == "layout_shift" else 1 if name.endswith("kB") else 0


if __name__ == "__main__":
    main()
