"""logits → **losses**. Each is a function of tensors with its source; tests hold each against a slow, obvious twin.

Shapes: B examples, n items or candidates, d width, S sampled negatives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F


def full_softmax(logits: Tensor, targets: Tensor) -> Tensor:
    """-log P(target), the mean over B. logits [B, n], targets [B]. Exact: for catalogs that fit into one product."""
    return F.cross_entropy(logits, targets)


def with_bias(u: Tensor, v: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """[B, d], [n, d], [n, 1] → [B, d + 1], [n, d + 1] whose products are u·v + bias."""
    return torch.cat([u, u.new_ones(len(u), 1)], 1), torch.cat([v, bias], 1)


def sampled_softmax(u: Tensor, v: Tensor, targets: Tensor, sampled: Tensor, log_q: Tensor) -> Tensor:
    """-log P(target) over the target and S shared negatives, corrected for how they were drawn; the mean over B.

    u [B, d], v [n, d], targets [B], sampled [S] rows of v, log_q [n] the log of how often a row is expected among the
    S. Without the correction popular items, drawn more often, would be pushed down for it: Bengio & Senécal 2008,
    Yi et al. 2019. A negative that is the example's own target does not count.
    """
    positive = (u * v[targets]).sum(-1) - log_q[targets]  # [B]
    negative = u @ v[sampled].T - log_q[sampled]  # [B, S]
    negative = negative.masked_fill(targets.unsqueeze(1) == sampled.unsqueeze(0), float("-inf"))
    return (torch.logsumexp(torch.cat([positive.unsqueeze(1), negative], 1), 1) - positive).mean()


def estimated_logits(u: Tensor, v: Tensor, targets: Tensor, sampled: Tensor, share: float) -> Tensor:
    """[B, 1 + S] logits whose first column is the target's, and whose softmax estimates that over all n rows.

    u [B, d], v [n, d], targets [B], sampled [S] different rows of v, each of which was as likely as `share` to be among
    them: the sum over the others is estimated without bias (Horvitz & Thompson 1952).
    """
    own = (u * v[targets]).sum(-1, keepdim=True)  # [B, 1]
    others = (u @ v[sampled].T - math.log(share)).masked_fill(
        targets.unsqueeze(1) == sampled.unsqueeze(0), float("-inf")
    )
    return torch.cat([own, others], 1)


def drawn_share(n: int, drawn: int) -> float:
    """The probability of a row to be among `drawn` of the rows from 1 to n - 1, with replacement, each as likely."""
    return 1 - (1 - 1 / max(1, n - 1)) ** drawn


def mixed_log_q(log_q: Tensor, drawn: int) -> Tensor:
    """[n]: log of the probability that a row is in a batch, or among `drawn` rows from 1 to n - 1, or both.

    log_q [n] is that of the batch alone; a row is drawn with replacement, each as likely as the others.
    """
    return (1 - (1 - log_q.exp()) * (1 - drawn_share(len(log_q), drawn))).log()


def impression_softmax(u: Tensor, v: Tensor, targets: Tensor, left: Tensor) -> Tensor:
    """-log P(target) over the target and what was shown beside it and left alone; the mean over those who saw any.

    u [B, d], v [n, d], targets [B], left [B, K] rows of v, 0: none. No logQ correction: nothing was drawn, these are
    what the shopper chose among (conditional logit, McFadden 1974). Zero if nobody saw anything.
    """
    own = targets.unsqueeze(1)  # [B, 1]
    logits = torch.einsum("bd,bkd->bk", u, v[torch.cat([own, left], 1)]).float()  # [B, 1 + K]
    counts = (left > 0) & (left != own)  # [B, K]
    others = logits[:, 1:].masked_fill(~counts, float("-inf"))
    each = torch.logsumexp(torch.cat([logits[:, :1], others], 1), 1) - logits[:, 0]  # 0 where there are no others
    return each.sum() / counts.any(1).sum().clamp(min=1)


def in_batch_softmax(likeness: Tensor, targets: Tensor, known: Tensor, log_q: Tensor) -> Tensor:
    """[B] -log P(target) among the n texts of a batch: InfoNCE (van den Oord et al. 2018) with the logQ correction.

    likeness [B, n], already divided by the temperature; targets [B]; known [B, n] true where a text is a right answer
    too, and so no negative; log_q [n] the log of how often a text is in a batch, up to a constant (Yi et al. 2019):
    without it what is in many pairs would be pushed away from everything for being there so often.
    """
    own = F.one_hot(targets, likeness.shape[1]).bool()
    logits = (likeness - log_q).masked_fill(known & ~own, float("-inf"))
    return F.cross_entropy(logits, targets, reduction="none")


def action_heads(logits: Tensor, happened: Tensor) -> Tensor:
    """Binary cross-entropy of the heads, the mean over B and heads. Both [B, heads]."""
    return F.binary_cross_entropy_with_logits(logits, happened)


def contrastive(a: Tensor, b: Tensor, temperature: float = 0.1) -> Tensor:
    """InfoNCE between two views of the same B histories: a and b [B, d], row i belongs to row i.

    CL4SRec, Xie et al. 2022. Symmetric: each view has to find the other among the batch.
    """
    likeness = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / temperature
    own = torch.arange(len(a), device=a.device)
    return (F.cross_entropy(likeness, own) + F.cross_entropy(likeness.T, own)) / 2


def top_k_policy_gradient(
    logits: Tensor, actions: Tensor, rewards: Tensor, propensities: Tensor, k: int | Tensor, cap: float = 10.0
) -> Tensor:
    """Off-policy corrected policy gradient for lists of k: Chen et al. 2019, "Top-K off-policy correction".

    logits [B, n] of the policy that learns; actions [B] what was shown; rewards [B] what it earned, of either sign;
    propensities [B] in (0, 1] how likely it was to be on the list that showed it, of k places (or [B]). With pi the
    softmax and alpha = 1 - (1 - pi)^k the chance to be among k draws, the gradient is that of -mean(w R log alpha) with
    w = alpha / propensity as a constant, which is theirs: d log alpha = k (1 - pi)^(k-1) (pi / alpha) d log pi. An item
    that is on the list already is pushed no further. `cap` bounds w (Ionides 2008): a little bias, far less variance.
    """
    log_pi = torch.log_softmax(logits.float(), 1).gather(1, actions.unsqueeze(1)).squeeze(1)
    pi = log_pi.exp().clamp(max=1 - 1e-6)
    k = torch.as_tensor(k, dtype=pi.dtype, device=pi.device)
    log_alpha = torch.where(  # k pi where pi is tiny, and log1p of it would be 0
        pi < 1e-6, log_pi + k.log(), torch.log(-torch.expm1(k * torch.log1p(-pi)).clamp(max=-1e-30))
    )
    weight = (log_alpha.detach().exp() / propensities).clamp(max=cap)
    return -(weight * rewards * log_alpha).mean()


class Frequency:
    """A streaming estimate of how often a row is in a batch (Yi et al. 2019, algorithm 2): the mean number of steps
    between two of its appearances, moving by `rate`. Grows with the rows it sees."""

    def __init__(self, rate: float = 0.05, start: float = 1_000.0) -> None:
        self.rate, self.start, self.step = rate, start, 0
        self.last = torch.zeros(0, dtype=torch.long)
        self.gap = torch.zeros(0)

    def see(self, rows: Tensor) -> None:
        """One step: the rows [B] of a batch, repeated ones counted once."""
        self.step += 1
        rows = rows.unique()  # type: ignore[no-untyped-call]
        self._reach(int(rows[-1]) + 1 if len(rows) else 0)
        since = (self.step - self.last[rows]).float()
        new = self.last[rows] == 0  # the steps before it came are none of its own
        since = torch.where(new, since.clamp(max=self.start), since)
        self.gap[rows] = (1 - self.rate) * self.gap[rows] + self.rate * since
        self.last[rows] = self.step

    def log_q(self, n: int) -> Tensor:
        """[n]: log of the probability that a row is in a batch."""
        self._reach(n)
        return -self.gap[:n].clamp(min=1.0).log()

    def renumber(self, rows: Tensor) -> None:
        """Row `r` is `rows[r]` from now on, 0: gone. Rows keep their order."""
        self._reach(len(rows))
        kept = (rows > 0).nonzero().squeeze(1)
        for name, empty in (("last", 0.0), ("gap", self.start)):
            before = getattr(self, name)
            now = torch.full_like(before, empty)
            now[0], now[rows[kept]] = before[0], before[kept]
            setattr(self, name, now)

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint has to hold."""
        return {"last": self.last, "gap": self.gap, "step": torch.tensor(self.step)}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state()`."""
        self.last, self.gap, self.step = state["last"], state["gap"], int(state["step"])

    def _reach(self, n: int) -> None:
        if (more := n - len(self.gap)) > 0:
            more = max(more, len(self.gap))
            self.last = torch.cat([self.last, torch.zeros(more, dtype=torch.long)])
            self.gap = torch.cat([self.gap, torch.full((more,), self.start)])
