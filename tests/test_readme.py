"""What README and docs say is true of the code: commands, snippet, links, settings, metrics, close codes, topics."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

import agents.metrics
import rec.client
import web.metrics
from rec.catalog import Item
from rec.cli.root import COMMANDS, cli
from rec.config import Settings
from rec.errors import RecError
from rec.events import ACTIONS, instant
from rec.ingest import admit_batch
from rec.protocol import CloseCode, decode_command
from rec.topics import topics
from tests.loop.local import local_worker, loop_settings
from web.app import make_app

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
TEXTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS]
README = (ROOT / "README.md").read_text()
OPERATIONS = (ROOT / "docs/operations.md").read_text()
PROTOCOL = (ROOT / "docs/protocol.md").read_text()


def section(text: str, title: str) -> str:
    """What stands under a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", text, re.M | re.S)
    assert found, title
    return found[1]


def table(text: str) -> list[list[str]]:
    """The cells of a table's rows, without its head."""
    rows = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def fenced(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


# ---------------------------------------------------------------- commands
LISTED = [row[0].strip("`") for row in table(section(README, "Commands"))]


@pytest.mark.parametrize("command", LISTED)
def test_a_listed_command_exists_and_explains_itself(command: str) -> None:
    words = shlex.split(command)
    assert words.pop(0) == "rec"
    result = CliRunner().invoke(cli, [*words, "--help"], prog_name="rec")
    assert result.exit_code == 0, result.output
    assert f"Usage: rec {' '.join(words)}" in result.output


def test_every_command_is_listed() -> None:
    assert {command.split()[1] for command in LISTED} == set(COMMANDS)


def test_every_command_that_is_mentioned_exists() -> None:
    for path in TEXTS:
        assert set(re.findall(r"`rec ([a-z]+(?:-[a-z]+)*)", path.read_text())) <= set(COMMANDS), path.name


def test_every_make_target_that_is_mentioned_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for path in TEXTS:
        assert set(re.findall(r"(?:`|^)make ([a-z]+)", path.read_text(), re.M)) <= targets, path.name


def test_the_lines_of_the_procfile_are_commands_and_are_in_the_docs() -> None:
    named = {row[0]: row[1] for row in table(section(OPERATIONS, "Processes"))}
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(": ")
        words = shlex.split(command)
        assert words[:2] == ["alembic", "upgrade"] or (words[0] == "rec" and words[1] in COMMANDS)
        assert named.pop(name) == f"`{command}`"
    assert named == {}


# ---------------------------------------------------------------- the snippet
SNIPPET = fenced(README, "python")[0]


def test_the_snippet_imports_only_what_the_client_exports() -> None:
    imports = [node for node in ast.walk(ast.parse(SNIPPET)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in imports:
        assert isinstance(node, ast.ImportFrom)
        assert node.module == "rec.client"
        assert {name.name for name in node.names} <= set(rec.client.__all__)


async def test_the_snippet_runs_against_the_edge(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = loop_settings(tmp_path)
    items = [Item(item_id=f"sku_{n}", title=f"Tent {n}", category="Tents") for n in range(70, 80)]
    names: dict[str, Any] = {}
    exec(compile(SNIPPET, "README.md", "exec"), names)
    async with local_worker(settings, items) as local:
        app = make_app(settings, local.log, local.exchange.connect(), local.database)
        async with TestServer(app) as server, asyncio.timeout(20):
            await names["main"](str(server.make_url("")), settings.api_key.get_secret_value())
        assert local.users[b"u1"].applied >= 1
    assert "sku_77" in capsys.readouterr().out


# ---------------------------------------------------------------- links
def slug(title: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text()):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        assert there.is_relative_to(ROOT), target
        if anchor:
            assert anchor in {slug(title) for title in re.findall(r"^#+ (.+)$", there.read_text(), re.M)}, target


def test_the_readme_leads_to_every_page() -> None:
    for page in DOCS:
        assert f"](docs/{page.name})" in README


# ---------------------------------------------------------------- settings, metrics, topics
def default_of(name: str) -> str:
    value = Settings.model_fields[name].default
    plain = value.get_secret_value() if isinstance(value, SecretStr) else value
    if plain in ("", (), {}):
        return "empty"
    if isinstance(plain, dict):
        return f"`{json.dumps(plain)}`"
    return f"`{str(plain).lower() if isinstance(plain, bool) else plain}`"


def test_the_table_of_settings_is_the_settings() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table(section(OPERATIONS, "Settings"))}
    assert list(rows) == [f"REC_{name.upper()}" for name in Settings.model_fields]
    for name, field in Settings.model_fields.items():
        default, about = rows[f"REC_{name.upper()}"]
        assert default == default_of(name), name
        assert about, name
        assert about == (field.description or about), name


def test_every_setting_that_is_mentioned_exists() -> None:
    known = {f"REC_{name.upper()}" for name in Settings.model_fields}
    for path in TEXTS:
        assert set(re.findall(r"\bREC_[A-Z_]+\b", path.read_text())) <= known, path.name


def series(metrics: Any) -> list[list[str]]:
    """Name, kind, labels and help of our own metrics, as the tables have them."""
    registry: CollectorRegistry = metrics.registry
    labels = {m._name: m._labelnames for m in vars(metrics).values() if hasattr(m, "_labelnames")}
    rows = []
    for family in registry.collect():
        if family.name.startswith("shunxi_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            named = ", ".join(f"`{label}`" for label in labels[family.name])
            rows.append([f"`{name}`", family.type, named, family.documentation.rstrip(".")])
    return rows


@pytest.mark.parametrize(
    ("title", "metrics"),
    [
        ("Web", web.metrics.Metrics),
        ("Worker and archiver", agents.metrics.Metrics),
        ("Trainer", agents.metrics.TrainerMetrics),
    ],
)
def test_the_tables_of_metrics_are_the_registries(title: str, metrics: Any) -> None:
    assert table(section(OPERATIONS, title)) == series(metrics())


def test_every_metric_that_is_mentioned_exists() -> None:
    kinds = (web.metrics.Metrics, agents.metrics.Metrics, agents.metrics.TrainerMetrics)
    known = {row[0].strip("`") for kind in kinds for row in series(kind())}
    assert set(re.findall(r"\bshunxi_[a-z_]+\b", OPERATIONS)) <= known


def test_the_table_of_topics_names_every_topic() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    named = [row[0].strip("`").replace("<app_id>", settings.app_id) for row in table(section(OPERATIONS, "Topics"))]
    assert named == [topic.name for topic in topics(settings)]


# ---------------------------------------------------------------- protocol
def test_the_table_of_close_codes_is_the_enumeration() -> None:
    rows = [row[:3] for row in table(section(PROTOCOL, "Close codes"))]
    assert rows == [[str(int(code)), code.name, "yes" if code.reconnect else "no"] for code in CloseCode]


def test_the_table_of_routes_is_the_interface() -> None:
    paths = json.loads((ROOT / "web/openapi.json").read_text())["paths"]
    methods = ("get", "put", "post", "delete")
    described = {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in methods}
    assert {row[0].strip("`") for row in table(section(PROTOCOL, "HTTP"))} == described


def test_the_event_of_the_docs_is_admitted() -> None:
    event = json.loads(fenced(section(PROTOCOL, "Events"), "json")[0])
    received = instant(1_795_456_000.0)
    event |= {"client_ts": received.isoformat(), "sent_ts": received.isoformat()}
    batch = admit_batch(json.dumps({"events": [event]}).encode(), received=received)
    assert batch.rejected == []
    assert len(batch.admitted) == 1


def test_the_docs_name_every_event() -> None:
    events = section(PROTOCOL, "Events")
    assert all(f"`{name}`" in events for name in ACTIONS)


def test_the_frames_of_the_docs_are_commands() -> None:
    sent = re.findall(r"^→ (\{.*?\})(?: {2,}.*)?$", section(PROTOCOL, "Websocket"), re.M)
    names = [decode_command(frame.replace("[…]", "[]").encode()).name for frame in sent]
    assert set(names) == {"connect", "subscribe", "unsubscribe", "track", "search", "refresh", None}


def test_the_table_of_errors_knows_every_status_and_code() -> None:
    rows = {row[0]: row[1] for row in table(section(PROTOCOL, "Errors"))}
    kinds = [RecError]
    for kind in kinds:
        kinds += kind.__subclasses__()
    for kind in kinds:
        if kind.__module__ == "rec.errors" and kind.code not in ("config", "model"):  # these never leave a process
            assert f"`{kind.code}`" in rows[str(kind.http_status)]


def test_make_demo_listens_where_port_says() -> None:
    def told(*more: str) -> str:
        return subprocess.run(
            ["make", "-n", "demo", *more], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout

    assert "rec up --port 9000 --shoppers 8\n" in told("PORT=9000")
    assert "rec up --port 8080 --shoppers 8\n" in told("PORT=8080")
