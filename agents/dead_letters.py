"""Where records go that cannot be processed: to the dead-letter topic, with the reason. Everything else flows on."""

from __future__ import annotations

import base64
import logging
from typing import Any

import msgspec

from rec.dead_letters import DeadLetter
from rec.errors import Unavailable
from rec.ports import Log, Record

log = logging.getLogger(__name__)

MAX_PAYLOAD = 65_536


def dead_letter(record: Record, reason: str, error: BaseException, now: float) -> DeadLetter:
    return DeadLetter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        reason=reason,
        error=f"{type(error).__name__}: {error}"[:1000],
        at=now,
        key=record.key.decode(errors="replace"),
        payload_base64=base64.b64encode((record.value or b"")[:MAX_PAYLOAD]).decode(),
    )


class DeadLetters:
    """Writes dead letters and counts them by reason."""

    def __init__(self, topic: str, to: Log, counter: Any) -> None:
        self._topic, self._to, self._counter = topic, to, counter

    async def put(self, record: Record, reason: str, error: BaseException, now: float) -> None:
        """Never raises: a dead letter that cannot be written is logged by place, without its content."""
        self._counter.labels(reason=reason).inc()
        log.warning("dead letter: %s[%d]@%d: %s", record.topic, record.partition, record.offset, reason)
        letter = dead_letter(record, reason, error, now)
        try:
            await self._to.publish(self._topic, letter.key, msgspec.json.encode(letter))
        except Unavailable as away:
            place = record.topic, record.partition, record.offset
            log.error("the dead letter of %s[%d]@%d was not written: %s", *place, away.message)  # noqa: TRY400
