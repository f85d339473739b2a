"""`python -m web`: the composition root of the edge. Settings, backends, the application, until SIGTERM or SIGINT.

At the end it stops accepting, tells every client at once (4001), and is gone within 5 s whatever they do. With
REC_PORT=0 the port that was found goes to stderr and, if REC_PORT_FILE names a file, into that.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

from aiohttp import web
from aiohttp.log import access_logger

from rec import logs, loop
from rec.collector import settle
from rec.config import Settings, load_settings
from rec.errors import RecError, Unavailable
from rec.signals import stop_on_signals
from rec.store import open_exchange, open_log
from rec.store.sql import open_database
from web.admission import silent_at_most
from web.app import make_app
from web.arrivals import KEEP_ALIVE_S, LINGER_S, Arrivals
from web.front import AccessLog, Discreet
from web.runner import Runner

log = logging.getLogger("web")

EXIT_S = 4.5  # after this the process ends, whatever still hangs
SHUTDOWN_S = 1.0  # for requests in flight; the sockets have had their own time before


async def serve(settings: Settings, stop: asyncio.Event, port_file: Path | None = None) -> None:
    """Serve until `stop` is set. Raises ConfigError, or Unavailable naming what is away."""
    async with open_log(settings) as to, open_exchange(settings) as exchange, open_database(settings) as database:
        app = make_app(settings, to, exchange, database)
        runner = Runner(
            app,
            access_log_class=AccessLog,
            access_log=access_logger if settings.access_log else None,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=KEEP_ALIVE_S,
            lingering_time=LINGER_S,
        )
        await runner.setup()
        assert runner.server is not None
        most = silent_at_most(settings.max_connections)
        sweeping = asyncio.create_task(Arrivals(runner.server, most).keep_sweeping(), name="web-arrivals")
        try:
            site = web.TCPSite(runner, settings.host, settings.port)
            try:
                await site.start()
            except OSError as error:
                message = f"Cannot listen on {settings.host}:{settings.port}: {error.strerror}. Set REC_PORT."
                raise Unavailable(message) from None
            host, port = runner.addresses[0][:2]
            log.info("listening on http://%s:%d", f"[{host}]" if ":" in host else host, port)
            if port_file is not None:
                await asyncio.to_thread(_write, port_file, f"{port}\n")
            settle()
            await stop.wait()
            log.info("stopping")
            asyncio.get_running_loop().call_later(EXIT_S, _give_up)
        finally:
            sweeping.cancel()
            await runner.cleanup()


def _give_up() -> None:
    """The last way out: a supervisor waits for nobody for ever, and everything that matters was acknowledged."""
    log.error("the end took longer than %g s; leaving as it is", EXIT_S)
    logging.shutdown()
    os._exit(1)


def _write(path: Path, text: str) -> None:
    """All of it or nothing: a reader never sees half a number."""
    whole = path.with_name(f".{path.name}.{os.getpid()}")
    whole.write_text(text)
    whole.replace(path)


async def _run(settings: Settings) -> None:
    stop = stop_on_signals()
    port_file = os.environ.get("REC_PORT_FILE")
    await serve(settings, stop, Path(port_file) if port_file else None)


def main() -> int:
    """Run the edge; errors made on purpose become one line and an exit code."""
    logs.begin(quiet=("aiokafka",))
    logging.getLogger("aiohttp.server").addFilter(Discreet())
    try:
        loop.use()
        settings = load_settings()
        logs.warn_of_strangers()
        asyncio.run(_run(settings))
    except RecError as error:
        log.error("%s", error.message)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
