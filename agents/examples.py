"""fold → **examples** → the trainer's topic. What the worker has to teach, on its way without holding anything up.

A list goes out while its example is still being published. What lies here when the process is killed was folded and is
not learned from; it is bounded, and so is what an absent broker holds up.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.outbox import Outbox
from rec.examples import Erased, Example, encode_lesson


class Examples(Outbox[Example | Erased]):
    """A bounded queue in front of the topic. The oldest go first when it is full; an erasure never does."""

    what = "examples"

    def put(self, lesson: Example | Erased) -> None:
        """Sync: callable from the middle of a fold."""
        self.add(lesson)

    def may_go(self, value: Example | Erased) -> bool:
        return isinstance(value, Example)

    async def records_of(self, batch: Sequence[Example | Erased]) -> list[tuple[str, bytes]]:
        return [(_key(lesson), encode_lesson(lesson)) for lesson in batch]


def _key(lesson: Example | Erased) -> str:
    return lesson.event.event_id if isinstance(lesson, Example) else f"erased {lesson.erasure_id} {lesson.line}"
