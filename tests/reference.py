"""code → **docs/reference**. Writes the pages of the reference from what the code says of itself.

    python -m tests.reference        or: make reference

A test (tests/test_docs.py) says when a page is not what would be written.
"""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import inspect as types
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

import agents.metrics
import rec.errors
import web.metrics
from rec import protocol
from rec.cli.root import cli
from rec.config import Settings
from rec.events import ACTIONS, Event, EventItem
from rec.ingest import ALIASES, REMEDIES

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/reference"
MADE = "<!-- Made by `make reference` from the code; not edited by hand. -->"
OPENAPI = json.loads((ROOT / "web/openapi.json").read_text())
METHODS = ("get", "put", "post", "delete")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. A bar inside a cell is escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), "|" + "---|" * len(head), *(line(row) for row in rows)])


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", MADE, *(part for part in parts if part)]) + "\n"


def code(value: object) -> str:
    return f"`{value}`"


# ---------------------------------------------------------------- settings, metrics
def default_of(name: str) -> str:
    value = Settings.model_fields[name].default
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if plain in ("", (), {}):
        return "empty"
    if isinstance(plain, dict):
        return code(json.dumps(plain))
    return code(str(plain).lower() if isinstance(plain, bool) else plain)


def settings() -> str:
    rows = [
        (code(f"REC_{name.upper()}"), default_of(name), field.description or "")
        for name, field in Settings.model_fields.items()
    ]
    return page(
        "Settings",
        "Each is an environment variable, and may stand in `.env`. A wrong one ends the process with status 3 and its "
        "name; `rec doctor`, and every process as it starts, names `REC_*` variables that nothing reads.",
        table(("variable", "default", ""), rows),
    )


