"""fold → table → **changelog buffer** → broker. What a table has changed, on its way to the changelog.

Faust's own sends one record after the other, of all partitions together, and waits wherever the producer has no room:
each step a turn of the event loop behind somebody's list. Here every partition has a lane of its own; within it the
order stays.

A commit waits for `flush`. Faust's gives up as soon as nothing has left the buffer for 0.1 s, and knows nothing of the
record that is on its way out: with a slow broker the offsets are committed first, and a kill then loses the writes of
events that nobody sends again. Here it waits until the broker has acknowledged what was in the buffer when the commit
began; what came later, later commits wait for, since under load the buffer is never empty.

A record that the broker does not take (no right to write, too large, no leader for too long) ends the worker before
its event is committed. Faust only logs it, and the event would be missing in the state for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from typing import Any

from faust.transport.producer import ProducerBuffer

LOOK_AGAIN_S = 0.1


class _Lane:
    """The records of one partition: how many came, left, and were acknowledged, which they are in order; those that
    wait."""

    def __init__(self) -> None:
        self.came = self.left = self.kept = 0
        self.waiting: asyncio.Queue[Any] = asyncio.Queue()
        self.server: asyncio.Future[None] | None = None


class ChangelogBuffer(ProducerBuffer):  # type: ignore[misc]
    """Faust's `ProducerBuffer` in lanes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self._lanes: dict[tuple[str, int | None], _Lane] = {}
        self._refused: BaseException | None = None

    def put(self, fut: Any) -> None:
        """A record to be sent, some time."""
        self._lane_of(fut).came += 1
        super().put(fut)

    @property
    def size(self) -> int:
        """Records that have not left."""
        return sum(lane.came - lane.left for lane in self._lanes.values())

    async def flush(self) -> None:
        """Until the broker has all that is here now. Raises RuntimeError if it will never have."""
        upto = {key: lane.came for key, lane in self._lanes.items()}
        while any(self._lanes[key].kept < came for key, came in upto.items()):
            if self._refused is not None:
                raise RuntimeError("Cannot flush: the broker does not take a changelog record") from self._refused
            if self.state != "running" and self.size:  # what has left is acknowledged even while we stop
                raise RuntimeError("Cannot flush: Producer not Running")
            self.message_sent.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_S):
                    await self.message_sent.wait()

    async def on_stop(self) -> None:
        """Where a record was refused, nothing is waited for: the others would be committed past it."""
        if self._refused is None:
            await self.flush()

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
                sent = await fut.message.channel.publish_message(fut, wait=False)
            except Exception as error:
                self._refused = error
                raise
            lane.left += 1
            sent.add_done_callback(functools.partial(self._answered, lane))

    def _answered(self, lane: _Lane, sent: asyncio.Future[Any]) -> None:
        error = asyncio.CancelledError() if sent.cancelled() else sent.exception()
        if error is None:
            lane.kept += 1
        elif self._refused is None:
            self._refused = error
            if self.state == "running":
                self.add_future(_end(error))
        self.message_sent.set()

    def _lane_of(self, fut: Any) -> _Lane:
        message = fut.message
        channel = message.channel if isinstance(message.channel, str) else message.channel.get_topic_name()
        return self._lanes.setdefault((channel, message.partition), _Lane())


async def _end(error: BaseException) -> None:
    """A task of a service that fails takes the service with it."""
    raise RuntimeError(f"the broker does not take a changelog record: {error!r}") from error
