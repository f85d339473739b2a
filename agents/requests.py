"""log `requests` → the owner of the user → an answer. Reads and small moves of the state that are no behavior."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence

import msgspec

from agents.again import is_away
from agents.behavior import Users
from agents.consents import Consents
from agents.dead_letters import DeadLetters
from agents.explaining import Explaining
from agents.feedback import Feedback
from agents.forget import Forgetting
from agents.metrics import Metrics
from agents.presence import Presence
from agents.rating import Rating
from agents.refresh import Refresher
from agents.searching import Searching
from agents.selling import Selling
from agents.selling import answer as ads_answer
from rec.choices import standings, to_tell
from rec.clock import SharedClock
from rec.errors import Unavailable
from rec.events import instant
from rec.idle import is_idle, remains
from rec.merging import handed_over, may_merge, merged, refused
from rec.ports import Exchange, Log, Record, Reply
from rec.requests import (
    AskAds,
    Asked,
    AskRates,
    EraseVisitor,
    Expire,
    Explain,
    Inspect,
    MergeIn,
    MergeOut,
    MergeRefused,
    Refresh,
    Request,
    SearchRequest,
    SlateRequest,
    SuggestRequest,
    decode_request,
    encode_request,
)
from rec.screens import screen_key
from rec.slates import Cause, Position
from rec.state import FoldRules, UserState, touched

log = logging.getLogger(__name__)

_BY_MERGE = Cause("event")


class Requests:
    """Answers records of the requests topic from `users`, the same table that the events are folded into."""

    def __init__(
        self,
        *,
        users: Users,
        rules: FoldRules,
        refresher: Refresher,
        presence: Presence,
        exchange: Exchange,
        to: Log,
        requests_topic: str,
        dead_letters: DeadLetters,
        forgetting: Forgetting,
        consents: Consents,
        feedback: Feedback,
        rating: Rating,
        searching: Searching,
        explaining: Explaining,
        trail_of: Callable[[str], Sequence[tuple[float, str]]],
        shared: SharedClock,
        idle_s: float,
        metrics: Metrics,
        selling: Selling | None = None,
        new_epoch: Callable[[], str] = lambda: secrets.token_hex(4),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._users, self._rules, self._refresher, self._presence = users, rules, refresher, presence
        self._exchange, self._to, self._requests_topic = exchange, to, requests_topic
        self._dead_letters, self._forgetting, self._consents = dead_letters, forgetting, consents
        self._feedback, self._rating = feedback, rating
        self._searching, self._explaining = searching, explaining
        self._trail_of, self._new_epoch, self._clock = trail_of, new_epoch, clock
        self._shared, self._selling, self.idle_s, self._metrics = shared, selling, idle_s, metrics

    async def handle(self, record: Record) -> None:
        """One record, whatever it is; nothing but Unavailable leaves (see agents.behavior)."""
        try:
            request = decode_request(record.value or b"")
        except (msgspec.MsgspecError, ValueError) as error:
            await self._dead_letters.put(record, "malformed", error, self._clock())
            return
        try:
            if isinstance(request, Asked):  # whoever asks says by the shared clock until when they wait
                request = msgspec.structs.replace(request, deadline=self._shared.here(request.deadline))
            await self._answer(record.key, request)
        except Exception as error:
            if is_away(error):
                raise
            await self._dead_letters.put(record, "failed", error, self._clock())

    async def _answer(self, key: bytes, request: Request) -> None:
        match request:
            case SlateRequest():
                self._refresher.answer(request)
            case SearchRequest() | SuggestRequest():
                self._searching.answer(request)
            case Refresh():
                self._refresh(key, request)
            case Inspect():
                await self._inspect(key, request)
            case Explain():
                await self._explaining.answer(request)
            case AskRates():
                if request.deadline > self._clock():
                    body = self._rating.answer(request, self._clock())
                    await self._reply(request, body)
            case AskAds():
                if request.deadline > self._clock():
                    body = ads_answer(self._selling, request, self._clock())
                    await self._reply(request, body)
            case MergeOut():
                await self._merge_out(key, request)
            case MergeIn():
                await self._merge_in(key, request)
            case MergeRefused():
                self._merge_refused(key, request)
            case Expire():
                self._expire(key, request)
            case EraseVisitor():
                await self._forgetting.erase_visitor(self._users, key, request)

    def _refresh(self, key: bytes, request: Refresh) -> None:
        """A screen was opened, or the model or catalog moved. Only what `have` does not already show is made."""
        if request.cause.kind == "request":
            self._presence.note_one(request.user_id, screen_key(request.placement, request.item_id), request.n)
        state = self._users.get(key)
        if state is None:
            self._users[key] = UserState(epoch=self._new_epoch(), version=1)
        elif (moved := next_state(state, request, self._new_epoch)) is not None:
            self._users[key] = moved
        elif request.have == state.position:
            return
        self._refresher.refresh(request.user_id, request.cause, self._clock())

    async def _inspect(self, key: bytes, request: Inspect) -> None:
        if request.deadline < self._clock():
            return
        state = self._users.get(key)
        shown = None if state is None else msgspec.to_builtins(msgspec.structs.replace(state, ring=b""))
        trail = [{"item_id": item_id, "at": instant(at)} for at, item_id in self._trail_of(request.user_id)]
        windows = list(self._feedback.known(request.user_id))
        body = msgspec.json.encode({"state": shown, "trail": trail, "feedback": windows})
        await self._reply(request, body)

    async def _reply(self, request: Inspect | AskRates | AskAds, body: bytes) -> None:
        """Redis alone carries answers. While it is away nobody is held up for one: who asked asks again."""
        try:
            await self._exchange.reply(request.reply_to, Reply(request.request_id, body))
        except Unavailable as error:
            log.warning("a question was not answered: %s", error)

    async def _merge_out(self, key: bytes, request: MergeOut) -> None:
        """Hand the visitor's state over. From the first line on, their events go to the user.

        The state is let go of only when the log has acknowledged its copy: a crash in between sends it again.
        """
        if self._forgetting.is_late(request.user_id, request.at) or self._forgetting.is_late(request.into, request.at):
            return
        state = self._users.get(key) or UserState(epoch=self._new_epoch())
        if not may_merge(state, request.into):  # of a shared device the first who was recognised keeps the visitor
            refusal = MergeRefused(user_id=request.into, visitor_id=request.user_id)
            await self._to.publish(self._requests_topic, request.into, encode_request(refusal))
            return
        state = msgspec.structs.replace(state, merged_into=request.into)
        self._users[key] = state  # before the first await: the events' agent runs in between
        answer = MergeIn(user_id=request.into, visitor_id=request.user_id, state=state, at=request.at)
        await self._to.publish(self._requests_topic, request.into, encode_request(answer))
        await self._feedback.hand_over(request.user_id, request.into)
        now = self._users.get(key)
        # Neither erased meanwhile (who came back since belongs to nobody), nor found to be a user's own.
        if now is not None and not now.is_user and now.merged_into == request.into:
            self._users[key] = handed_over(now, request.into)

    async def _merge_in(self, key: bytes, request: MergeIn) -> None:
        state = self._users.get(key)
        if state is None or self._forgetting.is_late(request.user_id, request.at):
            return  # erased in between: nothing may come back
        after = merged(state, request.visitor_id, request.state, self._rules)
        if after is state:
            return
        if standings(after) != standings(state):  # the visitor's choice is the user's now, in the log as in the table
            await self._consents.bring(request.state, request.user_id)
        await self._consents.tell(after, to_tell(state, after) | {request.visitor_id})
        state = self._users.get(key)  # told first, kept afterwards, as in agents.behavior
        if state is None or self._forgetting.is_late(request.user_id, request.at):
            return  # erased meanwhile; who came back since has another life
        after = self._users[key] = merged(state, request.visitor_id, request.state, self._rules)
        changed = after.consent is not state.consent
        if (changed and after.consent is False) or (state.consent and after.consent_since > state.consent_since):
            await self._forgetting.drop_lists(request.user_id)
        self._refresher.refresh(request.user_id, _BY_MERGE, self._clock())
        if changed:
            await self._consents.mark(request.user_id, after.consent is False)

    def _expire(self, key: bytes, request: Expire) -> None:
        state = self._users.get(key)
        if state is None or not is_idle(state, self._clock(), self.idle_s) or self._presence.screens(request.user_id):
            return
        if (rest := remains(state)) is None:
            del self._users[key]
        else:
            self._users[key] = rest
        self._metrics.expired.inc()

    def _merge_refused(self, key: bytes, request: MergeRefused) -> None:
        state = self._users.get(key)
        if state is not None and (after := refused(state, request.visitor_id)) is not state:
            self._users[key] = after


def next_state(state: UserState, request: Refresh, new_epoch: Callable[[], str]) -> UserState | None:
    """Pure: the state with the version that the new list needs, or None if the present one will do.

    A list for the model, the catalog or a rule differs from the one before though no event came: one version on.
    So does one for a screen that has none, or that has become larger than its list (`have` is None).
    Whoever is ahead of the state shows that it lost a part of its history (a crash cut the changelog short), or does
    not tell the truth. Neither number is taken over: a new epoch begins, which every screen takes as news.
    """
    have = request.have
    if any(known is not None and ahead_of(state, known) for known in (have, request.shown)):
        return msgspec.structs.replace(state, epoch=new_epoch(), version=state.version + 1)
    if have is None or request.cause.kind in ("model", "catalog", "rule"):
        return touched(state)
    return None


def ahead_of(state: UserState, known: Position) -> bool:
    """Whether this position of the state's own epoch has not been reached yet.

    >>> ahead_of(UserState(epoch="a", version=4), Position("a", 5)), ahead_of(UserState(epoch="a"), Position("b", 5))
    (True, False)
    """
    return known.epoch == state.epoch and known.version > state.version
