"""topic `served`, and the signs in `behavior` → **feedback** → topic `feedback`. The join, where the user's events are.

The rules are in rec.feedback, the table in agents.windows. What an event says of a list is noted in passing, without an
await (`note`); examples go out when a window is due, and nowhere else. A window is due by time though its user sends
nothing more: the sweep publishes `Close`, keyed by the user, since a table can be written inside a stream alone. An
example is acknowledged by the broker before the window says that it is out, so a crash in between repeats it, with the
same revision, and loses nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Iterable, Mapping

import msgspec

from agents.dead_letters import DeadLetters
from agents.forget import Forgetting
from agents.metrics import Metrics
from agents.retraction import Retraction
from agents.windows import Windows
from rec.ads.consent import AdConsent
from rec.errors import Unavailable
from rec.events import Event
from rec.examples import Rewarded
from rec.feedback import (
    IMPRESSION,
    OUTCOMES,
    SETTLE_S,
    Close,
    FeedbackExample,
    Handed,
    JoinRules,
    Told,
    Window,
    decode_told,
    encode_example,
    encode_told,
    fold,
)
from rec.ports import Log, Record
from rec.recent import Recent
from rec.rewarded import rewarded_of
from rec.served import Lists, Packed
from rec.state import UserState
from rec.topics import partition_of

log = logging.getLogger(__name__)

SWEEP_S = 1.0
CLOSE_AT_ONCE = 100  # users a record; their examples go out in one batch


class Feedback:
    """Joins lists and signs in `windows`. `users` is the table of states, for who may be remembered."""

    def __init__(
        self,
        *,
        windows: Windows,
        users: Mapping[bytes, UserState],
        owned: Callable[[str], bool],
        rules: JoinRules,
        to: Log,
        served_topic: str,
        feedback_topic: str,
        partitions: int,
        forgetting: Forgetting,
        retraction: Retraction,
        dead_letters: DeadLetters,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        wanted: bool = True,
        passed: Recent[str, bool] | None = None,
        consent_default: bool = True,
        teach: Callable[[Rewarded], None] | None = None,
    ) -> None:
        self._wanted = wanted  # else nothing is joined; of the lists that `passed` knows neither
        self._passed = Recent[str, bool](1) if passed is None else passed
        self._consent_default = consent_default
        self._teach = teach  # the trainer, if it learns from what lists earn
        self._windows, self._users, self._owned, self._rules = windows, users, owned, rules
        self._to, self._served_topic, self._feedback_topic = to, served_topic, feedback_topic
        self._partitions, self._forgetting, self._retraction = partitions, forgetting, retraction
        self._dead_letters, self._metrics, self._clock = dead_letters, metrics, clock

    # ------------------------------------------------------------------ what comes in
    async def handle(self, record: Record) -> None:
        """One record of topic `served`, whatever it is; nothing leaves (see agents.behavior)."""
        try:
            told = decode_told(record.value or b"")
        except (msgspec.MsgspecError, ValueError) as error:
            await self._dead_letters.put(record, "malformed", error, self._clock())
            return
        try:
            await self._take(told)
        except Exception as error:  # noqa: BLE001  the agent must live on; the reason is kept with the record
            await self._dead_letters.put(record, "failed", error, self._clock())

    async def _take(self, told: Told) -> None:
        match told:
            case Close():
                await self._close(told)
            case Lists():
                await self._serve(told)
            case Handed():
                if self._may_keep(told.user_id, told.window.touched):
                    self._fold(told.user_id, told.slate_id, told)

    async def _serve(self, told: Lists) -> None:
        for packed in told.lists:
            if not self._may_keep(packed.user_id, packed.at):
                continue
            state = self._users.get(packed.user_id.encode())
            if state is None or state.merged_into is None:
                self._fold(packed.user_id, packed.slate_id, packed)
            else:  # a visitor's screen: what they do is the user's now
                theirs = msgspec.structs.replace(packed, user_id=state.merged_into)
                await self._to.publish(self._served_topic, theirs.user_id, encode_told(Lists((theirs,))))

    def _may_keep(self, user_id: str, at: float) -> bool:
        """Whether what was on its way may be kept: neither erased nor withdrawn since."""
        state = self._users.get(user_id.encode())
        withdrawn = state is not None and (state.consent is False or at < state.consent_since)
        return not withdrawn and not self._forgetting.is_late(user_id, at)

    def note(self, event: Event) -> None:
        """What an event says of the list that it names. Sync; for events that may be used, as often as they come."""
        said = event.attribution
        if not self._wanted or said is None or said.slate_id in self._passed:
            return
        if event.event == IMPRESSION or event.event in OUTCOMES:
            self._fold(event.subject, said.slate_id, event)

    def _fold(self, user_id: str, slate_id: str, what: Packed | Handed | Event) -> None:
        before = self._windows.get(user_id, slate_id)
        after, _ = fold(before, what, user_id=user_id, now=self._clock(), rules=self._rules)
        if after is not before:
            self._metrics.windows_evicted.inc(self._windows.put(user_id, slate_id, after))

    # ------------------------------------------------------------------ what goes out
    async def _close(self, close: Close) -> None:
        now = max(close.at, self._clock())
        issued: list[tuple[str, str, Window, Window, list[FeedbackExample]]] = []
        for user_id in close.user_ids:
            for slate_id, before in self._windows.of(user_id).items():
                rules = self._rules._replace(nameless=self._nameless(user_id, min(before.times(), default=now)))
                try:
                    after, examples = fold(before, close, user_id=user_id, now=now, rules=rules)
                except (msgspec.MsgspecError, zlib.error) as error:  # no list of ours; it must not hold up the others
                    log.error("what was served as list %s cannot be read: %s", slate_id, error)  # noqa: TRY400
                    after, examples = None, []
                if after is not None and examples:
                    issued.append((user_id, slate_id, before, after, examples))
                elif after is not before:
                    self._counted(before, after)
                    self._windows.put(user_id, slate_id, after)
        if not issued:
            return
        try:
            await self._publish([(each.slate_id, encode_example(each)) for *_, examples in issued for each in examples])
        except Unavailable as error:
            log.warning("feedback could not be published, trying again: %s", error)
            self._windows.again({user_id for user_id, *_ in issued})
            return
        gone: list[tuple[str, bytes | None]] = []
        for user_id, slate_id, before, after, examples in issued:
            if not self._out(user_id, slate_id, before, after):
                gone += [(example.slate_id, None) for example in examples]
            elif self._teach is not None and (lesson := rewarded_of(examples[0])) is not None:
                self._teach(lesson)
        if gone:
            await self._publish(gone)

    def _out(self, user_id: str, slate_id: str, before: Window, after: Window) -> bool:
        """The example is out: say so in the window. False if there is none any more: its user withdrew meanwhile."""
        now = self._windows.get(user_id, slate_id)
        if now is None:
            return False
        self._counted(before, after)
        if now is not before:  # a sign came in between: there will be another revision
            out = {
                "revision": after.revision,
                "digest": after.digest,
                "used": after.used,
                "billed": after.billed,
                "apart": after.apart,
            }
            after = msgspec.structs.replace(now, news=True, due=self._clock() + SETTLE_S, **out)
        self._windows.put(user_id, slate_id, after)
        return True

    def _counted(self, before: Window, after: Window | None) -> None:
        """Signs that were joined, those of lists that nobody knows, and those that did not fit their list."""
        result = self._metrics.feedback
        if after is not None:
            result.labels(result="joined").inc(max(0, after.used - before.used))
        else:
            result.labels(result="unused" if before.served else "unjoined").inc(before.signs - before.used)

    def _nameless(self, user_id: str, at: float) -> bool:
        """Whether nothing may be kept of what this user did with ads at that moment."""
        state = self._users.get(user_id.encode())
        said = AdConsent() if state is None else state.ad_consent
        return not said.stores(at, self._consent_default)

    async def _publish(self, pairs: list[tuple[str, bytes | None]]) -> None:
        await self._to.publish_many(self._feedback_topic, pairs)

    # ------------------------------------------------------------------ time
    async def sweep_for_ever(self) -> None:
        """Close what is due, every second."""
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self.sweep(self._clock())
            except Unavailable as error:
                log.warning("feedback windows are closed later: %s", error)

    async def sweep(self, now: float) -> int:
        """One round; how many users have windows that are due. Raises Unavailable."""
        self._metrics.windows.set(len(self._windows))
        due = {user_id for user_id in self._windows.due(now) if self._owned(user_id)}
        parts: dict[int, list[str]] = {}
        for user_id in sorted(due):
            parts.setdefault(partition_of(user_id.encode(), self._partitions), []).append(user_id)
        records: list[tuple[str, bytes | None]] = []
        for users in parts.values():
            for start in range(0, len(users), CLOSE_AT_ONCE):
                some = tuple(users[start : start + CLOSE_AT_ONCE])
                records.append((some[0], encode_told(Close(some, now))))
        try:
            await self._to.publish_many(self._served_topic, records)
        except Unavailable:
            self._windows.again(due)
            raise
        return len(due)

    # ------------------------------------------------------------------ people
    def erase(self, event: Event) -> None:
        """An `$erase` record: let go of the user's windows, and take back what is out."""
        dropped = self._drop(event.subject)
        self._retraction.erased(event, len(dropped))

    async def withdraw(self, user_id: str, before: UserState | None) -> None:
        """The user denied: the same, without a receipt. What is known to be out is taken back at once.

        The topic is read for those alone who did something while they allowed it: most deny at their first step.
        """
        out = [slate_id for slate_id, window in self._drop(user_id).items() if window.revision >= 0]
        if before is not None and (before.shown or before.history):
            self._retraction.denied(user_id, self._clock())
        try:
            if out:
                await self._publish([(slate_id, None) for slate_id in out])
        except Unavailable as error:
            log.warning("feedback of somebody who withdrew is taken back later: %s", error)

    def _drop(self, user_id: str) -> dict[str, Window]:
        windows = self._windows.of(user_id)
        for slate_id in windows:
            self._windows.put(user_id, slate_id, None)
        return windows

    async def hand_over(self, visitor_id: str, user_id: str) -> None:
        """The visitor is this user: so are the lists that they saw. Raises Unavailable, and nothing is let go."""
        windows = self._windows.of(visitor_id)
        handed = [Handed(user_id, slate_id, window) for slate_id, window in windows.items()]
        await self._to.publish_many(self._served_topic, [(user_id, encode_told(each)) for each in handed])
        for slate_id, window in windows.items():
            if self._windows.get(visitor_id, slate_id) is window:
                self._windows.put(visitor_id, slate_id, None)

    def known(self, user_id: str) -> Iterable[dict[str, object]]:
        """A user's open windows, for them to read."""
        for slate_id, window in self._windows.of(user_id).items():
            yield {"slate_id": slate_id, "seen": window.seen, "actions": window.acts, "revision": window.revision}
