"""The loop as processes of their own, each to be started and killed: what the fault tests and the bench stand on.

Broker: Apache Kafka or the embedded one; redis-server; SQLite; `python -m agents …`; `python -m web`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from rec.catalog import Item
from rec.config import Settings, load_settings
from rec.direct import get
from rec.embedded.process import Child
from rec.embedded.redis_server import embedded_redis
from rec.embedded.supervisor import python
from rec.errors import Unavailable
from rec.ports import Exchange, Log
from rec.store import open_exchange, open_log
from rec.store.sql import migrate, open_database
from rec.topics import topics

API_KEY = "bench-and-fault-key"
TOKEN_SECRET = "bench-and-fault-secret-of-32-characters"
KINDS = (
    "tent",
    "boots",
    "lamp",
    "kettle",
    "sofa",
    "guitar",
    "camera",
    "puzzle",
    "jacket",
    "bicycle",
    "printer",
    "soap",
)
START_S = 90.0  # the first worker reads the catalog's texts with the encoder


class Stack:
    """One world on one broker: its settings, its stores, its processes by name."""

    def __init__(self, folder: Path, settings: Settings, env: dict[str, str], log: Log, exchange: Exchange) -> None:
        self.folder, self.settings, self.log, self.exchange = folder, settings, log, exchange
        self._env = env
        self.children: dict[str, Child] = {}
        self._how: dict[str, tuple[tuple[str, ...], dict[str, object]]] = {}
        self.ended_by_itself: list[str] = []
        self.url = ""

    async def start(self, name: str, *module: str, **env: object) -> Child:
        """`python -m <module>` as `name`; the same name again starts it anew, with the same log."""
        more = {f"REC_{key.upper()}": str(value) for key, value in env.items()}
        child = Child(python(*module), self.folder / f"{name}.log", env={**self._env, **more}, cwd=self.folder)
        self.children[name], self._how[name] = child, (module, env)
        return child

    async def supervise(self) -> None:
        """Start again what ended without being told to, as a supervisor would, for ever; `ended_by_itself` names it."""
        while True:
            for name, child in list(self.children.items()):
                if child.returncode is not None:
                    self.ended_by_itself.append(f"{name} ({child.returncode})")
                    module, env = self._how[name]
                    await self.start(name, *module, **env)
            await asyncio.sleep(0.1)

    async def worker(self, name: str = "worker", **env: object) -> Child:
        return await self.start(name, "agents", "worker", data_dir=self.folder / name, **env)

    async def web(self, **env: object) -> str:
        """Start web on a free port; its address. Not waited for: see `ready`."""
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        child = await self.start("web", "web", port=0, port_file=port_file, **env)

        async def listens() -> bool:
            return port_file.exists() and bool(port_file.read_text().strip())

        await child.until_ready(listens, START_S)
        self.url = f"http://127.0.0.1:{int(port_file.read_text())}"
        return self.url

    async def ready(self, within_s: float = START_S) -> None:
        """Until /health/ready says so; the logs are in the error if it never does."""
        if not await until(lambda: asyncio.to_thread(_ok, f"{self.url}/health/ready"), within_s):
            raise RuntimeError(f"not ready within {within_s:g} s\n{self.logs()}")

    async def workers_ready(self, count: int, within_s: float = START_S) -> None:
        """Until `count` workers say that they serve, and live: what one said that was killed stands for a while."""

        async def enough() -> bool:
            alive = {str(child.pid) for child in self.children.values() if child.returncode is None}
            try:
                said = await self.exchange.worker_states()
                return [name.rpartition(":")[2] in alive for name, state in said.items() if state == "ready"].count(
                    True
                ) >= count
            except Unavailable:  # with every core busy Redis may take its time; `within_s` is what counts
                return False

        if not await until(enough, within_s):
            raise RuntimeError(f"not {count} workers within {within_s:g} s\n{self.logs()}")

    async def stop(self, name: str) -> int:
        return await self.children.pop(name).stop(grace_s=20)

    def kill(self, name: str) -> None:
        """SIGKILL, as the kernel's OOM killer would."""
        self.children.pop(name).kill()

    def logs(self, limit: int = 3_000) -> str:
        paths = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-limit:]}" for path in paths)


@contextlib.asynccontextmanager
async def stack(
    folder: Path, bootstrap: str, items: Sequence[Item], more: Mapping[str, object], *, embedded: bool = False
) -> AsyncIterator[Stack]:
    """Redis, schema, catalog and topics on the broker at `bootstrap`; no process of ours yet. Ends all at the end."""
    async with embedded_redis(folder) as redis_url:
        values: dict[str, object] = {
            "broker_url": f"kafka://{bootstrap}",
            "redis_url": redis_url,
            "database_url": f"sqlite+aiosqlite:///{folder}/rec.db",
            "data_dir": folder,
            "api_key": API_KEY,
            "token_secret": TOKEN_SECRET,
            "session_timeout_s": 6,
            "connect_rate_per_s": 100_000,
            "fetch_max_wait_ms": 10 if embedded else 500,  # as `rec up` has it
            **more,
        }
        settings = load_settings(_env_file=None, **values)
        await migrate(settings.database_url)
        async with open_database(settings) as database:
            await database.put_items(items)
        log, exchange = open_log(settings), open_exchange(settings)
        env = {f"REC_{name.upper()}": str(value) for name, value in values.items()}
        async with log as to, exchange as through:
            await to.create(topics(settings))
            made = Stack(folder, settings, env, to, through)
            try:
                yield made
            finally:
                for name in reversed(list(made.children)):
                    await made.stop(name)


async def until(true: Callable[[], bool | Awaitable[bool]], within_s: float, every_s: float = 0.05) -> bool:
    """Ask again and again; whether it came true in time."""
    deadline = time.monotonic() + within_s
    while True:
        answer = true()
        if answer if isinstance(answer, bool) else await answer:
            return True
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every_s)


def shelf(count: int = 240) -> list[Item]:
    """A small catalog: 12 categories, 20 brands."""
    return [
        Item(item_id=f"i{n}", title=f"{KINDS[n % 12].title()} {n}", category=KINDS[n % 12], brand=f"brand-{n % 20}")
        for n in range(count)
    ]


def _ok(url: str) -> bool:
    try:
        return get(url, 2.0).status == 200
    except Unavailable:
        return False
