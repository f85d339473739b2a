"""The shop's rules in the database: proposals, reviews, and the number that says whether anything changed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rec.catalog import Item
from rec.errors import BadInput, NotFound
from rec.policy.desk import Desk, Proposal, StoredRule
from rec.policy.expression import MAX_LENGTH
from rec.policy.rules import Rule, rule_of
from rec.policy.store import Who
from rec.ports import Database

NOW = datetime(2026, 11, 27, 14, 0, 0, 123456, tzinfo=UTC)
HERO = Rule(rule_id="hero", effect="pin", condition='item_id = "a"', place=2, placements=("home",), starts_at=NOW)
LOWER = Rule(rule_id="hero", effect="pin", condition='item_id = "b"', place=5)
BEN = Who("ben", "looked at it")


def change(rule: Rule | None) -> Proposal:
    return Proposal(rule, "ann", "because", NOW)


async def test_a_rule_is_stored_as_it_is_and_replaced_as_a_whole(database: Database) -> None:
    assert await database.rules() == []
    assert await database.propose_rule("hero", change(HERO), review=False) == StoredRule("hero", HERO)
    assert await database.get_rule("hero") == StoredRule("hero", HERO)
    await database.propose_rule("hero", change(LOWER), review=False)
    await database.propose_rule("a", change(Rule(rule_id="a", effect="exclude", condition="in_stock")), review=False)
    assert [each.rule_id for each in await database.rules()] == ["a", "hero"]
    assert await database.get_rule("hero") == StoredRule("hero", LOWER)
    assert await database.get_rule("other") is None


async def test_an_exclude_of_a_thousand_ids_is_stored_as_it_is(database: Database) -> None:
    """What `rec rules check` takes, a rule takes."""
    ids = ", ".join(f'"sku-{number:08}"' for number in range(1_000))
    condition = f"item_id in ({ids})"
    assert 15_000 < len(condition) <= MAX_LENGTH
    rule = rule_of({"rule_id": "recall", "effect": "exclude", "condition": condition})
    await Desk(database, "ann", review=True).put(rule, "recalled")
    await Desk(database, "ann", review=False).decide_rule("recall", True, "they are")
    assert await database.get_rule("recall") == StoredRule("recall", rule)
    with pytest.raises(BadInput, match="length <= 16384"):
        rule_of({"rule_id": "recall", "effect": "exclude", "condition": condition + " " * MAX_LENGTH})


async def test_every_change_moves_the_revision(database: Database) -> None:
    seen = [await database.rules_revision()]
    for rule, review in ((HERO, False), (LOWER, True), (None, False)):
        await database.propose_rule("hero", change(rule), review=review)
        seen.append(await database.rules_revision())
    assert seen == sorted(set(seen))


async def test_a_rule_that_is_removed_is_gone_and_an_unknown_one_cannot_be(database: Database) -> None:
    await database.propose_rule("hero", change(HERO), review=False)
    assert await database.propose_rule("hero", change(None), review=False) is None
    assert await database.rules() == []
    with pytest.raises(NotFound):
        await database.propose_rule("hero", change(None), review=False)


async def test_with_a_review_what_is_in_force_stays_until_somebody_approves(database: Database) -> None:
    await database.propose_rule("hero", change(HERO), review=True)
    assert await database.get_rule("hero") == StoredRule("hero", None, change(HERO))
    assert await database.decide_rule("hero", approved=True, who=BEN) == StoredRule("hero", HERO)
    await database.propose_rule("hero", change(LOWER), review=True)
    await database.propose_rule("hero", change(None), review=True)
    assert await database.get_rule("hero") == StoredRule("hero", HERO, change(None))
    assert await database.decide_rule("hero", approved=False, who=BEN) == StoredRule("hero", HERO)
    await database.propose_rule("hero", change(None), review=True)
    assert await database.decide_rule("hero", approved=True, who=BEN) is None
    assert await database.rules() == []


async def test_a_new_rule_that_is_rejected_never_was_and_nothing_can_be_decided_twice(database: Database) -> None:
    await database.propose_rule("hero", change(HERO), review=True)
    assert await database.decide_rule("hero", approved=False, who=BEN) is None
    assert await database.get_rule("hero") is None
    with pytest.raises(NotFound):
        await database.decide_rule("hero", approved=True, who=BEN)


async def test_flagged_items_are_found_and_others_that_speak_of_it_are_not(database: Database) -> None:
    await database.put_items([
        Item(item_id="b", title="B", flagged=True),
        Item(item_id="a", title="A", flagged=True),
        Item(item_id="c", title="C", attributes={"flagged": True}),
        Item(item_id="d", title='D "flagged":true'),
    ])  # fmt: skip
    assert [item.item_id for item in await database.flagged_items()] == ["a", "b"]
    assert [item.item_id for item in await database.flagged_items(1)] == ["a"]
    await database.delete_item("a")
    assert [item.item_id for item in await database.flagged_items()] == ["b"]


async def test_the_desk_writes_down_who_did_what_and_why(database: Database) -> None:
    desk = Desk(database, "ann", review=True)
    await database.put_items([Item(item_id="a", title="A", flagged=True), Item(item_id="b", title="B", flagged=True)])
    await desk.put(HERO, "front page")
    await desk.decide_rule("hero", True, "looks right")
    await Desk(database, "bob", review=False).remove("hero", "over")
    shown = await desk.decide_item("a", True, "harmless")
    assert shown is not None
    assert not shown.flagged
    assert await desk.decide_item("b", False, "not ours to sell") is None
    assert await database.get_item("b") is None
    trail = [(e["actor"], e["action"], e["target"], e["detail"]["why"]) for e in (await database.recent(10))[::-1]]
    assert trail == [
        ("ann", "propose: put rule", "hero", "front page"),
        ("ann", "approve rule", "hero", "looks right"),
        ("bob", "remove rule", "hero", "over"),
        ("ann", "approve item", "a", "harmless"),
        ("ann", "reject item", "b", "not ours to sell"),
    ]


async def test_the_trail_of_a_review_has_the_rule_that_was_decided_about(database: Database) -> None:
    await database.propose_rule("hero", change(HERO), review=False)
    for rule, approved in ((LOWER, False), (LOWER, True), (None, True)):
        await database.propose_rule("hero", change(rule), review=True)
        await database.decide_rule("hero", approved, BEN)
    trail = [(e["actor"], e["action"], e["detail"].get("rule", {}).get("place")) for e in await database.recent()][::-1]
    assert trail == [
        ("ann", "put rule", 2),
        ("ann", "propose: put rule", 5),
        ("ben", "reject rule", 5),
        ("ann", "propose: put rule", 5),
        ("ben", "approve rule", 5),
        ("ann", "propose: remove rule", None),
        ("ben", "approve rule", None),
    ]


async def test_the_desk_takes_nothing_without_a_reason_and_no_rule_that_makes_no_sense(database: Database) -> None:
    desk = Desk(database, "ann", review=False)
    with pytest.raises(BadInput, match="why"):
        await desk.put(HERO, "  ")
    with pytest.raises(BadInput, match="position 1"):
        await desk.put(Rule(rule_id="x", effect="boost", condition="pric < 1"), "why not")
    with pytest.raises(NotFound):
        await desk.decide_item("a", True, "there is none")
    assert await database.rules() == []
    assert await database.recent() == []
