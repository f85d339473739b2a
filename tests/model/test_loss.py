"""Every loss against a slow twin that spells its formula out, and what each is for."""

from __future__ import annotations

import math

import pytest
import torch

from rec.model.loss import (
    Frequency,
    action_heads,
    contrastive,
    full_softmax,
    impression_softmax,
    mixed_log_q,
    sampled_softmax,
    top_k_policy_gradient,
)

B, N, D = 5, 12, 4


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(3)


def log_sum(values: list[float]) -> float:
    return math.log(sum(math.exp(value) for value in values))


def test_full_softmax_is_the_mean_of_minus_log_p() -> None:
    logits, targets = torch.randn(B, N), torch.randint(N, (B,))
    slow = sum(log_sum(row) - row[t] for row, t in zip(logits.tolist(), targets.tolist(), strict=True)) / B
    assert full_softmax(logits, targets).item() == pytest.approx(slow, rel=1e-5)


def test_sampled_softmax_corrects_for_how_often_each_item_was_drawn() -> None:
    u, v = torch.randn(B, D), torch.randn(N, D)
    targets, sampled = torch.randint(N, (B,)), torch.tensor([1, 4, 4, 7])
    log_q = torch.rand(N).log()
    total = 0.0
    for row, target in enumerate(targets.tolist()):

        def corrected(item: int, row: int = row) -> float:
            return float(u[row] @ v[item] - log_q[item])

        others = [corrected(item) for item in sampled.tolist() if item != target]
        total += log_sum([corrected(target), *others]) - corrected(target)
    assert sampled_softmax(u, v, targets, sampled, log_q).item() == pytest.approx(total / B, rel=1e-5)


def test_sampled_softmax_over_every_item_once_is_the_full_softmax() -> None:
    u, v, targets = torch.randn(B, D), torch.randn(N, D), torch.randint(N, (B,))
    sampled = sampled_softmax(u, v, targets, torch.arange(N), torch.zeros(N))
    assert sampled.item() == pytest.approx(full_softmax(u @ v.T, targets).item(), rel=1e-5)


def test_with_the_correction_a_popular_negative_is_not_pushed_down_for_being_drawn_often() -> None:
    """Items alike in all but how often they are drawn: the gradient per draw of the popular one is the smaller."""
    u, v = torch.ones(1, D), torch.zeros(3, D, requires_grad=True)
    popular, rare, target = 1, 2, 0
    sampled = torch.tensor([popular] * 9 + [rare])
    log_q = torch.tensor([1.0, 9.0, 1.0]).log()
    sampled_softmax(u, v, torch.tensor([target]), sampled, log_q).backward()  # type: ignore[no-untyped-call]
    assert v.grad is not None
    pushed = v.grad.abs().sum(1)
    assert pushed[popular].item() == pytest.approx(pushed[rare].item(), rel=1e-5)


def test_impression_softmax_is_over_the_target_and_what_was_left_alone() -> None:
    u, v = torch.randn(B, D), torch.randn(N, D)
    targets = torch.tensor([1, 2, 3, 4, 5])
    left = torch.tensor([[6, 7, 0], [0, 0, 0], [3, 8, 9], [0, 0, 10], [5, 0, 0]])  # padding, and the target itself
    each = []
    for row, (target, beside) in enumerate(zip(targets.tolist(), left.tolist(), strict=True)):
        others = [float(u[row] @ v[item]) for item in beside if item not in (0, target)]
        own = float(u[row] @ v[target])
        if others:
            each.append(log_sum([own, *others]) - own)
    assert len(each) == 3
    assert impression_softmax(u, v, targets, left).item() == pytest.approx(sum(each) / 3, rel=1e-5)


def test_who_saw_nothing_teaches_nothing_of_impressions() -> None:
    u, v = torch.randn(B, D, requires_grad=True), torch.randn(N, D, requires_grad=True)
    loss = impression_softmax(u, v, torch.ones(B, dtype=torch.long), torch.zeros(B, 3, dtype=torch.long))
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0.0
    assert u.grad is not None
    assert u.grad.abs().max() == 0.0


def test_action_heads_is_the_mean_binary_cross_entropy() -> None:
    logits, happened = torch.randn(B, 4), torch.randint(2, (B, 4)).float()
    each = [
        -(y * math.log(1 / (1 + math.exp(-x))) + (1 - y) * math.log(1 - 1 / (1 + math.exp(-x))))
        for x, y in zip(logits.flatten().tolist(), happened.flatten().tolist(), strict=True)
    ]
    assert action_heads(logits, happened).item() == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_mixed_log_q_is_the_chance_of_being_in_the_batch_or_drawn() -> None:
    in_batch = torch.tensor([0.5, 1.0, 0.1, 0.02])
    found = mixed_log_q(in_batch.log(), 2).exp()
    drawn = 1 - (2 / 3) ** 2  # of three rows, twice
    for row, chance in enumerate(in_batch.tolist()):
        assert found[row].item() == pytest.approx(1 - (1 - chance) * (1 - drawn))
    torch.testing.assert_close(mixed_log_q(in_batch.log(), 0).exp(), in_batch)


