"""Which server a command talks to. What is named wins, then REC_* variables, then the `rec up` of this folder.

`rec up` keeps its port, its keys and, while it runs, its processes' settings in its data folder (`.rec`, or
REC_DATA_DIR), so that in the same folder `rec watch u1` and `rec topics` need no options.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from rec.errors import ConfigError

if TYPE_CHECKING:
    from rec.config import Settings

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_URL = "http://127.0.0.1:8080"


class Server(NamedTuple):
    """Where, and with which key; `told` says where the address is from."""

    url: str
    api_key: str
    told: str


def server_options(command: F) -> F:
    """`--url`, `--api-key`, `--timeout` of every command that is a client."""
    for option in (
        click.option("--timeout", "timeout_s", type=click.FloatRange(0.01, 3600), default=5.0, show_default=True,
                     help="Seconds that a call may take."),
        click.option("--api-key", envvar="REC_API_KEY", show_envvar=True, help="The server's API key."),
        click.option("--url", envvar="REC_URL", show_envvar=True,
                     help=f"The server.  [default: of the `rec up` in this folder, else {DEFAULT_URL}]"),
    ):  # fmt: skip
        command = option(command)
    return command


def find_server(url: str | None, api_key: str | None, env: Mapping[str, str] = os.environ) -> Server:
    """The server to talk to; ConfigError if there is no API key anywhere."""
    folder = data_folder(env)
    told = "named"
    if not url:
        port = _read(folder / "port").strip()
        url, told = (_here(folder, int(port)), f"{folder}/port") if port.isdigit() else (DEFAULT_URL, "default")
    if not api_key:
        api_key = str(_object(folder / "secrets.json").get("api_key", ""))
    if not api_key:
        raise ConfigError(
            "no API key: pass --api-key, set REC_API_KEY, or run this where `rec up` runs "
            f"(it keeps its key in {folder}/secrets.json)",
            field="REC_API_KEY",
        )
    return Server(url, api_key, told)


def settings_here(env: Mapping[str, str] = os.environ) -> tuple[Settings, str]:
    """The settings in force, and where they are from: the environment, else a running `rec up` of this folder.

    A REC_BROKER_URL in the environment or in `.env` says that another world is meant.
    """
    from rec.config import load_settings
    from rec.embedded.announce import announced

    settings = load_settings()
    folder = data_folder(env)
    if "broker_url" in settings.model_fields_set or not (running := announced(folder)):
        return settings, "environment"
    values = {name.removeprefix("REC_").lower(): value for name, value in running.items()}
    given = {name: getattr(settings, name) for name in settings.model_fields_set}
    return load_settings(**{**values, **given}), f"`rec up` of {folder}"


def _here(folder: Path, port: int) -> str:
    """Where the `rec up` of the folder listens: on which of this machine's addresses, it tells while it runs."""
    from rec.embedded.announce import announced
    from rec.embedded.ports import address

    return address(announced(folder).get("REC_HOST", "127.0.0.1"), port)


def data_folder(env: Mapping[str, str] = os.environ) -> Path:
    return Path(env.get("REC_DATA_DIR") or ".rec")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_read(path) or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
