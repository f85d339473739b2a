"""record → **again and again** → its agent, while the log is away. For as long as the record is this worker's.

What a record has to pass on (an erasure, a choice, a visitor's event) is in the log before the record is done. A log
that does not acknowledge is waited for; nothing is committed meanwhile. A rebalance ends the waiting: the record comes
again, to whoever owns its partition then. So does the end of the worker, which cancels it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from agents.continuity import Continuity, FirstFrom
from rec.errors import Unavailable
from rec.ports import Record

log = logging.getLogger(__name__)

FOR_S = 60.0
PAUSE_S = 1.0
LOOK_S = 0.1
MANY = 100  # offsets without a record that are worth a word


def is_away(error: Exception) -> bool:
    """Whether the log is away, rather than that there is something wrong with what is to be written.

    >>> refused = Unavailable("the record is too large")
    >>> refused.temporary = False
    >>> is_away(Unavailable("no leader")), is_away(refused), is_away(ValueError("no id"))
    (True, False, False)
    """
    return isinstance(error, Unavailable) and error.temporary


async def until_done(
    handle: Callable[[Record], Awaitable[None]],
    record: Record,
    ours: Callable[[], bool],
    *,
    for_s: float = FOR_S,
    pause_s: float = PAUSE_S,
) -> bool:
    """Hand the record over until nothing is away; False once `ours` says that its partition has moved meanwhile.

    Raises Unavailable after `for_s`.
    """
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    while True:
        try:
            await handle(record)
            return True
        except Unavailable as error:
            deadline = loop.time() + for_s if deadline is None else deadline
            if loop.time() > deadline:
                raise
            place = record.topic, record.partition, record.offset
            log.warning("%s[%d]@%d cannot be passed on yet, trying again: %s", *place, error.message)
        for _ in range(max(1, round(pause_s / LOOK_S))):
            await asyncio.sleep(min(LOOK_S, pause_s))
            if not ours():
                return False


async def check_jump(continuity: Continuity, place: tuple[str, int, int], expected: int, first_from: FirstFrom) -> None:
    """What `Continuity.check` says of a jump; asked again while the log is away, as nothing is committed meanwhile.

    Raises LostDelivery, and Unavailable after a minute.
    """
    topic, partition, offset = place
    deadline = asyncio.get_running_loop().time() + FOR_S
    while True:
        try:
            await continuity.check(*place, first_from)
            break
        except Unavailable as error:
            if asyncio.get_running_loop().time() > deadline:
                raise
            log.warning("%s[%d]: offsets jump, and nobody can say why yet: %s", topic, partition, error.message)
            await asyncio.sleep(PAUSE_S)
    if offset - expected > MANY:
        log.warning(
            "%s[%d]: nothing is at the %d offsets before %d. If no producer has transactions, the log has dropped them "
            "before they were read",
            topic, partition, offset - expected, offset,
        )  # fmt: skip
