"""A real Chromium, driven by the Chrome DevTools Protocol over one websocket: enough to click, type, look and wait."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from tests.requirements import require

START_S = 20.0
WAIT_S = 30.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
    "--remote-debugging-port=0",
)  # fmt: skip


class Failure(AssertionError):
    """The page did not do what was waited for."""


class Connection:
    """The browser's end of the protocol: commands with answers, events by session."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._last = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.events: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)  # by session
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, session: str | None = None, **params: Any) -> dict[str, Any]:
        self._last += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._last] = answer
        frame = {"id": self._last, "method": method, "params": params}
        await self._socket.send_json(frame if session is None else {**frame, "sessionId": session})
        async with asyncio.timeout(START_S):
            return await answer

    async def _read(self) -> None:
        async for message in self._socket:
            frame = json.loads(message.data)
            answer = self._waiting.pop(frame.get("id"), None)
            if answer is None:
                self.events[frame.get("sessionId", "")].put_nowait(frame)
            elif "error" in frame:
                answer.set_exception(Failure(frame["error"]["message"]))
            else:
                answer.set_result(frame["result"])

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        await self._socket.close()


class Page:
    """One tab. What goes wrong on it (exceptions, console errors, refused loads) gathers in `complaints`."""

    def __init__(self, connection: Connection, target: str, session: str, context: str) -> None:
        self._connection, self._target, self._session, self.context = connection, target, session, context
        self._listener = asyncio.create_task(self._listen())
        self.complaints: list[str] = []
        self.on: dict[str, Callable[[dict[str, Any]], None]] = {}  # event → who hears of it, beside

    async def _listen(self) -> None:
        while True:
            event = await self._connection.events[self._session].get()
            params = event.get("params", {})
            if hears := self.on.get(event["method"]):
                hears(params)
            if event["method"] == "Runtime.exceptionThrown":
                details = params["exceptionDetails"]
                self.complaints.append(details.get("exception", {}).get("description", details["text"]))
            elif event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error":
                self.complaints.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        return await self._connection.call(method, self._session, **params)

    async def goto(self, url: str) -> None:
        await self.send("Page.navigate", url=url)
        await self.wait("document.readyState === 'complete'")

    async def value(self, expression: str) -> Any:
        """What a JavaScript expression gives; a promise is awaited."""
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise Failure(details.get("exception", {}).get("description", details["text"]))
        return answer["result"].get("value")

    async def wait(self, expression: str, within_s: float = WAIT_S) -> Any:
        """Until the expression is truthy; its value. Failure names the expression and its last value."""
        last: Any = None
        try:
            async with asyncio.timeout(within_s):
                while True:
                    with contextlib.suppress(Failure):
                        if last := await self.value(expression):
                            return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            complaints = "; ".join(self.complaints) or "none"
            message = f"not within {within_s} s: {expression} (last {last!r}; complaints of the page: {complaints})"
            raise Failure(message) from None

    async def click(self, selector: str) -> None:
        """A real click of the mouse in the middle of an element, scrolled into view.

        Not while it moves: a list that is just being made anew would put another card under the mouse. And once more
        if it moved away in the very moment: a person would see that nothing happened.
        """
        async with asyncio.timeout(WAIT_S):
            while not await self._clicked(selector):
                await asyncio.sleep(0.02)

    async def _clicked(self, selector: str) -> bool:
        """Click; whether it came to the element. A click that opened another document did."""
        found = f"document.querySelector({json.dumps(selector)})"
        await self.wait(found + " !== null")
        await self.value(f"{found}.scrollIntoView({{block: 'center', inline: 'center', behavior: 'instant'}})")
        middle = "(({x, y, width, height}) => [x + width / 2, y + height / 2])"
        at = f"JSON.stringify({middle}({found}.getBoundingClientRect()))"
        await self.wait(f"({at} === window.middleWas) || ((window.middleWas = {at}), false)")
        hit = f"{found}.contains(document.elementFromPoint(...JSON.parse(window.middleWas)))"
        await self.wait(f"{hit} && {at} === window.middleWas || ((window.middleWas = {at}), false)")
        box = await self.value("JSON.parse(window.middleWas)")
        landed = "addEventListener('click', () => { window.missed = false; }, {capture: true, once: true})"
        await self.value(f"window.missed = true; {found}.{landed}")
        for kind in ("mousePressed", "mouseReleased"):
            await self.send(
                "Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1, buttons=1
            )
        return await self.value("window.missed") is not True

    async def press(self, key: str, modifiers: int = 0) -> None:
        """A real key: Tab, Enter, … Shift is modifier 8."""
        codes = {"Tab": 9, "Enter": 13, " ": 32, "Escape": 27, "ArrowDown": 40, "ArrowUp": 38}
        text = {"Enter": "\r", " ": " "}.get(key)
        common = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "modifiers": modifiers}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **common, **({"text": text} if text else {}))
        await self.send("Input.dispatchKeyEvent", type="keyUp", **common)

    async def resize(self, width: int, height: int, mobile: bool = False) -> None:
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile
        )

    async def prefer(self, **features: str) -> None:
        """CSS media features: prefer(prefers_color_scheme="dark")."""
        pairs = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        await self.send("Emulation.setEmulatedMedia", features=pairs)

    async def screenshot(self, path: Path, whole: bool = False) -> None:
        answer = await self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(answer["data"]))

    async def close(self) -> None:
        self._listener.cancel()
        await asyncio.gather(self._listener, return_exceptions=True)
        with contextlib.suppress(Failure, TimeoutError, ConnectionError):
            await self._connection.call("Target.closeTarget", targetId=self._target)


