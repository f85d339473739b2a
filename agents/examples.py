"""fold → **examples** → the trainer's topic. What the worker has to teach, on its way without holding anything up.

A list goes out while its example is still being published. What lies here when the process is killed was folded and is
not learned from; it is bounded, and so is what an absent broker holds up. Erasures alone are waited for.
"""

from __future__ import annotations

from collections.abc import Sequence

from agents.outbox import Outbox
from rec.examples import Erased, Example, Rewarded, encode_lesson

Told = Example | Rewarded | Erased


class Examples(Outbox[Told]):
    """A bounded queue in front of the topic. The oldest go first when it is full; an erasure never does."""

    what, every_s = "examples", 0.2  # a trainer gathers for longer, and every request costs

    def put(self, lesson: Example | Rewarded) -> None:
        """Sync: callable from the middle of a fold."""
        self.add(lesson)

    async def tell(self, erased: Erased) -> None:
        """Behind the user's own examples. Returns once the broker has it; raises Unavailable while it is away."""
        await self.send(erased)

    def may_go(self, value: Told) -> bool:
        return not isinstance(value, Erased)

    async def records_of(self, batch: Sequence[Told]) -> list[tuple[str, bytes]]:
        return [(_key(lesson), encode_lesson(lesson)) for lesson in batch]


def _key(lesson: Told) -> str:
    match lesson:
        case Example():
            return lesson.event.event_id
        case Rewarded():  # each revision by itself: a replay is to read what was read
            return f"rewarded {lesson.slate_id} {lesson.revision}"
        case Erased():
            return erased_key(lesson)


def erased_key(erased: Erased) -> str:
    """Each by itself: one that is read again after a crash finds no state any more, and would take the place of the
    one that knows since when the model may have learned of the user.
    """
    return f"erased {erased.erasure_id} {erased.line} {erased.since}"
