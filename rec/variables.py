"""environment, `.env` → **REC_* variables that nothing reads**: misspelt ones, as a rule, and what was meant.

A setting that is misspelt is one that is not set, without an error: so every process says so as it starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

from dotenv import dotenv_values

from rec.config import Settings

# What commands and processes read beside the settings.
BESIDE = frozenset(("REC_URL", "REC_PORT_FILE"))
_SETTINGS = [f"REC_{name.upper()}" for name in Settings.model_fields]


def variables_here(folder: Path = Path()) -> set[str]:
    """Names of the environment and of the folder's `.env`, as the settings read them: in either case."""
    return {name.upper() for name in (*os.environ, *dotenv_values(folder / ".env"))}


def unknown_variables(names: Iterable[str]) -> list[str]:
    """The REC_* variables that no process of ours reads.

    >>> unknown_variables(["REC_SEEEN", "REC_SEEN", "REC_PORT_FILE", "REC_TEST_REQUIRE", "PATH"])
    ['REC_SEEEN']
    """
    known = BESIDE.union(_SETTINGS)
    ours = (name for name in names if name.startswith("REC_") and not name.startswith("REC_TEST_"))
    return sorted(name for name in ours if name not in known)


def meant(name: str) -> str:
    """A variable that is nearly spelt like this, or where they are listed.

    >>> meant("REC_SEEEN"), meant("REC_XYZZY")
    ('did you mean REC_SEEN?', 'they are listed in docs/reference/settings.md')
    """
    close = get_close_matches(name, _SETTINGS, n=1)
    return f"did you mean {close[0]}?" if close else "they are listed in docs/reference/settings.md"


def warning(strangers: Iterable[str]) -> str:
    """One line about all of them; empty if there are none.

    >>> warning(["REC_SEEEN", "REC_XYZZY"])
    'nothing reads REC_SEEEN (did you mean REC_SEEN?), REC_XYZZY (they are listed in docs/reference/settings.md)'
    """
    told = ", ".join(f"{name} ({meant(name)})" for name in strangers)
    return f"nothing reads {told}" if told else ""
