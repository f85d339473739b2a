"""fold → table → **changelog buffer** → broker. What a table has changed, on its way to the changelog.

Faust's own sends one record after the other, of all partitions together, and waits wherever the producer has no room:
each step a turn of the event loop behind somebody's list. Here every partition has a lane of its own; within it the
order stays.

A commit waits for `flush`. Faust's gives up as soon as nothing has left the buffer for 0.1 s, and knows nothing of the
record that is on its way out: with a slow broker the offsets are committed first, and a kill then loses the writes of
events that nobody sends again. Here it waits until what was in the buffer when the commit began has left it; what
came later, later commits wait for, since under load the buffer is never empty.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from faust.transport.producer import ProducerBuffer

LOOK_AGAIN_S = 0.1


class _Lane:
    """The records of one partition: how many came and left, and those that wait."""

    def __init__(self) -> None:
        self.came = self.left = 0
        self.waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.server: asyncio.Future[None] | None = None


class ChangelogBuffer(ProducerBuffer):  # type: ignore[misc]
    """Faust's `ProducerBuffer` in lanes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lanes: dict[tuple[str, int | None], _Lane] = {}

    def put(self, fut: Any) -> None:
        """A record to be sent, some time."""
        self._lane_of(fut).came += 1
        super().put(fut)

    @property
    def size(self) -> int:
        """Records that have not left."""
        return sum(lane.came - lane.left for lane in self._lanes.values())

    async def flush(self) -> None:
        """Until all that is here now has left. Raises RuntimeError if it cannot any more."""
        upto = {key: lane.came for key, lane in self._lanes.items()}
        while any(self._lanes[key].left < came for key, came in upto.items()):
            if self.state != "running":
                raise RuntimeError("Cannot flush: Producer not Running")
            self.message_sent.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self.message_sent.wait()

    async def _send_pending(self, fut: Any) -> None:
        """Faust takes one record after the other out of `pending` and waits for this: so it does not wait here."""
        lane = self._lane_of(fut)
        lane.waiting.put_nowait(fut)
        if lane.server is None or lane.server.done():
            lane.server = self.add_future(self._serve(lane))  # its errors are this service's, as those of its tasks

    async def _serve(self, lane: _Lane) -> None:
        while True:
            fut = await lane.waiting.get()
            try:
                await fut.message.channel.publish_message(fut, wait=False)
            finally:
                lane.left += 1
            self.message_sent.set()

    def _lane_of(self, fut: Any) -> _Lane:
        message = fut.message
        channel = message.channel if isinstance(message.channel, str) else message.channel.get_topic_name()
        return self._lanes.setdefault((channel, message.partition), _Lane())
