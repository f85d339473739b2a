"""`rec`: the commands of design.md section 3. Each lives in its own module and is imported only when it is called.

Data goes to stdout, messages to stderr. With --json an error is data, too: {"error":{…}} on stdout. Exit codes: 0 ok,
1 a failed check or a refused call, 2 usage, 3 config, 4 dependency unreachable, 5 timeout, 130 interrupted.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the `rec` command."""
    try:
        from rec.cli.root import run
    except ImportError as error:
        print(f"rec: {error}. Install the command line with: pip install 'shunxi[cli]'", file=sys.stderr)  # noqa: T201
        sys.exit(3)
    sys.exit(run())