def test_a_frequency_goes_along_when_rows_get_other_numbers() -> None:
    frequency = Frequency(rate=0.5, start=100.0)
    for step in range(40):
        frequency.see(torch.tensor([1, 3] if step % 2 else [1, 2]))
    before = frequency.log_q(4).tolist()
    frequency.renumber(torch.tensor([0, 1, 0, 2]))  # 2 is gone
    assert frequency.log_q(4).tolist() == pytest.approx([before[0], before[1], before[3], -math.log(100.0)])
    frequency.see(torch.tensor([2]))  # seen two steps ago, as row 3


def test_contrastive_asks_each_view_to_find_its_other() -> None:
    a, b = torch.randn(B, D), torch.randn(B, D)
    cosine = [[float(torch.cosine_similarity(x, y, dim=0)) / 0.1 for y in b] for x in a]
    rows = sum(log_sum(cosine[i]) - cosine[i][i] for i in range(B)) / B
    columns = sum(log_sum([cosine[j][i] for j in range(B)]) - cosine[i][i] for i in range(B)) / B
    assert contrastive(a, b).item() == pytest.approx((rows + columns) / 2, rel=1e-4)
    assert contrastive(a, a).item() < contrastive(a, b).item()


def test_frequency_comes_to_know_how_often_an_item_is_in_a_batch() -> None:
    frequency = Frequency(rate=0.1, start=100.0)
    for step in range(400):
        frequency.see(torch.tensor([0, 1] if step % 4 == 0 else [0]))
    assert frequency.log_q(3).exp().tolist()[:2] == pytest.approx([1.0, 0.25], rel=0.1)
    assert frequency.log_q(3)[2].exp().item() < 0.02  # never seen


def test_how_long_others_were_learned_before_an_item_came_says_nothing_of_how_often_it_is_in_a_batch() -> None:
    frequency = Frequency()
    frequency.step = 130_000
    for _ in range(100):
        frequency.see(torch.tensor([7]))
    assert frequency.log_q(8)[7].exp().item() > 1e-2  # of 1; it began at a thousandth
    frequency.see(torch.tensor([3]))
    assert frequency.log_q(8)[3].exp().item() == pytest.approx(1e-3)


def logged() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """actions, rewards of either sign, propensities."""
    return torch.randint(N, (B,)), torch.tensor([1.0, 0.0, 4.0, -4.0, 2.0]), torch.tensor([0.9, 0.5, 0.02, 0.3, 1.0])


@pytest.mark.parametrize(("k", "cap"), [(1, 1e9), (10, 1e9), (10, 2.0)])
def test_the_policy_gradient_is_that_of_the_formula_of_chen_et_al(k: int, cap: float) -> None:
    """Row by row: R w k (1 - pi)^(k - 1) (pi / alpha) (1[a] - pi), the cap on w = alpha / propensity."""
    logits = torch.randn(B, N, dtype=torch.float32).requires_grad_()
    actions, rewards, propensities = logged()
    loss = top_k_policy_gradient(logits, actions, rewards, propensities, k, cap)
    (gradient,) = torch.autograd.grad(loss, logits)
    for row in range(B):
        values = logits[row].tolist()
        pi = [math.exp(value - log_sum(values)) for value in values]
        action, propensity = int(actions[row]), float(propensities[row])
        alpha = 1 - (1 - pi[action]) ** k
        factor = k * (1 - pi[action]) ** (k - 1) * pi[action] / alpha * min(alpha / propensity, cap)
        slow = [-float(rewards[row]) * factor * ((item == action) - pi[item]) / B for item in range(N)]
        assert gradient[row].tolist() == pytest.approx(slow, rel=1e-4, abs=1e-7)


def test_for_a_list_of_one_and_its_own_propensity_it_is_reinforce() -> None:
    logits = torch.randn(B, N).requires_grad_()
    actions, rewards, _ = logged()
    own = torch.log_softmax(logits, 1)[torch.arange(B), actions]
    (mine,) = torch.autograd.grad(top_k_policy_gradient(logits, actions, rewards, own.exp().detach(), 1), logits)
    (plain,) = torch.autograd.grad(-(rewards * own).mean(), logits, retain_graph=True)
    assert torch.allclose(mine, plain, atol=1e-6)


def test_what_is_surely_on_the_list_is_pushed_no_further_and_nothing_overflows() -> None:
    logits = torch.tensor([[40.0, 0.0, 0.0], [-40.0, 40.0, 0.0]]).requires_grad_()
    loss = top_k_policy_gradient(logits, torch.tensor([0, 0]), torch.ones(2), torch.tensor([0.5, 1e-9]), 10)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert torch.isfinite(loss)
    assert torch.isfinite(gradient).all()
    assert gradient[0].abs().max().item() < 1e-4
    assert gradient[1, 0].item() <= 0  # towards it, by no more than the cap


def test_following_it_finds_the_best_item_from_the_log_of_a_policy_that_liked_another() -> None:
    """A log that shows item 0 most and item 2, the best, rarely; a list of one."""
    generator = torch.Generator().manual_seed(1)
    shown = torch.tensor([0.7, 0.2, 0.1])
    worth = torch.tensor([0.2, 0.3, 0.8])
    actions = torch.multinomial(shown, 2_000, replacement=True, generator=generator)
    rewards = torch.bernoulli(worth[actions], generator=generator)
    logits = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.1)
    for _ in range(80):
        rows = logits.expand(len(actions), 3)
        loss = top_k_policy_gradient(rows, actions, rewards, shown[actions], 1)
        (logits.grad,) = torch.autograd.grad(loss, logits)
        optimizer.step()
    assert int(logits.argmax()) == 2
