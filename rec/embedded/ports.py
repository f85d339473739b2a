"""Free TCP ports for children, and the one-question conversations that tell whether a child answers yet."""

from __future__ import annotations

import asyncio
import errno
import socket

from rec.errors import ConfigError

ANSWER_S = 1.0  # a healthy neighbour on this machine answers in far less


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now. Somebody else may take it before you do: bind soon."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


def check_address(host: str, port: int) -> None:
    """Raise ConfigError naming the option to change if web could not listen there now; 0 is always free."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise ConfigError(f"--host {host}: {error.strerror}. Give an address of this machine.", field="host") from error
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as web does
                if family == socket.AF_INET6:
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                message, field = f"--host {host}: this machine has no such address. Give one that it has.", "host"
            elif error.errno in (errno.EADDRINUSE, errno.EACCES):
                why = "somebody listens there" if error.errno == errno.EADDRINUSE else "this user may not listen there"
                message, field = f"--port {port}: {why} on {host}. Give another, or --port 0 for a free one.", "port"
            else:
                message, field = f"--host {host} --port {port}: {error.strerror}.", "host"
            raise ConfigError(message, field=field) from error


def address(host: str, port: int) -> str:
    """The URL at which a web of this machine answers that listens on `host`, RFC 3986 section 3.2.2.

    >>> address("0.0.0.0", 80), address("::", 80), address("fe80::1%eth0", 80), address("shop", 80)
    ('http://127.0.0.1:80', 'http://[::1]:80', 'http://[fe80::1%25eth0]:80', 'http://shop:80')
    """
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  comparing, not binding
    return f"http://{'[' + host.replace('%', '%25') + ']' if ':' in host else host}:{port}"


async def ask(port: int, question: bytes, answer_bytes: int, host: str = "127.0.0.1") -> bytes | None:
    """Send `question` and read exactly `answer_bytes`; None if nobody listens or no answer comes within a second."""
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(question)
            return await reader.readexactly(answer_bytes)
    except (OSError, EOFError, TimeoutError):
        return None
    finally:
        if writer is not None:
            writer.transport.abort()
