"""compose.yaml, Dockerfile, Procfile and Makefile name only commands, variables and paths that exist.

No container engine is needed: what they say is compared with the code.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from rec.cli.root import COMMANDS
from rec.config import Settings, load_settings

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
OURS = ("migrate", "web", "worker", "archiver")
SETTINGS = {f"REC_{name.upper()}" for name in Settings.model_fields}


def command_exists(command: str) -> bool:
    words = shlex.split(command)
    return words[0] == "alembic" or (words[0] == "rec" and words[1] in COMMANDS)


def test_compose_runs_every_process_of_the_procfile_and_the_three_stores() -> None:
    procfile = [line.split(":")[0] for line in (ROOT / "Procfile").read_text().splitlines() if line]
    assert set(procfile) - {"release"} <= set(COMPOSE["services"])
    assert {"kafka", "redis", "postgres", "migrate"} <= set(COMPOSE["services"])


@pytest.mark.parametrize("service", OURS)
def test_a_process_in_compose_has_a_command_and_settings_that_exist(service: str) -> None:
    described = COMPOSE["services"][service]
    assert command_exists(described["command"])
    assert {name for name in described["environment"] if name.startswith("REC_")} <= SETTINGS
    assert set(described["depends_on"]) <= set(COMPOSE["services"])
    for volume in described.get("volumes", ()):
        assert volume.split(":")[0] in COMPOSE["volumes"]


def test_the_settings_in_compose_are_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in COMPOSE["services"]["web"]["environment"].items():
        if value is None:  # passed on from the host if it is set there
            monkeypatch.delenv(name, raising=False)
            continue
        monkeypatch.setenv(name, re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)\}", lambda m: m[1] or "", value))
    monkeypatch.setenv("REC_TOKEN_SECRET", "x" * 32)
    settings = load_settings()
    assert settings.bootstrap == ["kafka:9092"]
    assert settings.partitions == Settings.model_fields["partitions"].default


def test_compose_repeats_no_default_of_the_code() -> None:
    for name, value in COMPOSE["services"]["web"]["environment"].items():
        default = re.fullmatch(r"\$\{\w+:-([^}]+)\}", value or "")
        assert default is None, f"{name}: {value}"


def test_migrations_wait_for_the_database_and_the_processes_for_them() -> None:
    assert COMPOSE["services"]["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for service in ("web", "worker", "archiver"):
        waits = COMPOSE["services"][service]["depends_on"]
        assert waits["migrate"]["condition"] == "service_completed_successfully"
        assert waits["kafka"]["condition"] == "service_healthy"


def test_kafka_does_not_create_topics_by_itself() -> None:
    assert COMPOSE["services"]["kafka"]["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"


def test_the_image_copies_what_exists_and_starts_what_exists() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    variables = set(re.findall(r"\bREC_[A-Z_]+\b", DOCKERFILE))
    assert variables <= SETTINGS
    command = re.search(r'^CMD \["(.+)"\]$', DOCKERFILE, re.M)
    assert command
    assert command_exists(command[1].replace('", "', " "))
    assert re.search(r"^USER (?!root)", DOCKERFILE, re.M)


def test_the_versions_that_are_installed_are_the_ones_that_were_tested_together() -> None:
    pins = dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M))
    assert pins["torch"] == "2.13.0"
    assert pins["faust-streaming"] == "0.15.3"
    known = {re.sub(r"[-_.]+", "-", name).lower() for name in pins}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(line for lines in project["optional-dependencies"].values() for line in lines),
    ]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9_.-]", line)[0]).lower() for line in wanted}
    assert names <= known


@pytest.mark.parametrize("script", [".ci/run", ".ci/lock"])
def test_the_shell_scripts_parse(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_make_help_names_what_the_readme_promises() -> None:
    result = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    for target in ("install", "demo", "test", "bench", "clean"):
        assert f"make {target}" in result.stdout
