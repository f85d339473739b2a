"""a shop's own rows → **foreign words** → `rec.rows`. Times and names of events as a shop's own file writes them.

Pure: a row comes out as it is but for what was said about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rec.errors import BadInput


def check_time_format(time_format: str) -> None:
    """Raises BadInput for a format that no time can be read back with: an unknown directive, half a week.

    >>> check_time_format("%d/%m/%Y %H:%M")
    >>> check_time_format("%Q")
    Traceback (most recent call last):
    rec.errors.BadInput: --time-format '%Q': 'Q' is a bad directive in format '%Q'. See datetime.strptime of Python.
    """
    try:
        datetime.strptime(datetime(2026, 11, 23, 17, 46, tzinfo=UTC).strftime(time_format), time_format)  # noqa: DTZ007
    except (ValueError, re.error) as error:
        message = f"--time-format {time_format!r}: {error}. See datetime.strptime of Python."
        raise BadInput(message, field="time_format") from None


def in_our_words(row: Mapping[str, Any], names: Mapping[str, str], time_format: str | None = None) -> Mapping[str, Any]:
    """The row with our name of its event, and with its `event_ts` as a time.

    `names`: theirs → ours. `time_format`: of `datetime.strptime`; a time without a zone is UTC. Raises BadInput for a
    time that is not so written.

    >>> told = in_our_words({"event": "buy", "event_ts": "23/11/2026 17:46"}, {"buy": "purchase"}, "%d/%m/%Y %H:%M")
    >>> told["event"], told["event_ts"].isoformat()
    ('purchase', '2026-11-23T17:46:00+00:00')
    """
    told = dict(row)
    if (ours := names.get(str(row.get("event", "")).strip())) is not None:
        told["event"] = ours
    written = row.get("event_ts")
    if time_format is not None and isinstance(written, str) and written.strip():
        try:
            at = datetime.strptime(written.strip(), time_format)  # noqa: DTZ007  the zone is set below
        except ValueError:
            message = f"event_ts: {written[:64]!r} is not written as --time-format {time_format!r} says."
            raise BadInput(message, field="event_ts") from None
        told["event_ts"] = at if at.tzinfo else at.replace(tzinfo=UTC)
    return told
