"""gradients of large tables → **lazy AdamW** → the rows that were touched. The others stay as they are.

Dense AdamW moves every row at every step: decay and old moments act where there is no gradient, too. Here a row that
has none is left alone, with its moments, as in TensorFlow's LazyAdamOptimizer and torch's SparseAdam; as there,
a table has one count of steps. Where every row has a gradient it is AdamW (Loshchilov & Hutter 2019).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def step_rows(optimizer: torch.optim.AdamW, tables: Iterable[Tensor]) -> None:
    """One step of these parameters [n, d], and away with their gradients: `optimizer.step()` then passes them over.

    Their state lies where the optimizer would keep it, under the same names, so a checkpoint looks the same.
    """
    group_of = {parameter: group for group in optimizer.param_groups for parameter in group["params"]}
    for table in tables:
        gradient, table.grad = table.grad, None
        if gradient is None:
            continue
        group, state = group_of[table], optimizer.state[table]
        if "step" not in state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(table), torch.zeros_like(table)
        state["step"] += 1
        steps, (first, second) = float(state["step"]), group["betas"]
        rows = (gradient != 0).any(1).nonzero().squeeze(1)  # [k]
        g = gradient[rows]  # [k, d]
        m = state["exp_avg"][rows].lerp_(g, 1 - first)
        v = state["exp_avg_sq"][rows].mul_(second).addcmul_(g, g, value=1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = m, v
        scale = (v.sqrt_() / (1 - second**steps) ** 0.5).add_(group["eps"])
        kept = table[rows].mul_(1 - group["lr"] * group["weight_decay"])
        table[rows] = kept.addcdiv_(m, scale, value=-group["lr"] / (1 - first**steps))
