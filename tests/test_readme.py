"""What README and docs say is true of the code: commands, snippet, links, settings, metrics, topics, errors, frames."""

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

import agents.metrics
import rec.client
import web.metrics
from rec.catalog import Item
from rec.cli.root import COMMANDS
from rec.config import Settings
from rec.errors import RecError
from rec.events import instant
from rec.ingest import admit_batch
from rec.protocol import decode_command
from rec.topics import topics
from tests.loop.local import local_worker, loop_settings
from tests.reference import series
from web.app import make_app

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
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
SNIPPET = fenced((ROOT / "docs/howto/python.md").read_text(), "python")[0]


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
    exec(compile(SNIPPET, "python.md", "exec"), names)
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


# ---------------------------------------------------------------- settings, metrics, topics
def test_every_setting_that_is_mentioned_exists() -> None:
    known = {f"REC_{name.upper()}" for name in Settings.model_fields} | {"REC_URL"}  # of commands that are clients
    for path in TEXTS:
        assert set(re.findall(r"\bREC_[A-Z_]+[A-Z]\b", path.read_text())) <= known, path.name


def test_every_metric_that_is_mentioned_exists() -> None:
    kinds = (web.metrics.Metrics, agents.metrics.Metrics, agents.metrics.TrainerMetrics)
    known = {row[0].strip("`") for kind in kinds for row in series(kind())}
    for path in DOCS:
        assert set(re.findall(r"`(shunxi_[a-z_]+)`", path.read_text())) <= known, path.name


def test_the_table_of_topics_names_every_topic() -> None:
    settings = Settings(_env_file=None)  # type: ignore[call-arg]
    named = [row[0].strip("`").replace("<app_id>", settings.app_id) for row in table(section(OPERATIONS, "Topics"))]
    assert named == [topic.name for topic in topics(settings)]


# ---------------------------------------------------------------- protocol
def test_the_event_of_the_docs_is_admitted() -> None:
    event = json.loads(fenced(section(PROTOCOL, "Events"), "json")[0])
    received = instant(1_795_456_000.0)
    event |= {"client_ts": received.isoformat(), "sent_ts": received.isoformat()}
    batch = admit_batch(json.dumps({"events": [event]}).encode(), received=received)
    assert batch.rejected == []
    assert len(batch.admitted) == 1


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
