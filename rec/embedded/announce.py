"""`rec up` → **running.json** → other commands of the same folder: how to reach the processes that run now.

Invariant: what a `rec up` that is gone has left behind is not believed: whoever runs holds the folder's lock
(rec.embedded.home), and the kernel takes it back from the dead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rec.embedded.home import is_held

if TYPE_CHECKING:
    from rec.config import Settings

_FILE = "running.json"
# What decides whether a command's change is taken, and what it does: another shell has to go by the same.
DECIDING = ("rules_need_review", "bandit_floor", "feedback")


def deciding(settings: Settings) -> dict[str, str]:
    """Those of the settings that other commands must share, as REC_* variables.

    >>> from rec.config import load_settings
    >>> deciding(load_settings(bandit_floor=0.1))["REC_BANDIT_FLOOR"]
    '0.1'
    """
    return {f"REC_{name.upper()}": json.dumps(getattr(settings, name)) for name in DECIDING}


def announce(root: Path, env: Mapping[str, str], metrics: Mapping[str, int] | None = None) -> None:
    """Tell that this process runs a world from `root` with these REC_* variables. The file is the owner's alone.

    `metrics` are the ports at which its processes serve /metrics.
    """
    fresh = root / f"{_FILE}.new"
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump({"pid": os.getpid(), "env": dict(env), "metrics": dict(metrics or {})}, file)
    fresh.replace(root / _FILE)


def announced(root: Path) -> dict[str, str]:
    """The REC_* variables of the `rec up` that runs from `root`; empty if none does."""
    try:
        told = json.loads((root / _FILE).read_text())
        if not is_held(root):
            return {}
        return {str(name): str(value) for name, value in told["env"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
