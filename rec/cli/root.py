"""The root command: finds a subcommand's module by name, imports it, and turns errors into exit codes."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence

import click

from rec import __version__
from rec.errors import RecError

# name → (module, attribute, extra that brings what it needs, one line of help); in the order of the help page
COMMANDS: dict[str, tuple[str, str, str, str]] = {
    "up": ("rec.cli.up", "up", "server,embedded", "Everything on one machine: broker, Redis and all processes."),
    "worker": ("rec.cli.processes", "worker", "server", "The stream worker (Faust): events → state → slates."),
    "trainer": ("rec.cli.processes", "trainer", "server", "Learns while the shop is open, and publishes versions."),
    "archiver": ("rec.cli.processes", "archiver", "server", "Writes accepted events from the log to SQL."),
    "web": ("rec.cli.processes", "web", "server", "The edge: HTTP, websocket, server-sent events."),
    "track": ("rec.cli.track", "track", "cli", "Send one behavior event."),
    "watch": ("rec.cli.watch", "watch", "cli", "Show a user's list and every change of it."),
    "search": ("rec.cli.search", "search", "cli", "Search the catalog as a user."),
    "feedback": ("rec.cli.feedback", "feedback", "cli", "How often what was seen is clicked and bought."),
    "ads": ("rec.cli.ads", "ads", "cli", "What each campaign of ads has spent today, and of what."),
    "migrate": ("rec.cli.migrate", "migrate", "server", "Bring the database's schema up to this version's."),
    "catalog": ("rec.cli.catalog", "catalog", "server", "Import and look at products."),
    "events": ("rec.cli.events", "events", "server", "Import, replay and export behavior events."),
    "topics": ("rec.cli.topics", "topics", "server", "Topics, partitions, records, lag, dead letters."),
    "models": ("rec.cli.models", "models", "server", "Versions of the model: list, show, promote, roll back."),
    "rules": ("rec.cli.rules", "rules", "server", "Boost, bury, pin and exclude items by a condition."),
    "review": ("rec.cli.rules", "review", "server", "What waits for a person: flagged items, changes of rules."),
    "strategies": (
        "rec.cli.strategies",
        "strategies",
        "server",
        "Ways to make lists, and which the bandit may choose.",
    ),
    "experiments": ("rec.cli.experiments", "experiments", "server", "Which strategies are compared, and on whom."),
    "audit": ("rec.cli.audit", "audit", "server", "Who changed items, erased users, imported and replayed, and when."),
    "evaluate": ("rec.cli.evaluate", "evaluate", "server", "How good the lists are on a recorded stream."),
    "simulate": ("rec.cli.simulate", "simulate", "server", "Strategies on shoppers whose interests drift and jump."),
    "evaluate-search": ("rec.cli.evaluate_search", "command", "server", "How good search is on judged queries."),
    "tune": ("rec.cli.tune", "tune", "server", "Search for hyper-parameters on the warm-up of a recorded stream."),
    "doctor": ("rec.cli.doctor", "doctor", "server", "Probe every part; each failure names the command that mends it."),
}


class LazyGroup(click.Group):
    """A group that imports a subcommand when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute, extra, _ = COMMANDS[cmd_name]
        try:
            command = getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            raise click.ClickException(f"{error}. Install it with: pip install 'shunxi[{extra}]'") from error
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):  # from the table, so that --help imports nothing
            formatter.write_dl([(name, about) for name, (_, _, _, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="rec")
def cli() -> None:
    """Real-time recommendation: an event changes the list on the screen.

    \b
    rec up --shoppers 20      start everything here, with simulated shoppers
    rec watch u1              see a list change
    rec doctor                what is wrong, and the command that mends it
    """


def run(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        result = cli.main(args=argv, prog_name="rec", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        code = "usage" if isinstance(error, click.UsageError) else "internal"
        _as_data(argv, {"code": code, "message": error.format_message(), "temporary": False})
        return error.exit_code
    except RecError as error:
        click.echo(f"rec: {error.message}", err=True)
        _as_data(argv, error.as_dict())
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0


def _as_data(argv: Sequence[str], error: Mapping[str, object]) -> None:
    """With --json whoever reads stdout gets the error there. The words are looked at, for a line that cannot be
    parsed has no options yet."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    if "--json" in words:
        click.echo(json.dumps({"error": dict(error)}))
