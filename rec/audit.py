"""deeds → **audit** → SQL. What somebody does is written down with them, also where it ends early."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rec.ports import Audit


@contextlib.asynccontextmanager
async def recorded(
    trail: Audit, actor: str, action: str, target: str, begun: Mapping[str, Any]
) -> AsyncIterator[dict[str, Any]]:
    """Record what the block does; it puts its counts into the detail it is given. An early end is recorded as one."""
    detail: dict[str, Any] = dict(begun)
    try:
        yield detail
    except BaseException as error:
        ended = {**detail, "ended_early": type(error).__name__}
        with contextlib.suppress(Exception):  # the first error says more than the second
            await trail.record(actor, action, target, ended)
        raise
    await trail.record(actor, action, target, detail)
