"""Real servers for the tests, each private to the test run: own folder, own address, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests import hygiene
from tests.requirements import require

START_S = 30.0


class Postgres:
    """A PostgreSQL cluster of our own, reached through a Unix socket in its folder. `with` starts and removes it."""

    def __init__(self, programs: Path, account: str | None) -> None:
        self._programs, self._account = programs, account
        self._folder = Path(tempfile.mkdtemp(prefix="rec-pg-"))
        self._server: subprocess.Popen[bytes] | None = None
        if account is not None:
            shutil.chown(self._folder, account, account)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://rec@/{database}?host={self._folder}"

    def __enter__(self) -> Postgres:
        try:
            self._run("initdb", "-D", self._data, "-U", "rec", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when it takes connections. The server outlives the tests in between, and a restart inside one."""
        before = hygiene.alive()
        settings = {"listen_addresses": "", "unix_socket_directories": str(self._folder), "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._server = self._popen("postgres", "-D", self._data, *options, stdout=log, stderr=log)
        deadline = time.monotonic() + START_S
        while self._popen("pg_isready", "-q", "-h", str(self._folder)).wait():
            if self._server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)
        hygiene.keep(self, hygiene.alive().beyond(before))

    def stop(self) -> None:
        """Ends all connections at once, as a failing server would, and writes what was committed."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)
            self._server.wait(START_S)
            self._server = None
            hygiene.release(self)

    def create(self, database: str) -> str:
        """Make an empty database; its URL."""
        self._run("createdb", "-h", str(self._folder), "-U", "rec", database)
        return self.url(database)

    def execute(self, database: str, script: str) -> None:
        """Run SQL as psql does, all of it or nothing."""
        self._run("psql", "-X", "-q", "-1", "-h", str(self._folder), "-U", "rec", "-d", database, "-c", script)

    def drop(self, database: str) -> None:
        self._run("dropdb", "-h", str(self._folder), "-U", "rec", "--force", database)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, *command: str) -> None:
        with tempfile.TemporaryFile() as output:
            if self._popen(*command, stdout=output, stderr=output).wait():
                output.seek(0)
                raise RuntimeError(f"{command[0]} failed:\n{output.read().decode()[-2000:]}")

    def _popen(self, program: str, *arguments: str, **streams: object) -> subprocess.Popen[bytes]:
        options: dict[str, object] = {"stdin": subprocess.DEVNULL, "cwd": "/", **streams}
        if self._account is not None:
            options |= {"user": self._account, "group": self._account, "extra_groups": []}
        return subprocess.Popen([str(self._programs / program), *arguments], **options)  # type: ignore[call-overload,no-any-return]


def start_postgres() -> Postgres:
    """Debian's PostgreSQL, or the one on PATH; skips or fails the test if there is none. Use it in a `with`."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    program = str(found[-1]) if found else shutil.which("initdb")
    if program is None:
        require("postgres", "no initdb in /usr/lib/postgresql/*/bin or on PATH")
    account = None
    if os.geteuid() == 0:  # the server refuses to run as root
        account = next((name for name in ("postgres", "nobody") if _exists(name)), None)
        if account is None:
            require("postgres", "it does not run as root, and there is no account postgres or nobody")
    return Postgres(Path(program).parent, account)


def _exists(account: str) -> bool:
    import pwd

    try:
        pwd.getpwnam(account)
    except KeyError:
        return False
    return True
