"""The documentation as a whole: the site builds, the reference is of the code, commands can be given, examples run."""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from rec.cli.root import cli
from rec.events import ACTIONS, Action, instant
from rec.ingest import admit_batch
from rec.rows import event_of, item_of
from tests.reference import FOLDER, PAGES

ROOT = Path(__file__).resolve().parent.parent
DOCS = sorted((ROOT / "docs").rglob("*.md"))
HANDMADE = [page for page in (ROOT / "README.md", *DOCS) if page.parent != FOLDER]
NO_MKDOCS = importlib.util.find_spec("mkdocs") is None


# ---------------------------------------------------------------- the site
@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with warnings as errors: dead links and anchors, pages that the navigation does not have."""
    if NO_MKDOCS:
        pytest.skip("mkdocs is not installed: pip install 'shunxi[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page_and_loads_nothing_from_elsewhere(site: Path) -> None:
    built = {page.parent.relative_to(site).as_posix() for page in site.rglob("index.html")}
    assert {page.relative_to(ROOT / "docs").with_suffix("").as_posix() for page in DOCS} - {"index"} <= built
    for page in site.rglob("*.html"):
        assert re.findall(r'<(?:script|img|link)[^>]+(?:src|href)="?(?:https?:)?//', page.read_text()) == [], page.name
    for style in site.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//|@import", style.read_text()) == [], style.name


def test_every_page_has_its_place_in_the_navigation() -> None:
    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        else:
            for one in entry if isinstance(entry, list) else entry.values() if isinstance(entry, dict) else ():
                yield from pages(one)

    listed = sorted(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    assert listed == sorted(page.relative_to(ROOT / "docs").as_posix() for page in DOCS)


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_that_of_the_code(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "out of date; mend it with: make reference"


# ---------------------------------------------------------------- commands
def commands() -> Iterator[tuple[str, str]]:
    """Every line of a code block that begins with `rec `, by page."""
    for page in HANDMADE:
        for block in re.findall(r"^```(?:bash|sh|console)?(?: [^\n]*)?\n(.*?)^```", page.read_text(), re.M | re.S):
            for line in re.findall(r"^rec (?:'[^']*'|[^\n'])*", block, re.M):
                yield page.name, re.split(r" {3,}", line)[0]


@pytest.mark.parametrize(("page", "line"), sorted(set(commands())))
def test_a_command_of_the_docs_is_taken_as_it_is_written(page: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    words = shlex.split(re.split(r" (?:\||>|#) ?", line)[0].replace("…", "x"))[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group) and words:
        found = command.get_command(context, words[0])
        assert found is not None, line
        command, words = found, words[1:]
    for parameter in command.params:  # that files are there is not the point
        if isinstance(parameter.type, click.Path):
            monkeypatch.setattr(parameter, "type", click.Path())
    command.make_context(line, words, resilient_parsing=False)


# ---------------------------------------------------------------- how-tos and examples
def test_an_event_of_ones_own_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    line = 'ACTIONS["ask_price"] = Action(2.0)'
    assert line in (ROOT / "docs/howto/events.md").read_text()
    monkeypatch.setitem(ACTIONS, "ask_price", Action(2.0))
    event = {"event": "ask_price", "event_id": "e1", "user_id": "u1", "items": [{"item_id": "a"}]}
    batch = admit_batch(json.dumps({"events": [event]}).encode(), received=instant(1_795_456_000.0))
    assert [admitted.event.event for _, admitted in batch.admitted] == ["ask_price"]


INVOICES = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,10A,RED  LAMP,2,2010-12-01 08:26:00,2.5,7.0,France
1,10A,RED LAMP,1,2010-12-01 08:27:00,2.5,8.0,France
2,10A,damaged,5,2010-12-01 08:28:00,0.0,,France
C3,10A,RED LAMP,-2,2010-12-01 08:29:00,2.5,7.0,France
4,POST,POSTAGE,1,2010-12-01 08:30:00,18.0,7.0,France
"""


def test_invoices_become_products_and_purchases(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(INVOICES)
    script = [sys.executable, str(ROOT / "examples/from_invoices.py"), "--until-now", "shop", "a.csv"]
    subprocess.run(script, cwd=tmp_path, check=True, timeout=30)
    with (tmp_path / "shop/products.csv").open() as file:
        items = [item_of(row) for row in csv.DictReader(file)]
    assert [(item.item_id, item.title, item.price) for item in items] == [("10A", "RED LAMP", 2.5)]
    now = instant(4e9)
    with (tmp_path / "shop/events.csv").open() as file:
        events = [event_of(row, now=now) for row in csv.DictReader(file)]
    assert [(event.user_id, event.items[0].quantity, event.transaction_id) for event in events] == [
        ("7", 2, "1"),
        ("8", 1, "1"),
    ]
    assert instant(1.7e9) < events[0].event_ts if events[0].event_ts else False


def test_the_offline_evaluation_compares_the_model_with_its_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(sys, "argv", ["sample_shop.py", "."])
    runpy.run_path(str(ROOT / "examples/sample_shop.py"), run_name="__main__")
    columns = ["--user", "customer", "--item", "sku", "--time", "time"]
    lines = Path("events.csv").read_text().splitlines()[:401]
    Path("events.csv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(sys, "argv", ["offline_evaluation.py", "events.csv", *columns])
    runpy.run_path(str(ROOT / "examples/offline_evaluation.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "events scored" in said
    assert re.search(r"model +\.?\d", said)
    assert re.search(r"popularity +\.?\d", said)
