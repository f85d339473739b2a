"""Free TCP ports for children, and the one-question conversations that tell whether a child answers yet."""

from __future__ import annotations

import asyncio
import socket

ANSWER_S = 1.0  # a healthy neighbour on this machine answers in far less


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on now. Somebody else may take it before you do: bind soon."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
    return port


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
