"""One rule of consent: whatever comes in whatever order, table, counters and archive use the same events."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.archive_choices import Choices
from rec.archive_rules import ArchivedEvent, archive_row, one_each
from rec.choices import choices_of, standings, to_tell
from rec.consent import Standing, chosen, usable
from rec.counters import Counters
from rec.events import CONSENT, Consent, Event, encode_event, instant
from rec.ingest import admit
from rec.merging import handed_over, may_merge, merged, refused
from rec.state import FoldRules, Outcome, UserState, fold
from tests.unit.shop import NOW, event

USED = (Outcome.MOVED, Outcome.NOTED)


# ---------------------------------------------------------------- the standing
steps = st.lists(st.tuples(st.booleans(), st.integers(1, 20)), max_size=12)


def stand(choices: Sequence[tuple[bool, int]]) -> Standing | None:
    standing: Standing | None = None
    for denied, at in choices:
        standing = chosen(standing, denied, at)
    return standing


def allowed(choices: Sequence[tuple[bool, int]], at: int) -> bool:
    """The rule in plain words, for choices that are all known: granted now, and nothing denied it since `at`."""
    said = sorted(choices, key=lambda choice: (choice[1], choice[0]))
    then = [denied for denied, when in said if when <= at]
    return not (then and then[-1]) and not any(denied for denied, when in said if when > at)


@given(choices=steps, at=st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_in_order_only_what_happened_since_the_last_denial_ended_may_be_used(
    choices: list[tuple[bool, int]], at: int
) -> None:
    in_order = sorted(choices, key=lambda choice: (choice[1], choice[0]))
    assert usable(stand(in_order), event("view_item", "a", at=at), True) == allowed(choices, at)


@given(choices=steps, seed=st.integers(0, 99), at=st.integers(1, 20))
@settings(max_examples=300, deadline=None)
def test_disorder_never_changes_what_holds_and_never_allows_more(
    choices: list[tuple[bool, int]], seed: int, at: int
) -> None:
    mixed = choices * 2
    random.Random(seed).shuffle(mixed)
    standing = stand(mixed)
    assert (standing is None) == (not choices)
    if standing is not None:
        newest = max(choice[1] for choice in choices)
        assert (standing.at, standing.denied) == (newest, (True, newest) in choices)
    if usable(standing, event("view_item", "a", at=at), True):
        assert allowed(choices, at)


@pytest.mark.parametrize(
    ("standing", "user", "use"),
    [(None, "u1", False), (None, None, False), (Standing(False, 1.0), "u1", True), (Standing(False, 1.0), None, False)],
    ids=["a user who never chose", "a visitor", "a user who granted", "a visitor who granted"],
)
def test_whose_event_stays_withheld(standing: Standing | None, user: str | None, use: bool) -> None:
    assert usable(standing, event("view_item", "a", user_id=user, visitor_id="v1", withheld=True), True) == use


# ---------------------------------------------------------------- table, counters, archive
class Archived(NamedTuple):
    rows: list[ArchivedEvent]
    choices: Choices


class World:
    """The three readers of the log and the owners of the states, one record after the other."""

    def __init__(self, default: bool) -> None:
        self.default, self.rules = default, FoldRules(consent_default=default, max_late_s=1e9)
        self.users: dict[str, UserState] = {}
        self.counters = Counters(consent_default=default)
        self.archive = Archived([], Choices({}, lambda name: name, default=default))
        self.used: set[str] = set()
        self.counted: set[str] = set()

    def take(self, first: Event) -> None:
        log = deque([first])
        while log:
            one = log.popleft()
            if self.counters.learn(one):
                self.counted.add(one.event_id)
            kept = self.archive.choices.kept(one)
            self.archive.rows.append(archive_row(kept, encode_event(kept)))
            log.extendleft(reversed(self._table(one)))

    def _table(self, one: Event) -> list[Event]:
        """Fold, and what the owner writes into the log because of it."""
        before = self.users.get(one.subject)
        if before is not None and before.merged_into and one.user_id is None and one.event != CONSENT:
            return [msgspec.structs.replace(one, user_id=before.merged_into)]
        after, outcome = fold(before, one, lambda _: None, epoch="e", rules=self.rules)
        if outcome in USED and one.event != CONSENT:
            self.used.add(one.event_id)
        if after is None:
            return []
        tell = [each for v in sorted(to_tell(before, after, one)) for each in choices_of(after, NOW, visitor_id=v)]
        if one.visitor_id is not None and after.visitors.get(one.visitor_id) == "asked":
            after, more = self._merge(after, one.subject, one.visitor_id)
            tell += more
        self.users[one.subject] = after
        return tell

    def _merge(self, user: UserState, user_id: str, visitor_id: str) -> tuple[UserState, list[Event]]:
        visitor = self.users.get(visitor_id) or UserState(epoch="e")
        if not may_merge(visitor, user_id):
            return refused(user, visitor_id), []
        self.users[visitor_id] = handed_over(visitor, user_id)
        after = merged(user, visitor_id, visitor, self.rules)
        tell = choices_of(visitor, NOW, user_id=user_id) if standings(after) != standings(user) else []
        for each in sorted(to_tell(user, after) | {visitor_id}):
            tell += choices_of(after, NOW, visitor_id=each)
        return after, tell

    def archived(self) -> set[str]:
        return {row.event_id for row in one_each(self.archive.rows) if not row.withheld and row.event != CONSENT}


SAYS = {
    "denied": Consent(personalization_storage="denied"),
    "granted": Consent(personalization_storage="granted"),
}
NO_ADS = {"no ads": Consent(ad_storage="denied", ad_personalization="denied")}  # of this all three think alike
happenings = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", None]),
        st.sampled_from(["v1", "v2", "v3", None]),
        st.sampled_from([None, None, "denied", "granted", "no ads"]),
        st.integers(0, 12),
        st.booleans(),
    ).filter(lambda happening: happening[0] or happening[1]),
    min_size=1,
    max_size=14,
)


def events_of(happened: Sequence[tuple[Any, ...]]) -> list[Event]:
    return [
        event(
            "view_item",
            f"i{n}",
            id=f"e{n}",
            at=NOW + at,
            user_id=user,
            visitor_id=visitor,
            consent={**SAYS, **NO_ADS}.get(says),
            withheld=marked and says is None and n % 4 == 0,
        )
        for n, (user, visitor, says, at, marked) in enumerate(happened)
    ]


@given(happened=happenings, seed=st.integers(0, 1_000), default=st.booleans())
@settings(max_examples=600, deadline=None)
def test_table_counters_and_archive_agree_about_every_event(
    happened: list[tuple[Any, ...]], seed: int, default: bool
) -> None:
    once = events_of(happened)
    rng = random.Random(seed)
    stream = once + rng.choices(once, k=len(once))
    if seed % 2:
        rng.shuffle(stream)
    world = World(default)
    for one in stream:
        world.take(one)
    assert world.used == world.counted == world.archived()


def after_all(*events: Event, default: bool = True) -> World:
    world = World(default)
    for one in events:
        world.take(one)
    assert world.used == world.counted == world.archived()
    return world


def test_a_users_grant_on_a_device_whose_visitor_denied_counts_everywhere() -> None:
    of_another = event("view_item", "a", id="a", user_id="w", visitor_id="v1")
    denied = event("view_item", "b", id="b", at=NOW + 1, user_id=None, visitor_id="v1", consent=SAYS["denied"])
    granted = event("view_item", "c", id="c", at=NOW + 2, visitor_id="v1", consent=SAYS["granted"])
    later = event("view_item", "d", id="d", at=NOW + 3, visitor_id="v1", withheld=True)  # the edge knows the visitor
    anonymous = event("view_item", "x", id="x", at=NOW + 4, user_id=None, visitor_id="v1")
    assert after_all(of_another, denied, granted, later, anonymous).used == {"a", "c", "d"}


def test_between_a_denial_and_the_next_grant_nothing_is_used_anywhere() -> None:
    choices = [event("search", id=says, at=NOW + 2 * n, consent=SAYS[says]) for n, says in enumerate(SAYS)]
    late = [event("view_item", "a", id=f"{at}", at=NOW + at) for at in (-1, 0, 1, 2, 3)]
    assert after_all(*choices, *late).used == {"granted", "2", "3"}


@pytest.mark.parametrize("default", [True, False])
def test_who_never_chose_has_the_default_everywhere(default: bool) -> None:
    assert after_all(event("view_item", "a", id="a"), default=default).used == ({"a"} if default else set())


def test_a_denial_by_a_clock_that_is_behind_withdraws_what_was_granted_before() -> None:
    granted: dict[str, Any] = {"consent": {"personalization_storage": "granted"}}
    denied: dict[str, Any] = {"consent": {"personalization_storage": "denied"}}
    denied["client_ts"] = instant(NOW - 3_600).isoformat()
    viewed: dict[str, Any] = {"event": "view_item", "user_id": "u", "items": [{"item_id": "a"}]}
    bodies = [viewed | granted, viewed, viewed | denied, viewed]
    state, counters = None, Counters()
    for n, body in enumerate(bodies):
        raw = msgspec.json.encode(body | {"event_id": f"e{n}"})
        taken = admit(raw, received=instant(NOW + n)).event
        counters.learn(taken)
        state, outcome = fold(state, taken, lambda _: None, epoch="a")
    assert state is not None
    assert (state.consent, state.history, outcome) == (False, (), Outcome.IGNORED)
    assert counters.trail("u") == []


# ---------------------------------------------------------------- ads
ADS = {"no": Consent(ad_storage="denied", ad_personalization="denied"), "yes": Consent(ad_storage="granted")}


def test_what_is_said_of_ads_holds_for_the_users_devices_and_outlives_everything_else() -> None:
    world = World(default=True)
    world.take(event("view_item", "a", id="1", at=NOW, user_id="u1", visitor_id="v1"))
    world.take(event("view_item", "a", id="2", at=NOW + 1, user_id="u1", consent=ADS["no"]))
    for name in ("u1", "v1"):
        storage, personalization = world.users[name].ad_consent.standings().values()
        assert storage is not None
        assert personalization is not None
        assert (storage.denied, storage.at, personalization.denied) == (True, NOW + 1, True)
    world.take(event("view_item", "a", id="3", at=NOW + 2, user_id="u1", consent=SAYS["denied"]))
    assert world.users["u1"].consent is False
    assert set(standings(world.users["u1"])) == {"personalization_storage", "ad_storage", "ad_personalization"}


def test_what_a_visitor_said_of_ads_is_the_users_after_the_login() -> None:
    world = World(default=True)
    world.take(event("view_item", "a", id="1", at=NOW, user_id=None, visitor_id="v1", consent=ADS["no"]))
    world.take(event("view_item", "a", id="2", at=NOW + 1, user_id="u1", visitor_id="v1"))
    assert not world.users["u1"].ad_consent.personal(default=True)
    world.take(event("view_item", "a", id="3", at=NOW + 2, user_id="u1", consent=ADS["yes"]))
    said, theirs = world.users["u1"].ad_consent, world.users["v1"].ad_consent
    assert theirs.stores(NOW + 2, default=True)
    assert [said.stores(NOW + at, default=True) for at in (1, 2)] == [False, True]
    assert not said.personal(default=True)


def test_of_ads_too_who_never_chose_has_the_default_and_older_choices_come_too_late() -> None:
    nobody = UserState(epoch="e").ad_consent
    assert [(nobody.stores(NOW, default), nobody.personal(default)) for default in (True, False)] == [
        (True, True),
        (False, False),
    ]
    said = nobody.heard(event("view_item", "a", at=NOW, consent=ADS["no"]))
    assert said.heard(event("view_item", "a", at=NOW - 1, consent=ADS["yes"])) is said
    assert said.heard(event("view_item", "a", at=NOW)) is said
