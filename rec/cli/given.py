"""Whether an option was **given**, so that one that would change nothing is an error and not ignored."""

from __future__ import annotations

from collections.abc import Collection

import click
from click.core import ParameterSource

from rec.errors import BadInput


def given(ctx: click.Context, name: str) -> bool:
    """Whether this parameter is on the command line; its default or the environment do not count."""
    return ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE


def refuse(ctx: click.Context, by: str, names: Collection[str]) -> None:
    """Parameters that would change nothing beside what `by` says are wrong use, where they are on the command line.
    Raises BadInput."""
    for parameter in ctx.command.params:
        name = parameter.name or ""
        if name in names and given(ctx, name):
            off = parameter.secondary_opts if ctx.params[name] is False else []
            option = (off or parameter.opts)[0]
            raise BadInput(f"{option} has no use with {by}. Leave one of them out.", field=option)


def refuse_before_subcommand(ctx: click.Context) -> None:
    """A group's own options are for the group alone, not for what is named behind them. Raises BadInput."""
    refuse(ctx, f"`{ctx.command_path} {ctx.invoked_subcommand}`", ctx.params)
