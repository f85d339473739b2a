"""feedback → **the bandit's belief** → `rec.policy.chosen`. One number a list, each list once, the newest revision.

`Rewards` carries the offsets it has learned, in one snapshot with the belief, as the counters do; so a restart goes on
where the snapshot ends. The group of a list is that of the state it was made from, which the feedback brings along:
what was chosen in a group is learned in that group. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from rec.feedback import FeedbackExample
from rec.ids import mark64
from rec.pieces import pieces
from rec.policy.bandit import Arm, Bandit, BanditRules, means, rewarded
from rec.policy.chosen import segment_of
from rec.policy.refresh import Belief, Decision, taught
from rec.recent import Recent
from rec.scenes import SEARCH
from rec.snapshots import opened

FORMAT = 1
MAX_LISTS = 100_000  # whose reward is remembered, in case it is revised


class _Snapshot(msgspec.Struct, array_like=True):
    format: int
    offsets: dict[int, int]
    groups: list[tuple[str, str, dict[str, Arm]]]
    known: list[dict[int, tuple[int, float]]]
    refreshing: dict[str, Belief] = {}
    roots: list[dict[int, float]] = []


_decoder = msgspec.msgpack.Decoder(_Snapshot)


class Rewards:
    """Learns from every example. `bandit` is a value: whoever has it keeps it while this learns on."""

    def __init__(self, rules: BanditRules, max_lists: int = MAX_LISTS) -> None:
        self.rules = rules
        self.bandit = Bandit()
        self.offsets: dict[int, int] = {}
        self._known: Recent[int, tuple[int, float]] = Recent(max_lists)  # slate → revision, what was counted
        self.refreshing: dict[str, Belief] = {}  # of rec.policy.refresh
        self._roots: Recent[int, float] = Recent(max_lists)  # slate of a decision → what its lists have earned

    def learn(self, example: FeedbackExample) -> bool:
        """Count a list; False for one that was counted, or whose successor was, for ads without their list, and for a
        search, which is no strategy's."""
        if not example.user_id or example.placement == SEARCH:
            return False
        mark = mark64(example.slate_id)
        known = self._known.get(mark)
        if known is not None and known[0] >= example.revision:
            return False
        group, reward = (segment_of(example.state), example.placement), example.reward
        before = None if known is None else known[1]
        self.bandit = rewarded(
            self.bandit, group, example.strategy, reward, now=example.at, rules=self.rules, counted=before
        )
        self._known.put(mark, (example.revision, reward))
        if example.decision is not None:
            self._refreshed(example, example.decision, reward - (before or 0.0))
        return True

    def _refreshed(self, example: FeedbackExample, decision: Decision, more: float) -> None:
        """Of a list that stayed and the one that came after it the rewards count together, for one decision."""
        mark = mark64(decision.root or example.slate_id)
        counted = self._roots.get(mark)
        total = (counted or 0.0) + more
        self.refreshing = taught(self.refreshing, decision, total, now=example.at, rules=self.rules, counted=counted)
        self._roots.put(mark, total)

    def by_strategy(self, now: float) -> dict[str, tuple[float, float]]:
        """For people: (mean reward a list, lists it rests on) of each strategy over all groups, decayed to `now`."""
        found: dict[str, tuple[float, float]] = {}
        for group in self.bandit.arms:
            for strategy, (mean, more) in means(self.bandit, group, now=now, rules=self.rules).items():
                reward, lists = found.get(strategy, (0.0, 0.0))
                found[strategy] = (reward + mean * more, lists + more)
        return {name: (reward / lists if lists else 0.0, lists) for name, (reward, lists) in found.items()}

    def to_pieces(self) -> Iterator[bytes]:
        """All of it, as of now, in pieces of some thousand bytes; nothing may be learned until the last is out."""
        groups = [(segment, placement, arms) for (segment, placement), arms in self.bandit.arms.items()]
        return pieces([FORMAT, self.offsets, groups, self._known.generations, self.refreshing, self._roots.generations])

    def to_bytes(self) -> bytes:
        """The same at once."""
        return b"".join(self.to_pieces())

    @classmethod
    def from_bytes(cls, raw: bytes, rules: BanditRules, *, rewound: bool = False) -> Rewards:
        """As `to_bytes` left it. `rewound`: the log that the offsets are of is gone, a new one begins.

        Raises ModelError if these are no such bytes; the remedy is to drop them and learn from the log anew.
        """
        kept = opened(raw, _decoder, "rewards", FORMAT)
        self = cls(rules)
        self.offsets = {} if rewound else kept.offsets
        self.bandit = Bandit({(segment, placement): arms for segment, placement, arms in kept.groups})
        self._known.restore(kept.known)
        self.refreshing = kept.refreshing
        self._roots.restore(kept.roots)
        return self