def program() -> str:
    """Chromium's path; skips the test (or fails it, see REC_TEST_REQUIRE) if there is none."""
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    require("chromium", "no chromium on PATH; Debian: apt-get install chromium")


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Connection]:
    """A browser with an empty profile, ended with everything it started."""
    path = program()
    profile = Path(tempfile.mkdtemp(prefix="rec-chromium-"))
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    process = await asyncio.create_subprocess_exec(
        path, *FLAGS, *sandbox, f"--user-data-dir={profile}", "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        port, address = await _address(profile, process)
        async with aiohttp.ClientSession() as http:
            url = f"ws://127.0.0.1:{port}{address}"
            async with http.ws_connect(url, max_msg_size=0, headers={"Host": f"127.0.0.1:{port}"}) as socket:
                connection = Connection(socket)
                try:
                    yield connection
                finally:
                    await connection.close()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        shutil.rmtree(profile, ignore_errors=True)


async def _address(profile: Path, process: asyncio.subprocess.Process) -> tuple[int, str]:
    """Where the browser listens, from the file that it writes when it does."""
    file = profile / "DevToolsActivePort"
    async with asyncio.timeout(START_S):
        while True:
            if process.returncode is not None:
                raise Failure(f"chromium ended with {process.returncode} before it listened")
            lines = file.read_text().split() if file.exists() else []
            if len(lines) == 2:
                return int(lines[0]), lines[1]
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def tab(
    connection: Connection, width: int = 1280, height: int = 800, beside: Page | None = None
) -> AsyncIterator[Page]:
    """A new tab of a browsing context of its own, whose storage is shared with nobody; or a tab `beside` another's."""
    made = None if beside else await connection.call("Target.createBrowserContext")
    context = beside.context if beside else (made or {})["browserContextId"]
    target = await connection.call("Target.createTarget", url="about:blank", browserContextId=context)
    attached = await connection.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
    page = Page(connection, target["targetId"], attached["sessionId"], context)
    try:
        for domain in ("Page", "Runtime", "Log"):
            await page.send(f"{domain}.enable")
        await page.resize(width, height)
        yield page
    finally:
        await page.close()
        if made:
            await connection.call("Target.disposeBrowserContext", browserContextId=context)
