"""What every command prints, and where: data to stdout, messages to stderr, JSON on one line a value.

rich decides about color: none when stdout is no terminal, when NO_COLOR is set or when TERM is dumb.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console, RenderableType
from rich.table import Table

F = TypeVar("F", bound=Callable[..., Any])

# Never narrower in a pipe: a table that is cut at 80 columns is of no use to grep.
PIPE_WIDTH = 160


def json_option(command: F) -> F:
    """`--json`: data as JSON, for scripts; `rec.cli.root` prints errors as JSON, too."""
    return click.option("--json", "as_json", is_flag=True, help="Data as JSON on stdout, one value a line.")(command)


def emit_json(value: Any) -> None:
    """One value on one line of stdout."""
    click.echo(msgspec.json.encode(value))


def emit(what: RenderableType) -> None:
    """Text or a table to stdout."""
    console().print(what)


def console() -> Console:
    """stdout as it is now (a test or a pipe may have replaced it)."""
    return Console(
        file=sys.stdout, width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False, emoji=False
    )


def quiet_drivers() -> None:
    """Libraries log what our errors say anyway; stderr is for one clear line."""
    for name in ("aiokafka", "rec.client", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def say(message: str) -> None:
    """A message for a person, on stderr."""
    click.echo(message, err=True)


def table(*headings: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A plain table; the columns named in `right` hold numbers."""
    made = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading, justify="right" if heading in right else "left", no_wrap=True)
    return made


def pretty(value: Any) -> str:
    """A JSON value for a person: indented."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def ago(seconds: float) -> str:
    """How long ago, short.

    >>> ago(0.034), ago(2.31), ago(75), ago(7300), ago(200_000), ago(-0.2)
    ('34 ms ago', '2.3 s ago', '1 min ago', '2 h ago', '2 d ago', 'now')
    """
    if seconds < 0:
        return "now"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms ago"
    for limit, unit, size in ((60, "s", 1), (3600, "min", 60), (86_400, "h", 3600)):
        if seconds < limit:
            return f"{seconds:.1f} s ago" if unit == "s" else f"{seconds // size:.0f} {unit} ago"
    return f"{seconds // 86_400:.0f} d ago"
