"""topic `feedback` → **what each list earned** → `rec.policy.results`. The newest word on each list, as it is now.

One reading of the topic, of which a short row a list is kept. Who was erased or withdrew has no record any more, and
so no row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from rec.as_of_now import as_of_now
from rec.errors import Unavailable
from rec.feedback import Place
from rec.policy.results import Earned
from rec.ports import Log, Record


class _Outcome(msgspec.Struct, frozen=True):
    """What of `rec.feedback.FeedbackExample` is needed here: its state, the largest part, is not even decoded."""

    user_id: str
    placement: str
    strategy: str
    served_at: float
    at: float
    places: tuple[Place, ...]
    experiment: str = ""
    arm: str = ""


_decode = msgspec.msgpack.Decoder(_Outcome).decode


async def all_earned(log: Log, topic: str, partitions: int, patience_s: float, most: int) -> list[Earned]:
    """What the lists of the topic earned, in no order.

    Raises Unavailable where nothing comes for `patience_s` seconds, and with the code `too_many` beyond `most` lists.
    """
    rows: dict[bytes, Earned] = {}
    async for records in as_of_now(log, topic, partitions, patience_s):
        for key, earned in await asyncio.to_thread(_read, records):
            if earned is None or not earned.subject:  # a list's ads alone (rec.ads.receipt)
                rows.pop(key, None)
            else:
                rows[key] = earned
        if len(rows) > most:
            message = (
                f"There are more than {most:,} lists, too many to add up here. Use: rec feedback export lists.jsonl, "
                "then rec experiments result NAME lists.jsonl"
            )
            raise Unavailable(message, code="too_many")
    return list(rows.values())


def _read(records: Sequence[Record]) -> list[tuple[bytes, Earned | None]]:
    """(list, what it earned; None if it is taken back) of each record."""
    return [(record.key, earned_by(record.value) if record.value else None) for record in records]


def earned_by(raw: bytes) -> Earned:
    """What a record of the topic says. Raises msgspec.MsgspecError for what is none."""
    said = _decode(raw)
    reward = sum(place.reward for place in said.places)
    decided = said.experiment, said.arm
    return Earned(said.user_id, said.at, reward, said.placement, said.strategy, said.served_at, decided)
