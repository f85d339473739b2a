"""Lazy AdamW: AdamW for the rows that were touched, nothing for the others; and a learner that uses it."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import torch
from torch import Tensor, nn

from rec.model.lazy import step_rows
from rec.model.learner import Learner
from rec.model.teaching import Shape, Training
from tests.model.test_learner import lessons, probabilities

SHAPE = Shape(dim=16, layers=1, heads=2, steps=8, dropout=0.1, ids=64)
# More items than the full softmax takes, more bytes than are written whole; a drawn negative would move its row, too.
LARGE = Training(
    shape=SHAPE, batch=32, new=8, rate=5e-3, warmup_steps=5, seed=4, full_until=2, whole_until=0, negatives=0
)


def table(rows: int = 6, dim: int = 3) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, dim, generator=torch.Generator().manual_seed(1)))


def adamw(parameter: nn.Parameter) -> torch.optim.AdamW:
    return torch.optim.AdamW([parameter], lr=0.02, betas=(0.9, 0.98), weight_decay=0.1)


def gradients(steps: int, touched: list[list[int]], rows: int = 6, dim: int = 3) -> list[Tensor]:
    found = []
    for n in range(steps):
        g = torch.zeros(rows, dim)
        g[touched[n % len(touched)]] = torch.randn(
            len(touched[n % len(touched)]), dim, generator=torch.Generator().manual_seed(n)
        )
        found.append(g)
    return found


def test_where_every_row_has_a_gradient_it_is_adamw() -> None:
    dense, lazy = table(), table()
    one, other = adamw(dense), adamw(lazy)
    for g in gradients(5, [list(range(6))]):
        dense.grad, lazy.grad = g.clone(), g.clone()
        one.step()
        step_rows(other, [lazy])
        other.step()
    torch.testing.assert_close(lazy, dense)
    mine, theirs = (each.state_dict()["state"][0] for each in (other, one))
    assert mine.keys() == theirs.keys()
    for name, kept in theirs.items():
        torch.testing.assert_close(mine[name], kept)


def test_it_is_adamw_row_by_row_and_a_row_without_a_gradient_stays_to_the_bit() -> None:
    touched = [[0, 2], [2, 5], [0]]
    lazy = table()
    optimizer, begun = adamw(lazy), table().detach()
    want, m, v = begun.clone().double(), torch.zeros(6, 3).double(), torch.zeros(6, 3).double()
    for step, g in enumerate(gradients(7, touched), 1):
        lazy.grad = g
        step_rows(optimizer, [lazy])
        optimizer.step()
        for row in touched[(step - 1) % 3]:
            m[row] = 0.9 * m[row] + 0.1 * g[row]
            v[row] = 0.98 * v[row] + 0.02 * g[row] ** 2
            moved = m[row] / (1 - 0.9**step) / ((v[row] / (1 - 0.98**step)).sqrt() + 1e-8)
            want[row] = want[row] * (1 - 0.02 * 0.1) - 0.02 * moved
    torch.testing.assert_close(lazy.detach().double(), want, rtol=1e-5, atol=1e-6)
    for row in (1, 3, 4):
        assert torch.equal(lazy[row], begun[row])


def test_a_table_without_a_gradient_is_passed_over() -> None:
    lazy = table()
    optimizer = adamw(lazy)
    step_rows(optimizer, [lazy])
    optimizer.step()
    assert torch.equal(lazy, table())


def test_a_large_network_moves_only_the_rows_of_what_somebody_acted_on_and_still_learns() -> None:
    learner, cycle = Learner(LARGE), ("a", "b", "c", "d")
    learner.learn(lessons(40, ("x", "y"), user="u2"))
    slots = {i: int(learner.vocabulary.items().slot[learner.vocabulary.row(i)]) for i in ("x", "y")}
    learner._replay = type(learner._replay)(LARGE.replay, SHAPE.steps)  # nobody comes back to x and y
    before = learner.network.items.id.weight.detach().clone()
    taught = lessons(600, cycle)
    learner.learn(taught)
    after = learner.network.items.id.weight.detach()
    for slot in slots.values():
        assert before[slot].abs().max() > 0
        assert torch.equal(before[slot], after[slot])
    state, next_one = taught[-1]
    said = probabilities(learner, state, *cycle)
    assert max(said, key=said.__getitem__) == next_one.items[0].item_id


def test_a_large_network_goes_on_from_its_state_as_if_nothing_had_been() -> None:
    whole, taught = Learner(LARGE), lessons(120, ("a", "b", "c"))
    dense = Learner(msgspec.structs.replace(LARGE, whole_until=10_000_000))
    whole.learn(taught[:64])
    dense.learn(taught[:64])
    arrays, rest = whole.state()
    assert {name: array.shape for name, array in arrays.items()} == {
        name: array.shape for name, array in dense.state()[0].items()
    }  # the layout of a checkpoint is the same
    resumed = Learner(LARGE)
    resumed.load(arrays, rest)
    whole.learn(taught[64:])
    resumed.learn(taught[64:])
    one, other = whole.state()[0], resumed.state()[0]
    assert all(np.array_equal(one[name], other[name]) for name in one)
    assert math.isfinite(whole.loss)
