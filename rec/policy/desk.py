"""CLI, API → **the desk** → SQL. How rules and flagged items are changed: checked, reviewed where asked for, audited.

A change of a rule is a proposal. Without review it is in force at once; with it (`REC_RULES_NEED_REVIEW`) the rule
stays as it was, or does not exist yet, until somebody approves. Pure but for `Desk`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from rec.catalog import Item
from rec.errors import BadInput, NotFound
from rec.events import Instant
from rec.policy.rules import Rule, checked
from rec.policy.store import Who

if TYPE_CHECKING:
    from rec.ports import Database

MAX_WHY = 500


class Proposal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change that somebody wants: the rule as it is to be, None to remove it."""

    rule: Rule | None
    by: str
    why: str
    at: Instant


class StoredRule(NamedTuple):
    """A rule as SQL has it: what is in force, and what waits for a review. One of the two is there."""

    rule_id: str
    rule: Rule | None
    proposal: Proposal | None = None


def proposed(known: StoredRule | None, rule_id: str, proposal: Proposal, review: bool) -> StoredRule | None:
    """The rule after a proposal; None: there is none any more. Raises NotFound for the removal of what is not there."""
    if proposal.rule is None and known is None:
        raise unknown(rule_id)
    if review and (known is None or known.rule is not None or proposal.rule is not None):
        return StoredRule(rule_id, known.rule if known else None, proposal)
    return None if proposal.rule is None else StoredRule(rule_id, proposal.rule)


def decided(known: StoredRule | None, rule_id: str, approved: bool) -> StoredRule | None:
    """The rule after a review; None: there is none any more. Raises NotFound where nothing waits."""
    if known is None or known.proposal is None:
        message = f"No change of a rule {rule_id!r} waits for a review. `rec review list` shows what does."
        raise NotFound(message, code="nothing_to_review", field="rule_id")
    rule = known.proposal.rule if approved else known.rule
    return None if rule is None else StoredRule(rule_id, rule)


class Entry(NamedTuple):
    """A line of the audit trail, written in one transaction with the change that it tells of."""

    actor: str
    action: str
    target: str
    detail: dict[str, Any]


def proposal_entry(rule_id: str, proposal: Proposal, after: StoredRule | None) -> Entry:
    """Of a proposal, and of whether it waits in what became of it."""
    action = "remove rule" if proposal.rule is None else "put rule"
    waits = after is not None and after.proposal is not None
    return Entry(proposal.by, f"propose: {action}" if waits else action, rule_id, _detail(proposal.why, proposal.rule))


def decision_entry(known: StoredRule | None, rule_id: str, approved: bool, who: Who) -> Entry:
    """Of a review. The rule is that of the proposal which was approved or rejected; none: to remove it."""
    rule = known.proposal.rule if known is not None and known.proposal is not None else None
    return Entry(who.actor, f"{_VERB[approved]} rule", rule_id, _detail(who.why, rule))


def _detail(why: str, rule: Rule | None) -> dict[str, Any]:
    return {"why": why, **({} if rule is None else {"rule": msgspec.to_builtins(rule)})}


def unknown(rule_id: str) -> NotFound:
    return NotFound(f"There is no rule {rule_id!r}. `rec rules list` shows those there are.", code="unknown_rule",
                    field="rule_id")  # fmt: skip


class Rules(Protocol):
    """A part of `rec.ports.Database`: the shop's rules and their changes, and what else waits for a review.

    A change and its line in the audit trail are one: both are there, or neither is.
    """

    async def propose_rule(self, rule_id: str, proposal: Proposal, review: bool) -> StoredRule | None:
        """The rule afterwards, None if there is none any more. NotFound for the removal of what is not there.

        With `review` what is in force stays as it is; of several proposals the last one waits.
        """

    async def decide_rule(self, rule_id: str, approved: bool, who: Who) -> StoredRule | None:
        """The rule after its proposal was approved or rejected, None if there is none. NotFound if nothing waits."""

    async def get_rule(self, rule_id: str) -> StoredRule | None: ...
    async def rules(self) -> list[StoredRule]:
        """All of them, by id."""

    async def rules_revision(self) -> int:
        """Grows with every change: the same number, the same rules."""

    async def flagged_items(self, limit: int = 1_000) -> list[Item]:
        """The flagged items of the catalog, by id."""


class Desk:
    """Where changes are handed in. `actor`: who, for the audit trail. Every change needs a reason."""

    def __init__(self, database: Database, actor: str, *, review: bool) -> None:
        self._database, self._actor, self._review = database, actor, review

    async def put(self, rule: Rule, why: str) -> StoredRule:
        """A new rule, or another one in place of that of this id. Raises BadInput."""
        checked(rule)
        after = await self._propose(rule.rule_id, rule, why)
        assert after is not None  # a rule that is put is there, or waits
        return after

    async def remove(self, rule_id: str, why: str) -> StoredRule | None:
        """Take a rule away; what is left of it while its removal waits for a review. Raises NotFound."""
        return await self._propose(rule_id, None, why)

    async def _propose(self, rule_id: str, rule: Rule | None, why: str) -> StoredRule | None:
        proposal = Proposal(rule, self._actor, reason(why), datetime.now(UTC))
        return await self._database.propose_rule(rule_id, proposal, self._review)

    async def decide_rule(self, rule_id: str, approved: bool, why: str) -> StoredRule | None:
        """Approve or reject the change that waits. Raises NotFound."""
        return await self._database.decide_rule(rule_id, approved, Who(self._actor, reason(why)))

    async def decide_item(self, item_id: str, approved: bool, why: str) -> Item | None:
        """A flagged item may be shown from now on, or leaves the catalog. Raises NotFound."""
        why = reason(why)
        item = await self._database.get_item(item_id)
        if item is None or not item.flagged:
            raise NotFound(f"No flagged item {item_id!r} waits for a review.", code="nothing_to_review",
                           field="item_id")  # fmt: skip
        # Before the deed, as with every deletion: a second try would find nothing to do, and nothing to write down.
        await self._database.record(self._actor, f"{_VERB[approved]} item", item_id, {"why": why})
        if not approved:
            await self._database.delete_item(item_id)
            return None
        shown = msgspec.structs.replace(item, flagged=False)
        await self._database.put_items([shown])
        return shown


_VERB: Mapping[bool, str] = {True: "approve", False: "reject"}


def reason(why: str, most: int = MAX_WHY) -> str:
    """Why something is changed, for whoever reads the audit trail. Raises BadInput without one."""
    why = why.strip()
    if not why or len(why) > most:
        message = f"why: say in 1 to {most} characters why this is changed; it goes into the audit trail."
        raise BadInput(message, code="missing_why", field="why")
    return why
