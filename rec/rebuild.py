"""archived events → **rebuild** → states and counters. What the worker does with the log, without a log. Pure.

Invariants: states are folded, visitors merged and handed on, and choices passed on by the same functions and in the
same places as in the worker; only there is nobody to wait for.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Callable

import msgspec

from rec.ads.apart import without_ads
from rec.choices import choices_of, standings, to_tell
from rec.counters import Counters
from rec.events import CONSENT, Event, checked
from rec.examples import LEAST_TOUCHES, Example, example_of, teaches
from rec.merging import handed_over, may_merge, merged, refused
from rec.state import FacetsOf, FoldRules, UserState, fold


class Rebuild:
    """Folds archived events into `users`, and into `counters` if there are any.

    `told`: choices that it had to pass on and that the archive does not have. The last records to die with a log may
    be such.
    """

    def __init__(
        self,
        facets: FacetsOf,
        rules: FoldRules,
        counters: Counters | None = None,
        teach: Callable[[Example], None] = lambda _: None,
        steps: int = LEAST_TOUCHES,
        *,
        now: float,
    ) -> None:
        """`teach` is told every example, as the trainer would have been; `steps`: see `rec.examples.example_of`.

        `now`, seconds since 1970: what was received far ahead of it is refused, as in the worker.
        """
        self._facets, self._rules, self._teach, self._steps = facets, rules, teach, steps
        self.counters, self._now = counters, now
        self.users: dict[str, UserState] = {}
        self.events = 0
        self.told: dict[str, Event] = {}
        self._archived: set[str] = set()  # choices that were passed on while there was a log

    def apply(self, event: Event) -> None:
        """The next event of the archive. Raises what the fold raises, and has not taken it then."""
        event = checked(event, self._now)
        if event.event == CONSENT:
            self._archived.add(event.event_id)
            self.told.pop(event.event_id, None)
        waiting = deque([event])
        while waiting:
            waiting += self._step(waiting.popleft())
        self.events += 1

    def _step(self, event: Event) -> list[Event]:
        """One record of the log; the choices that have to be told because of it."""
        state = self.users.get(event.subject)
        if state is not None and state.merged_into is not None and event.user_id is None and event.event != CONSENT:
            event = msgspec.structs.replace(event, user_id=state.merged_into)
            state = self.users.get(event.subject)
        after, outcome = fold(state, event, self._facets, epoch=secrets.token_hex(4), rules=self._rules)
        bare = without_ads(event, self._facets)
        if teaches(bare, outcome):
            self._teach(example_of(bare, state, self._steps))
        if self.counters is not None:
            self.counters.learn(bare)
        if after is None:
            return []
        choices = [one for v in sorted(to_tell(state, after, event)) for one in choices_of(after, 0.0, visitor_id=v)]
        if event.visitor_id is not None and after.visitors.get(event.visitor_id) == "asked":
            after, more = self._merged(after, event.visitor_id, event.subject)
            choices += more
        self.users[event.subject] = after
        self.told.update((choice.event_id, choice) for choice in choices if choice.event_id not in self._archived)
        return choices

    def _merged(self, user: UserState, visitor_id: str, user_id: str) -> tuple[UserState, list[Event]]:
        visitor = self.users.get(visitor_id) or UserState(epoch=secrets.token_hex(4))
        if not may_merge(visitor, user_id):
            return refused(user, visitor_id), []
        self.users[visitor_id] = handed_over(visitor, user_id)
        after = merged(user, visitor_id, visitor, self._rules)
        choices = []
        if standings(after) != standings(user):
            choices += choices_of(visitor, 0.0, user_id=user_id)
        for each in sorted(to_tell(user, after) | {visitor_id}):
            choices += choices_of(after, 0.0, visitor_id=each)
        return after, choices
