"""`rec.ports.Rules` on a dictionary, for one process, gone when it ends."""

from __future__ import annotations

from rec.policy.desk import Proposal, StoredRule, decided, decision_entry, proposal_entry, proposed
from rec.policy.store import Who
from rec.store.memory_strategies import Record


class MemoryRules:
    """Nothing awaits in the middle of a change, so each is atomic."""

    record: Record  # of the audit trail

    def __init__(self) -> None:
        super().__init__()
        self._shop_rules: dict[str, StoredRule] = {}
        self._rules_revision = 0

    async def propose_rule(self, rule_id: str, proposal: Proposal, review: bool) -> StoredRule | None:
        after = self._became(rule_id, proposed(self._shop_rules.get(rule_id), rule_id, proposal, review))
        await self.record(*proposal_entry(rule_id, proposal, after))
        return after

    async def decide_rule(self, rule_id: str, approved: bool, who: Who) -> StoredRule | None:
        known = self._shop_rules.get(rule_id)
        after = self._became(rule_id, decided(known, rule_id, approved))
        await self.record(*decision_entry(known, rule_id, approved, who))
        return after

    def _became(self, rule_id: str, after: StoredRule | None) -> StoredRule | None:
        self._rules_revision += 1
        if after is None:
            self._shop_rules.pop(rule_id, None)
        else:
            self._shop_rules[rule_id] = after
        return after

    async def get_rule(self, rule_id: str) -> StoredRule | None:
        return self._shop_rules.get(rule_id)

    async def rules(self) -> list[StoredRule]:
        return [self._shop_rules[rule_id] for rule_id in sorted(self._shop_rules)]

    async def rules_revision(self) -> int:
        return self._rules_revision