def series(metrics: Any) -> list[list[str]]:
    """Name, kind, labels and help of our own metrics."""
    registry: CollectorRegistry = metrics.registry
    labels = {m._name: m._labelnames for m in vars(metrics).values() if hasattr(m, "_labelnames")}
    rows = []
    for family in registry.collect():
        if family.name.startswith("shunxi_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            named = ", ".join(code(label) for label in labels[family.name])
            rows.append([code(name), family.type, named, family.documentation.rstrip(".")])
    return rows


def metrics() -> str:
    head = ("metric", "kind", "labels", "")
    return page(
        "Metrics",
        "`rec web` serves them at `/metrics` on its own port. Worker, archiver and trainer serve them at "
        "`REC_METRICS_HOST:REC_METRICS_PORT`, if that is set (`rec up` gives each a free port and writes it into "
        "`running.json`). Python's `process_*` and `python_info` series are there for web as well. What to look at "
        "first: [operations.md](../operations.md#metrics).",
        "## Web",
        table(head, series(web.metrics.Metrics())),
        "## Worker and archiver",
        "One registry for both; each process fills its own part.",
        table(head, series(agents.metrics.Metrics())),
        "## Trainer",
        table(head, series(agents.metrics.TrainerMetrics())),
    )


# ---------------------------------------------------------------- types
def kind(of: types.Type) -> str:
    """A type in words."""
    match of:
        case types.StrType():
            return "text" + _bounds(of.min_length, of.max_length, " characters")
        case types.IntType():
            return "whole number" + _bounds(of.ge, of.le)
        case types.FloatType():
            return "number" + _bounds(of.ge, of.le)
        case types.BoolType():
            return "true or false"
        case types.DateTimeType():
            return "time, RFC 3339 with a zone"
        case types.LiteralType():
            return " or ".join(code(value) for value in of.values)
        case types.UnionType():
            return ", or ".join(kind(one) for one in of.types if not isinstance(one, types.NoneType))
        case types.ListType() | types.VarTupleType():
            most = f"at most {of.max_length} of: " if of.max_length else "list of: "
            return most + kind(of.item_type)
        case types.DictType():
            return f"object: {kind(of.key_type)} → {kind(of.value_type)}"
        case types.StructType():
            inside = (f"{f.encode_name}{'' if f.required else '?'}" for f in of.fields)
            return "{" + ", ".join(inside) + "}"
        case types.RawType() | types.AnyType():
            return "JSON"
    raise TypeError(of)


def _bounds(low: float | None, high: float | None, unit: str = "") -> str:
    if low is not None and high is not None:
        return f", {low:,g} to {high:,.0f}{unit}"
    return (
        f", at least {low:g}{unit}" if low is not None else f", at most {high:,.0f}{unit}" if high is not None else ""
    )


def fields(struct: type[msgspec.Struct], about: Callable[[str], str] | None = None) -> str:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    rows = []
    for field in info.fields:
        preset = field.default
        shown = code(json.dumps(preset)) if isinstance(preset, str | int | float | bool) else ""
        row = [code(field.encode_name), kind(field.type), "yes" if field.required else "", shown]
        rows.append([*row, about(field.encode_name)] if about else row)
    return table(("field", "type", "required", "default", *(("",) if about else ())), rows)


# ---------------------------------------------------------------- events, frames
def events() -> str:
    names = [
        (
            code(name),
            f"{action.gain:+g}" if action.gain else "0",
            "yes" if action.moves_list else "no",
            "yes" if action.needs_items else "no",
            ", ".join(code(alias) for alias, ours in ALIASES.items() if ours == name),
        )
        for name, action in ACTIONS.items()
    ]
    return page(
        "Events",
        "How they are sent, and what the server makes of time and ids: [protocol.md](../protocol.md#events). A "
        "product's category and brand gain as much interest as is said here.",
        "## Names",
        table(("event", "interest", "moves the list", "needs items", "taken for it as well"), names),
        "## Fields",
        "An `event_id` is unique among all events of the installation, not of one user: an event with an id that "
        "another one has had is answered 202, counted under `duplicates` and lost.",
        fields(Event, lambda name: REMEDIES.get(name, "")),
        "### Of an item",
        fields(EventItem, lambda name: REMEDIES.get(name, "")),
    )


def frames() -> str:
    limits = (
        ("subprotocol", code(protocol.SUBPROTOCOL)),
        ("`connect` within", f"{protocol.CONNECT_TIMEOUT_S:g} s"),
        ("ping every", f"{protocol.PING_S} s"),
        ("pong within", f"{protocol.PONG_GRACE_S:g} s"),
        ("a frame", f"{protocol.MAX_FRAME_BYTES:,} bytes"),
        ("events a frame or request", f"{protocol.MAX_EVENTS}"),
        ("items a list", f"{protocol.MAX_N}"),
        ("placements a connection", f"{protocol.MAX_SCREENS}"),
        ("lists of one user on screens", f"{protocol.MAX_USER_SCREENS}"),
    )
    commands = types.type_info(protocol.Command)
    assert isinstance(commands, types.StructType)
    parts = []
    for field in commands.fields[1:]:
        struct = getattr(protocol, field.encode_name.title())
        parts += [f"### {field.encode_name}", " ".join((struct.__doc__ or "").split()), fields(struct)]
    closes = [(str(int(c)), c.name, "yes" if c.reconnect else "no", c.about) for c in protocol.CloseCode]
    return page(
        "Frames and close codes",
        "A conversation, and what is answered: [protocol.md](../protocol.md#websocket).",
        "## Limits",
        table(("", ""), limits),
        "## Commands",
        *parts,
        "## Close codes",
        "4000–4499: reconnect, with full jitter (0.5–20 s). 4500–4999: do not; mend the cause first.",
        table(("code", "name", "reconnect", "when"), closes),
    )


# ---------------------------------------------------------------- HTTP
def _who(operation: dict[str, Any]) -> str:
    schemes = {name for one in operation.get("security", []) for name in one}
    words = {"apiKey": "a backend", "userToken": "a browser", "queryToken": "a token in the query"}
    return " or ".join(word for name, word in words.items() if name in schemes) or "anybody"


def _ref(schema: dict[str, Any]) -> str:
    """A schema in words; a named one by its name, with a link."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(_ref(one) for one in schema[key] if one.get("type") != "null")
    if "const" in schema:
        return code(json.dumps(schema["const"]))
    if "enum" in schema:
        return " or ".join(code(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_ref(schema.get('items', {}))}"
    low, high = (schema.get(a, schema.get(b)) for a, b in (("minimum", "minLength"), ("maximum", "maxLength")))
    said = schema.get("type", "any")
    said = " or ".join(one for one in said if one != "null") if isinstance(said, list) else said
    return said + (f" {low if low is not None else ''}–{high if high is not None else ''}" if low or high else "")


def _preset(schema: dict[str, Any]) -> str:
    return code(json.dumps(schema["default"])) if "default" in schema else ""


def http() -> str:
    routes, parts = [], []
    for path, item in OPENAPI["paths"].items():
        for method in (method for method in METHODS if method in item):
            operation, title = item[method], f"{method.upper()} {path}"
            summary = operation["summary"]
            routes.append((code(title), _who(operation), summary))
            rows = [
                (code(p["name"]), p["in"], _ref(p["schema"]), _preset(p["schema"]), p.get("description", ""))
                for p in operation.get("parameters", [])
            ]  # fmt: skip
            body = operation.get("requestBody", {}).get("content", {})
            sent = [f"Body: {_ref(content['schema'])}." for content in body.values()]
            answers = []
            for status, answer in operation["responses"].items():
                if "$ref" in answer:
                    answer = OPENAPI["components"]["responses"][answer["$ref"].rpartition("/")[2]]
                content = [_ref(c["schema"]) for c in answer.get("content", {}).values() if "schema" in c]
                answers.append((status, ", ".join(content), answer["description"]))
            parts += [
                f"### {title}",
                ". ".join([summary, *filter(None, [operation.get("description", "").rstrip(".")])]) + ".",
                table(("parameter", "in", "type", "default", ""), rows) if rows else "",
                " ".join(sent),
                table(("status", "body", ""), answers),
            ]
    return page(
        "HTTP",
        "The same as data: `GET /openapi.json`. What holds for all of it, and how events and lists behave: "
        "[protocol.md](../protocol.md#http).",
        "## Routes",
        table(("route", "who", ""), routes),
        "## Each of them",
        *parts,
        "## Bodies",
        *_bodies(),
    )


def _bodies() -> Iterator[str]:
    for name, schema in OPENAPI["components"]["schemas"].items():
        yield f"### {name}"
        yield schema.get("description", "")
        required = schema.get("required", [])
        rows = [
            (code(key), _ref(one), "yes" if key in required else "", one.get("description", ""))
            for key, one in schema.get("properties", {}).items()
        ]
        yield table(("field", "type", "required", ""), rows) if rows else f"{_ref(schema)}."


# ---------------------------------------------------------------- errors
def _codes() -> dict[str, set[str]]:
    """Error class → codes that the code raises it with, by name."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for folder in ("rec", "web", "agents"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                    for word in node.keywords:
                        if (
                            word.arg == "code"
                            and isinstance(word.value, ast.Constant)
                            and isinstance(word.value.value, str)
                        ):
                            found[node.func.id].add(word.value.value)
    return found


def errors() -> str:
    codes, rows = _codes(), []
    kinds = [rec.errors.RecError]
    for one in kinds:
        kinds += one.__subclasses__()
    for one in (one for one in kinds if one.__module__ == "rec.errors"):
        named = [one.code, *sorted(codes[one.__name__] - {one.code})]
        status = str(one.http_status) if one.code not in ("config", "model") else ""
        rows.append(
            (
                code(one.__name__),
                status,
                str(one.exit_code),
                "yes" if one.temporary else "",
                ", ".join(map(code, named)),
            )
        )
    tree = re.search(r"RecError .*?(?=\n\n)", rec.errors.__doc__ or "", re.S)
    assert tree
    return page(
        "Errors",
        "How an error looks on the wire, and what to do about each status: [protocol.md](../protocol.md#errors). "
        "Errors without a status never leave a process.",
        f"```text\n{tree[0]}\n```",
        "`temporary`: trying again may help. Codes are stable; more specific ones than the first say what exactly.",
        table(("class", "HTTP status", "exit code", "temporary", "codes"), rows),
    )


# ---------------------------------------------------------------- command line
def _commands(
    command: click.Command, context: click.Context, path: str
) -> Iterator[tuple[str, click.Command, click.Context]]:
    yield path, command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, click.Context(below, context, info_name=name), f"{path} {name}")


def command_line() -> str:
    found = list(_commands(cli, click.Context(cli, info_name="rec", **cli.context_settings), "rec"))[1:]
    listed = [(f"[`{path}`](#{path.replace(' ', '-')})", command.get_short_help_str(120)) for path, command, _ in found]
    parts = []
    for path, command, context in found:
        context.terminal_width = context.max_content_width = 100
        parts += [f"## {path}", f"```text\n{command.get_help(context).rstrip()}\n```"]
    return page(
        "Command line",
        'Data goes to stdout, messages to stderr. With `--json` an error is data, too: `{"error":{"code",…}}` on '
        "stdout. Exit codes: 0 ok, 1 a failed check or a refused call (no such thing, a wrong key, an event that the "
        "server does not take), 2 wrong use of the command line, 3 configuration, 4 a dependency is away, 5 timeout.",
        table(("command", ""), listed),
        *parts,
    )  # fmt: skip


PAGES: dict[str, Callable[[], str]] = {
    "http.md": http,
    "frames.md": frames,
    "events.md": events,
    "errors.md": errors,
    "settings.md": settings,
    "metrics.md": metrics,
    "cli.md": command_line,
}


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())


if __name__ == "__main__":
    main()
