"""Runs `rec …` in this process as a shell would: an exit code, what went to stdout, what went to stderr."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from typing import Any, NamedTuple

from rec.cli.root import run


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """stdout as JSON lines."""
        return [json.loads(line) for line in self.out.splitlines()]


async def rec(*argv: str) -> Result:
    """The command line in a thread, beside the servers of the test's own loop."""
    return await asyncio.to_thread(rec_now, *argv)


def rec_now(*argv: str) -> Result:
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(argv)
    return Result(code, *(stream.buffer.getvalue().decode() for stream in (out, err)))
