"""The fold: what an event does to what is known of a user."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rec.choices import to_tell
from rec.events import ACTIONS, CONSENT, Consent, Event, EventItem, instant
from rec.interest import MAX_FACETS, Interest
from rec.marks import MAX_MARKS
from rec.merging import handed_over, may_merge, merged, refused
from rec.ring import RING
from rec.state import (
    MAX_HISTORY,
    Facets,
    FoldRules,
    Outcome,
    UserState,
    decode_state,
    encode_state,
    fold,
    touched,
)
from rec.visitors import MAX_VISITORS

NOW = 1_700_000_000.0


def facets(item_id: str) -> Facets | None:
    kind, _, _ = item_id.partition("-")
    return None if kind == "unknown" else Facets(category=kind, brand=f"brand-{item_id[-1]}")


def event(name: str, *items: str, at: float = NOW, id: str | None = None, **more: Any) -> Event:
    more.setdefault("user_id", "u1")
    received = more.pop("received", at)
    return Event(
        event=name,
        event_id=id or f"{name}-{items}-{at}",
        items=tuple(EventItem(item) for item in items),
        event_ts=instant(at),
        received_ts=instant(received),
        **more,
    )


def folded(*events: Event, state: UserState | None = None, rules: FoldRules = FoldRules()) -> UserState:
    for one in events:
        state, _ = fold(state, one, facets, epoch="e", rules=rules)
    assert state is not None
    return state


def test_a_view_enters_the_history_and_moves_the_list() -> None:
    state, outcome = fold(None, event("view_item", "tent-1"), facets, epoch="e1")
    assert outcome is Outcome.MOVED
    assert state is not None
    assert (state.epoch, state.version, state.applied) == ("e1", 1, 1)
    assert [touch.item_id for touch in state.history] == ["tent-1"]
    assert set(state.categories) == {"tent"}


def test_a_repeated_event_changes_nothing() -> None:
    state = folded(event("view_item", "tent-1", id="a"))
    again, outcome = fold(state, event("view_item", "tent-1", id="a"), facets, epoch="x")
    assert again is state
    assert outcome is Outcome.DUPLICATE


def test_an_impression_is_counted_but_moves_no_list() -> None:
    state = folded(event("view_item", "tent-1"))
    after, outcome = fold(state, event("view_item_list", "tent-2", "tent-3"), facets, epoch="e")
    assert outcome is Outcome.NOTED
    assert after is not None
    assert after.version == state.version
    assert after.shown["tent-2"].times == 1
    assert after.history == state.history


def test_an_event_a_day_late_is_counted_and_not_applied() -> None:
    state, outcome = fold(None, event("view_item", "tent-1", at=NOW - 90_000, received=NOW), facets, epoch="e")
    assert outcome is Outcome.TOO_LATE
    assert state is not None
    assert (state.late, state.applied, state.history) == (1, 0, ())


def test_interest_fades_with_its_half_lives() -> None:
    rules = FoldRules(short_half_life_s=100, long_half_life_s=1_000)
    short, long = folded(event("view_item", "tent-1"), rules=rules).categories["tent"].as_of(NOW + 100, rules)
    assert short == pytest.approx(0.5)
    assert long == pytest.approx(0.5**0.1)


def test_dislike_lowers_interest_and_hides_the_item() -> None:
    state = folded(event("view_item", "tent-1"), event("not_interested", "tent-1", at=NOW + 1))
    assert state.categories["tent"].long < 0
    assert state.hidden == {"tent-1": NOW + 1}


def test_an_item_the_catalog_does_not_know_yet_is_remembered_without_interest() -> None:
    state = folded(event("view_item", "unknown-1"))
    assert state.categories == {}
    assert state.history[0].item_id == "unknown-1"


def test_the_cart_is_what_was_added_and_not_removed_or_bought() -> None:
    state = folded(
        event("add_to_cart", "tent-1", at=NOW),
        event("add_to_cart", "tent-2", at=NOW + 1),
        event("remove_from_cart", "tent-1", at=NOW + 2),
        event("add_to_cart", "tent-3", at=NOW + 3),
        event("purchase", "tent-3", at=NOW + 4),
    )
    assert state.cart() == {"tent-2": NOW + 1}
    assert state.bought == {"tent-3": NOW + 4}


class TestConsent:
    denied = Consent(personalization_storage="denied")
    granted = Consent(personalization_storage="granted")

    def test_denial_keeps_nothing_but_the_choice(self) -> None:
        before = folded(event("view_item", "tent-1"))
        after, outcome = fold(before, event("view_item", "tent-2", at=NOW + 1, consent=self.denied), facets, epoch="x")
        assert outcome is Outcome.DENIED
        assert after == UserState(
            epoch="e",
            version=before.version + 1,
            consent=False,
            consent_at=NOW + 1,
            began=NOW,  # what was learned since then may have to be unlearned one day
            is_user=True,
        )

    def test_what_comes_after_a_denial_leaves_no_trace(self) -> None:
        state = folded(event("view_item", "tent-1", consent=self.denied))
        after, outcome = fold(state, event("view_item", "tent-2", at=NOW + 5), facets, epoch="x")
        assert after is state
        assert outcome is Outcome.IGNORED

    def test_consent_given_again_starts_anew(self) -> None:
        state = folded(
            event("view_item", "tent-1", consent=self.denied),
            event("view_item", "tent-2", at=NOW + 1, consent=self.granted),
        )
        assert state.consent is True
        assert [touch.item_id for touch in state.history] == ["tent-2"]

    def test_the_newest_choice_counts_whatever_order_they_arrive_in(self) -> None:
        late_grant = event("view_item", "tent-1", at=NOW, received=NOW + 9, consent=self.granted)
        state = folded(event("view_item", "tent-2", at=NOW + 5, consent=self.denied), late_grant)
        assert state.consent is False
        assert state.history == ()

    def test_what_the_edge_withheld_is_ignored_and_is_no_choice(self) -> None:
        mine: dict[str, Any] = {"user_id": None, "visitor_id": "v1"}
        state = folded(event("view_item", "tent-1", consent=self.granted, **mine))
        after, outcome = fold(state, event("view_item", "tent-2", at=NOW + 5, withheld=True, **mine), facets, epoch="x")
        assert after is state
        assert outcome is Outcome.IGNORED
        assert fold(None, event("view_item", "tent-1", withheld=True), facets, epoch="e") == (None, Outcome.IGNORED)

    def test_of_a_user_who_granted_the_log_knows_better_than_the_edge(self) -> None:
        state = folded(event("view_item", "tent-1", consent=self.granted))
        shared = event("view_item", "tent-2", at=NOW + 5, visitor_id="of-somebody-else", withheld=True)
        after, outcome = fold(state, shared, facets, epoch="x")
        assert after is not None
        assert outcome is Outcome.MOVED
        assert [touch.item_id for touch in after.history] == ["tent-1", "tent-2"]

    def test_a_denial_that_comes_after_a_newer_grant_takes_away_what_was_before_it(self) -> None:
        state = folded(
            event("view_item", "tent-1", at=NOW),
            event("view_item", "boot-1", at=NOW + 9, consent=self.granted),
            event("view_item", "boot-2", at=NOW + 10),
        )
        after, outcome = fold(state, event("view_item", "mug-1", at=NOW + 5, consent=self.denied), facets, epoch="x")
        assert after is not None
        assert outcome is Outcome.DENIED
        assert [touch.item_id for touch in after.history] == ["boot-1", "boot-2"]
        assert (after.consent, after.categories, after.version) == (True, {}, state.version + 1)
        again, outcome = fold(after, event("view_item", "tent-2", at=NOW + 7), facets, epoch="x")
        assert (again, outcome) == (after, Outcome.IGNORED)

    def test_of_two_choices_made_at_once_the_denial_counts(self) -> None:
        choices = [event("view_item", "tent-1", id=says, consent=getattr(self, says)) for says in ("denied", "granted")]
        assert folded(*choices).consent is False
        assert folded(*reversed(choices)).consent is False

    def test_a_choice_that_a_duplicate_carries_is_heard(self) -> None:
        first = event("view_item", "tent-1", id="a")
        state = folded(first)
        after, outcome = fold(state, msgspec.structs.replace(first, consent=self.granted), facets, epoch="x")
        assert after is not None
        assert (outcome, after.consent, after.applied) == (Outcome.DUPLICATE, True, 1)

    def test_whose_visitor_it_is_stays_even_without_consent(self) -> None:
        denied = folded(event("view_item", "tent-1", consent=self.denied))
        later = event("view_item", "tent-2", at=NOW + 5, visitor_id="v1")
        assert folded(later, state=denied) == msgspec.structs.replace(denied, visitors={"v1": "asked"})
        assert folded(msgspec.structs.replace(later, withheld=True)) == UserState(epoch="e", visitors={"v1": "asked"})

    def test_a_choice_passed_on_holds_unless_a_newer_one_was_made(self) -> None:
        visitor = folded(event("view_item", "tent-1", at=NOW))
        told, outcome = fold(visitor, event(CONSENT, at=NOW + 1, consent=self.denied), facets, epoch="e")
        assert told is not None
        assert (outcome, told.consent, told.history) == (Outcome.DENIED, False, ())
        assert folded(event(CONSENT, at=NOW, consent=self.granted), state=told) is told
        again, outcome = fold(told, event(CONSENT, at=NOW + 2, consent=self.granted), facets, epoch="e")
        assert again is not None
        assert (outcome, again.consent, again.version) == (Outcome.NOTED, True, told.version)

    def test_a_visitor_who_denies_goes_on_being_the_user(self) -> None:
        visitor = UserState(epoch="e", merged_into="u1")
        assert folded(event(CONSENT, consent=self.denied), state=visitor).merged_into == "u1"

    def test_a_changed_choice_is_told_to_every_merged_visitor_and_told_once(self) -> None:
        before = UserState(epoch="e", visitors={"v1": "merged", "v2": "merged", "v3": "refused"})
        after = folded(event("view_item", "tent-1", at=NOW + 1, visitor_id="v4", consent=self.denied), state=before)
        assert after.visitors["v4"] == "asked"
        assert to_tell(before, after) == {"v1", "v2"}  # v4 may turn out to be somebody else's
        assert to_tell(after, after) == frozenset()
        assert to_tell(None, before) == frozenset()

    def test_a_visitor_who_says_otherwise_than_what_holds_is_told_so(self) -> None:
        after = UserState(epoch="e", consent=False, consent_at=NOW + 9, visitors={"v1": "merged", "v2": "merged"})
        older = event("view_item", "tent-1", visitor_id="v1", consent=self.granted)
        assert to_tell(after, after, older) == {"v1"}
        assert to_tell(after, after, msgspec.structs.replace(older, consent=self.denied)) == frozenset()

    def test_without_a_choice_the_default_holds(self) -> None:
        state, outcome = fold(
            None, event("view_item", "tent-1"), facets, epoch="e", rules=FoldRules(consent_default=False)
        )
        assert state is None
        assert outcome is Outcome.IGNORED


def test_what_happened_before_or_during_a_withdrawal_does_not_come_in_after_a_new_grant() -> None:
    first = event("view_item", "tent-1")
    denied = event("view_item", "tent-2", at=NOW + 1, consent=TestConsent.denied)
    granted = event("view_item", "tent-3", at=NOW + 2, consent=TestConsent.granted)
    state = folded(first, denied, granted)
    for again in (first, event("view_item", "tent-4", at=NOW + 0.5), event("view_item", "tent-5", at=NOW + 1.5)):
        after, outcome = fold(state, again, facets, epoch="e")
        assert (after, outcome) == (state, Outcome.IGNORED)


class TestMerge:
    def test_an_event_with_both_ids_asks_for_the_visitor_once(self) -> None:
        state = folded(event("view_item", "tent-1", visitor_id="v1"))
        assert state.visitors == {"v1": "asked"}

    def test_the_user_then_knows_what_the_visitor_did(self) -> None:
        visitor = folded(event("view_item", "tent-1", user_id=None, visitor_id="v1"))
        user = folded(event("view_item", "boot-1", at=NOW + 1, visitor_id="v1"))
        both = merged(user, "v1", visitor)
        assert [touch.item_id for touch in both.history] == ["tent-1", "boot-1"]
        assert set(both.categories) == {"tent", "boot"}
        assert both.version == user.version + 1
        assert both.visitors == {"v1": "merged"}

    def test_merging_twice_is_merging_once(self) -> None:
        visitor = folded(event("view_item", "tent-1", user_id=None, visitor_id="v1"))
        once = merged(folded(event("view_item", "boot-1", visitor_id="v1")), "v1", visitor)
        assert merged(once, "v1", visitor) is once

    def test_an_event_of_the_visitor_is_not_applied_again_to_the_user(self) -> None:
        first = event("view_item", "tent-1", id="a", user_id=None, visitor_id="v1")
        user = merged(folded(event("view_item", "boot-1", visitor_id="v1")), "v1", folded(first))
        again, outcome = fold(user, msgspec.structs.replace(first, user_id="u1"), facets, epoch="e")
        assert outcome is Outcome.DUPLICATE
        assert again is user

    def test_a_denied_user_takes_nothing_from_a_visitor(self) -> None:
        user = folded(event("view_item", "boot-1", consent=TestConsent.denied))
        assert merged(user, "v1", folded(event("view_item", "tent-1"))).history == ()

    @pytest.mark.parametrize(
        ("users", "visitors", "holds"),
        [
            ((None, 0), (False, 5), (False, NOW + 5)),
            ((True, 1), (False, 5), (False, NOW + 5)),
            ((True, 9), (False, 5), (True, NOW + 9)),
            ((False, 1), (True, 5), (True, NOW + 5)),
            ((False, 9), (True, 5), (False, NOW + 9)),
            ((True, 5), (False, 5), (False, NOW + 5)),
            ((False, 5), (None, 0), (False, NOW + 5)),
            ((None, 0), (None, 0), (None, 0.0)),
        ],
    )
    def test_of_two_choices_the_newer_holds_and_of_equally_old_ones_the_denial(
        self, users: tuple[bool | None, int], visitors: tuple[bool | None, int], holds: tuple[bool | None, float]
    ) -> None:
        def chosen(choice: bool | None, at: int, item: str) -> UserState:
            if choice is None:
                return folded(event("view_item", item))
            return folded(
                event("view_item", item, at=NOW + at, consent=TestConsent.granted if choice else TestConsent.denied)
            )

        both = merged(chosen(*users, "boot-1"), "v1", chosen(*visitors, "tent-1"))
        assert (both.consent, both.consent_at) == holds
        assert both.visitors["v1"] == "merged"
        if both.consent is False:
            assert both == UserState(
                epoch="e",
                version=both.version,
                consent=False,
                consent_at=holds[1],
                began=both.began,
                visitors=both.visitors,
                is_user=both.is_user,
            )

    def test_a_visitor_brings_nothing_from_before_the_users_newest_grant_after_a_denial(self) -> None:
        choices = [event("search", at=NOW + 1, id="1", consent=TestConsent.denied)]
        choices.append(event("search", at=NOW + 5, id="2", consent=TestConsent.granted))
        seen = [event("view_item", f"tent-{n}", at=NOW + n, user_id=None, visitor_id="v1") for n in (0, 3, 7)]
        both = merged(folded(*choices), "v1", folded(*seen))
        assert [touch.item_id for touch in both.history] == ["tent-7"]

    def test_a_visitors_refusal_takes_the_users_history_and_replaces_the_list(self) -> None:
        user = folded(event("view_item", "boot-1", visitor_id="v1"))
        visitor = folded(event("view_item", "tent-1", at=NOW + 5, consent=TestConsent.denied))
        after = merged(user, "v1", visitor)
        assert (after.history, after.categories, after.version) == ((), {}, user.version + 1)

    def test_a_visitor_who_was_handed_over_keeps_their_choice(self) -> None:
        visitor = folded(event("view_item", "tent-1", consent=TestConsent.denied))
        rest = handed_over(visitor, "u1")
        assert (rest.merged_into, rest.consent, rest.consent_at) == ("u1", False, NOW)
        assert rest.version == visitor.version + 1

    def test_a_user_is_nobodys_visitor_even_one_who_denied(self) -> None:
        visitor = folded(event("view_item", "tent-1", user_id=None, visitor_id="v1"))
        assert may_merge(visitor, "u1")
        for name in ("view_item", "view_item_list"):
            assert not may_merge(folded(event(name, "tent-1", at=NOW + 1, user_id="v1"), state=visitor), "u1")
        assert not may_merge(folded(event("view_item", "tent-1", user_id="v1", consent=TestConsent.denied)), "u1")

    def test_a_visitor_has_one_user(self) -> None:
        assert may_merge(UserState(epoch="e", merged_into="u1"), "u1")
        assert not may_merge(UserState(epoch="e", merged_into="u1"), "u2")

    def test_a_refused_visitor_is_not_asked_for_again(self) -> None:
        user = refused(folded(event("view_item", "tent-1", visitor_id="v1")), "v1")
        assert folded(event("view_item", "tent-2", visitor_id="v1"), state=user).visitors == {"v1": "refused"}

    def test_a_refusal_that_comes_late_takes_nothing_back(self) -> None:
        user = folded(event("view_item", "boot-1", visitor_id="v1"))
        both = merged(user, "v1", UserState(epoch="v"))
        assert refused(both, "v1") is both
        assert refused(user, "v2") is user

    def test_visitors_are_bounded_and_those_who_were_merged_stay(self) -> None:
        state: UserState | None = None
        for n in range(12_000 // 10):
            state = folded(event("view_item", "tent-1", id=f"{n}", visitor_id=f"v{n}"), state=state)
            if state.visitors.get(f"v{n}") == "asked":
                state = merged(state, f"v{n}", UserState(epoch="v"))
        assert state is not None
        assert state.visitors == {f"v{n}": "merged" for n in range(MAX_VISITORS)}

    def test_a_refused_visitor_makes_room_for_a_new_one(self) -> None:
        state = refused(folded(*(event("view_item", id=f"{n}", visitor_id=f"v{n}") for n in range(MAX_VISITORS))), "v7")
        state = folded(event("view_item", id="one-more", visitor_id="new"), state=state)
        assert len(state.visitors) == MAX_VISITORS
        assert "v7" not in state.visitors
        assert state.visitors["new"] == "asked"

    def test_a_visitor_handed_over_beyond_the_bound_is_taken(self) -> None:
        full = UserState(epoch="e", visitors={f"v{n}": "merged" for n in range(MAX_VISITORS)})
        after = merged(full, "new", UserState(epoch="v"))
        assert len(after.visitors) == MAX_VISITORS
        assert after.visitors["new"] == "merged"


def test_a_history_is_as_long_as_the_setting_says() -> None:
    rules = FoldRules(history=3)
    views = [event("view_item", f"tent-{n}", at=NOW + n) for n in (0, 3, 1, 4, 2)]
    assert [touch.item_id for touch in folded(*views, rules=rules).history] == ["tent-2", "tent-3", "tent-4"]
    user, visitor = (folded(*part, rules=rules) for part in (views[:2], views[2:]))
    both = merged(user, "v1", visitor, rules)
    assert [touch.item_id for touch in both.history] == ["tent-2", "tent-3", "tent-4"]


def test_every_part_is_bounded() -> None:
    rng = random.Random(1)
    names = sorted(ACTIONS)
    state = None
    for at in range(3_000):
        name, item = rng.choice(names), f"c{rng.randrange(200)}-{rng.randrange(2_000)}"
        state, _ = fold(state, event(name, item, at=NOW + at, search_term=f"q{at}"), facets, epoch="e")
    assert state is not None
    assert len(state.history) == MAX_HISTORY
    assert len(state.categories) <= MAX_FACETS
    assert len(state.brands) <= MAX_FACETS
    assert all(len(part) <= MAX_MARKS for part in (state.bought, state.hidden, state.shown))
    assert len(state.ring) == RING * 8
    assert len(encode_state(state)) < 64_000


def test_a_state_survives_the_changelog() -> None:
    state = folded(event("purchase", "tent-1"), event("view_item_list", "tent-2"), event("search", search_term="tent"))
    assert decode_state(encode_state(state)) == state


def test_touching_moves_the_version_alone() -> None:
    state = folded(event("view_item", "tent-1"))
    assert touched(state) == msgspec.structs.replace(state, version=state.version + 1)


moments = st.floats(min_value=0, max_value=80_000).map(lambda s: NOW - round(s, 3))
streams = st.lists(
    st.tuples(
        st.sampled_from(sorted(ACTIONS)),
        st.sampled_from([f"{kind}-{n}" for kind in ("tent", "boot", "mug") for n in range(4)]),
        moments,
    ),
    min_size=1,
    max_size=25,
)


@given(stream=streams, seed=st.integers(0, 1_000))
@settings(max_examples=150, deadline=None)
def test_duplicates_and_disorder_give_the_state_that_order_gives(
    stream: list[tuple[str, str, float]], seed: int
) -> None:
    once = [event(name, item, at=at, received=NOW, id=f"{n}") for n, (name, item, at) in enumerate(stream)]
    in_order = folded(*sorted(once, key=lambda e: e.at))
    shuffled = once * 3
    random.Random(seed).shuffle(shuffled)
    state = folded(*shuffled)
    assert state.applied == in_order.applied == len(stream)
    assert sorted(state.history) == sorted(in_order.history)
    assert (state.bought, state.hidden, state.shown) == (in_order.bought, in_order.hidden, in_order.shown)
    for mine, other in ((state.categories, in_order.categories), (state.brands, in_order.brands)):
        assert set(mine) == set(other)
        for name in mine:
            assert mine[name] == pytest.approx(other[name])


def test_interest_is_a_plain_value() -> None:
    assert Interest(1.0, 2.0, NOW).as_of(NOW - 5, FoldRules()) == (1.0, 2.0)
