"""`rec.ports.Rules` in SQL: the shop's rules as JSON, each with the change that waits for a review; all of it audited.

Invariant: whoever changes a rule holds the lock of the counter `rules` and moves it on, so a reader that sees the same
number has the same rules.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from rec.policy.desk import Proposal, StoredRule, decided, decision_entry, proposal_entry, proposed
from rec.policy.rules import Rule
from rec.policy.store import Who
from rec.store.sql.audit import enter
from rec.store.sql.connection import Connected, lock_counter
from rec.store.sql.models import RULES, SHOP_RULES, CounterRow, RuleRow

_encode = msgspec.json.Encoder().encode
_rule = msgspec.json.Decoder(Rule).decode
_proposal = msgspec.json.Decoder(Proposal).decode


class SqlRules(Connected):
    """Rules by id."""

    async def propose_rule(self, rule_id: str, proposal: Proposal, review: bool) -> StoredRule | None:
        async with self._unit() as session:
            await lock_counter(session, RULES, add=1)
            after = proposed(await _known(session, rule_id), rule_id, proposal, review)
            await self._write_rule(session, rule_id, after)
            await enter(session, *proposal_entry(rule_id, proposal, after))
        return after

    async def decide_rule(self, rule_id: str, approved: bool, who: Who) -> StoredRule | None:
        async with self._unit() as session:
            await lock_counter(session, RULES, add=1)
            known = await _known(session, rule_id)
            after = decided(known, rule_id, approved)
            await self._write_rule(session, rule_id, after)
            await enter(session, *decision_entry(known, rule_id, approved, who))
        return after

    async def _write_rule(self, session: AsyncSession, rule_id: str, after: StoredRule | None) -> None:
        if after is None:
            await session.execute(delete(SHOP_RULES).where(SHOP_RULES.c.rule_id == rule_id))
            return
        row = {
            "body": None if after.rule is None else _encode(after.rule).decode(),
            "proposal": None if after.proposal is None else _encode(after.proposal).decode(),
        }
        insert = self._insert(SHOP_RULES).values(rule_id=rule_id, **row)
        await session.execute(insert.on_conflict_do_update(index_elements=[SHOP_RULES.c.rule_id], set_=row))

    async def get_rule(self, rule_id: str) -> StoredRule | None:
        async with self._unit() as session:
            return await _known(session, rule_id)

    async def rules(self) -> list[StoredRule]:
        query = select(RuleRow.rule_id, RuleRow.body, RuleRow.proposal).order_by(RuleRow.rule_id)
        async with self._unit() as session:
            return [_stored(*row) for row in await session.execute(query)]

    async def rules_revision(self) -> int:
        query = select(CounterRow.value).where(CounterRow.name == RULES)
        async with self._unit() as session:
            return await session.scalar(query) or 0


async def _known(session: AsyncSession, rule_id: str) -> StoredRule | None:
    query = select(RuleRow.rule_id, RuleRow.body, RuleRow.proposal).where(RuleRow.rule_id == rule_id)
    row = (await session.execute(query)).one_or_none()
    return None if row is None else _stored(*row)


def _stored(rule_id: str, body: str | None, proposal: str | None) -> StoredRule:
    return StoredRule(rule_id, None if body is None else _rule(body), None if proposal is None else _proposal(proposal))
